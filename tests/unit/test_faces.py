"""Faces are found, aligned, restored and pasted back where they were, and nothing else changes."""

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from promptmix.datasets.pictures import encode_jpeg, jpeg_quality
from promptmix.errors import InputError
from promptmix.files import sha256
from promptmix.networks.gfpgan import GFPGAN
from promptmix.networks.parsenet import CLASSES, FACE
from promptmix.networks.retinaface import anchors, encode
from promptmix.networks.stylegan2 import StyledConvolution
from promptmix.records.manifests import MANIFEST
from promptmix.synthesis import faces
from promptmix.synthesis.faces import (
    TEMPLATE,
    FaceRestorer,
    FaceSettings,
    align,
    paste,
    restore_block,
    similarity,
    soft_mask,
)
from promptmix.synthesis.manifest import read_images, read_manifest, write_manifest

SIZE = 64
SKIN, HAT = CLASSES.index("skin"), CLASSES.index("hat")


def pose(x, y, eyes, tilt=0.0):
    """Return the landmarks of a face whose middle is at (x, y), with the given number of pixels between its eyes."""
    shape = (TEMPLATE - 256) * eyes / np.linalg.norm(TEMPLATE[1] - TEMPLATE[0])
    turned = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    return shape @ turned.T + (x, y)


def smooth_image(height, width, seed=0):
    """Return an image without edges, which survives being resampled."""
    coarse = np.random.default_rng(seed).integers(40, 216, (height // 16 + 2, width // 16 + 2, 3)).astype(np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


class Detector(nn.Module):
    """Finds the given faces, each (score, landmarks, box), at the anchors nearest to them."""

    def __init__(self, *found):
        super().__init__()
        self.found = found

    def anchors(self, height, width):
        return anchors(height, width)

    def forward(self, image):
        places = self.anchors(*image.shape[2:])
        boxes, scores, landmarks = (torch.zeros(1, len(places), n) for n in (4, 2, 10))
        for i, (score, points, box) in enumerate(self.found):
            box, points = torch.tensor(box).float(), torch.tensor(points).float()
            boxes[0, i], landmarks[0, i] = encode(box, points, places[i])
            scores[0, i, 1] = score
        return boxes, scores, landmarks


class Parser(nn.Module):
    """Sees a face in the middle and a hat above."""

    in_size = SIZE

    def parse(self, image):
        parts = torch.zeros(len(image), SIZE, SIZE, dtype=torch.long)
        parts[:, 20:52, 16:48] = SKIN
        parts[:, 4:20] = HAT
        return parts


class Negative(nn.Module):
    """Restores the negative of a face."""

    out_size = SIZE

    def restore(self, face, generators):
        return -face


def pipeline(*landmarks, restorer=None, **settings):
    """Return a pipeline that finds faces with the given landmarks."""
    boxes = [(*points.min(0) - 5, *points.max(0) + 5) for points in landmarks]
    found = [(0.99, points, box) for points, box in zip(landmarks, boxes)]
    return FaceRestorer(Detector(*found), Parser(), restorer or Negative(), FaceSettings(**settings))


# --- Geometry ---


@pytest.mark.parametrize("size", [64, 512])
@pytest.mark.parametrize(("x", "y", "eyes", "tilt"), [(100, 80, 40, 0), (30, 50, 6, 0.5), (-20, 300, 300, -2)])
def test_landmarks_come_to_their_places_in_the_template(x, y, eyes, tilt, size):
    landmarks = pose(x, y, eyes, tilt)
    matrix = similarity(landmarks, size)
    assert cv2.transform(landmarks[None], matrix)[0] == pytest.approx(TEMPLATE * size / 512, abs=size * 1e-4)
    assert np.linalg.det(matrix[:, :2]) > 0  # turned, not mirrored
    assert matrix[:, :2] @ matrix[:, :2].T == pytest.approx(np.eye(2) * np.linalg.det(matrix[:, :2]), abs=1e-6)


def test_a_landmark_that_is_off_does_not_move_the_others():
    landmarks = pose(100, 80, 40)
    landmarks[2] += 25
    found = cv2.transform(landmarks[None], similarity(landmarks, 512))[0]
    assert np.delete(found, 2, 0) == pytest.approx(np.delete(TEMPLATE, 2, 0), abs=0.5)


def test_landmarks_on_one_spot_have_no_transform():
    assert similarity(np.full((5, 2), 7.0), 512) is None


@pytest.mark.parametrize("tilt", [0, 0.7])
def test_there_and_back_returns_the_pixels_of_the_face_and_leaves_the_others(tilt):
    image = smooth_image(160, 200)
    matrix = similarity(pose(110, 70, 20, tilt), 128)  # 128 / 512 * 126 = 31 pixels between the eyes
    pasted = image.astype(np.float32)
    blank, mask = np.full_like(pasted, 255), np.pad(np.ones((124, 124), np.float32), 2)
    for target in (pasted, blank):
        paste(target, align(image, matrix, 128), mask, matrix)
    reached = (blank != 255).any(2)
    assert 74**2 < reached.sum() < 84**2  # 124 * 20 / 31 = 79
    assert np.abs(pasted - image).max() < 6  # rounding and two interpolations
    back = cv2.transform(np.argwhere(reached)[None, :, ::-1].astype(float), matrix)[0]
    assert back.min() > 0 and back.max() < 127
    assert np.array_equal(pasted[~reached], image[~reached])


def test_a_face_beyond_the_image_is_pasted_as_far_as_it_is_in_it():
    image = np.zeros((50, 60, 3), np.float32)
    face, mask = np.full((SIZE, SIZE, 3), 200, np.uint8), np.ones((SIZE, SIZE), np.float32)
    for x, y, share in ((0, 0, 0.25), (60, 25, 0.5), (500, 500, 0)):
        image[:] = 0
        paste(image, face, mask, similarity(pose(x, y, 126 / 512 * 40), SIZE))
        assert (image > 100).mean() * image[..., 0].size == pytest.approx(share * 40**2, abs=60)


def test_a_face_that_reaches_beyond_the_image_is_grey_there():
    face = align(np.zeros((40, 40, 3), np.uint8), similarity(pose(0, 20, 10), SIZE), SIZE)
    assert face[32, 2].tolist() == list(faces.GREY) and face[32, 40].tolist() == [0, 0, 0]


def test_the_mask_is_face_and_hair_with_soft_edges_and_no_border():
    parts = np.zeros((512, 512), np.int64)
    parts[100:400, 150:350] = SKIN
    parts[60:100, 150:350] = CLASSES.index("hair")
    parts[:20] = SKIN
    mask = soft_mask(parts)
    assert mask.min() == 0 and mask[200, 250] == pytest.approx(1, abs=1e-3) and mask[80, 250] > 0.9
    assert mask[200, 150] == pytest.approx(0.5, abs=0.05) and (np.diff(mask[200, 100:200]) >= -1e-6).all()
    assert mask[:10].max() == 0 and mask[480:].max() < 1e-6
    parts[100:400, 150:350] = HAT
    assert soft_mask(parts)[250, 250] < 1e-3
    assert HAT not in FACE and CLASSES.index("background") not in FACE


def test_the_mask_scales_with_the_face():
    parts = np.zeros((512, 512), np.int64)
    parts[128:384, 192:320] = SKIN
    small = cv2.resize(soft_mask(parts), (64, 64), interpolation=cv2.INTER_AREA)
    assert soft_mask(parts[::8, ::8]) == pytest.approx(small, abs=0.08)


# --- Finding ---


def test_faces_are_those_above_the_score_that_do_not_overlap_and_have_their_eyes_apart():
    box = (20, 20, 60, 60)
    found = [
        (0.98, pose(40, 40, 12), box),
        (0.99, pose(42, 40, 12), (22, 20, 62, 60)),  # the same face
        (0.96, pose(100, 40, 12), (80, 20, 120, 60)),  # hardly one
        (1.0, pose(40, 100, 4.9), (20, 80, 60, 120)),  # too small
        (0.98, pose(100, 100, 5.1), (80, 80, 120, 120)),
    ]
    restorer = FaceRestorer(Detector(*found), Parser(), Negative())
    boxes, landmarks = restorer.detect(np.zeros((160, 160, 3), np.uint8))
    assert boxes == pytest.approx(np.array([(*found[1][2], 0.99), (*found[4][2], 0.98)]), abs=1e-3)
    assert landmarks == pytest.approx(np.stack([found[1][1], found[4][1]]), abs=1e-3)


def test_the_smallest_images_can_be_asked():
    image = np.zeros((5, 7, 3), np.uint8)
    restored, count = pipeline().restore(image, 0)
    assert np.array_equal(restored, image) and count == 0


# --- Restoring ---


@pytest.mark.parametrize("enlarge", [1, 4])
def test_an_image_without_faces_stays_as_it_is(enlarge):
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    restored, count = pipeline(enlarge=enlarge).restore(image, 0)
    assert np.array_equal(restored, image) and count == 0


@pytest.mark.parametrize("enlarge", [1, 2, 3])
def test_only_the_face_changes(enlarge):
    image = np.random.default_rng(0).integers(150, 256, (96, 120, 3)).astype(np.uint8)
    eyes = 126 / 512 * 48 * enlarge  # the aligned face is 48 pixels of the image wide
    restored, count = pipeline(pose(60 * enlarge, 48 * enlarge, eyes), enlarge=enlarge).restore(image, 0)
    changed = (restored != image).any(2)
    ys, xs = np.nonzero(changed)
    assert count == 1
    # Of the 64 pixels, 20 to 52 down and 16 to 48 across are face, and its edges are soft by some 4 pixels.
    assert (ys.min(), ys.max()) == pytest.approx((48 + 48 * (20 / 64 - 0.5), 48 + 48 * (52 / 64 - 0.5)), abs=6)
    assert (xs.min(), xs.max()) == pytest.approx((60 + 48 * (16 / 64 - 0.5), 60 + 48 * (48 / 64 - 0.5)), abs=6)
    assert restored[48:54, 56:64].mean() < 110 < image.min()  # a negative
    assert changed.mean() < 0.15


def test_all_faces_of_an_image_are_restored_in_batches_of_any_size(monkeypatch):
    image = smooth_image(100, 300)
    landmarks = [pose(x, 50, 12) for x in (50, 150, 250)]
    restored, count = pipeline(*landmarks).restore(image, 0)
    assert count == 3
    for x in (50, 150, 250):
        assert np.abs(restored[50, x].astype(int) - (255 - image[50, x])).max() < 12
    monkeypatch.setitem(faces.FACE_PIXELS, "cpu", 2 * SIZE**2)
    assert np.array_equal(pipeline(*landmarks).restore(image, 0)[0], restored)


def test_equal_seeds_make_equal_images(monkeypatch):
    torch.manual_seed(0)
    network = GFPGAN(out_size=SIZE, style=8, width=0.03, mlp=0)
    for convolution in network.stylegan_decoder.modules():
        if isinstance(convolution, StyledConvolution):
            nn.init.constant_(convolution.weight, 0.3)  # strength of the noise; a new network has none
    image, landmarks = smooth_image(100, 200), [pose(50, 50, 14), pose(150, 50, 14)]
    first, again, other = (pipeline(*landmarks, restorer=network).restore(image, seed)[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    monkeypatch.setitem(faces.FACE_PIXELS, "cpu", SIZE**2)  # one face at a time
    apart = pipeline(*landmarks, restorer=network).restore(image, 1)[0]
    assert np.abs(apart.astype(int) - first).max() <= 1


# --- Settings and weights ---


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"score": 97}, "score is 97; .*share between 0 and 1"),
        ({"overlap": -0.1}, "overlap is -0.1; .*share between 0 and 1"),
        ({"eyes": 0}, "eyes is 0; .* more than 0"),
        ({"enlarge": 1.5}, "enlarge is 1.5; .*whole number"),
    ],
)
def test_settings_that_cannot_be_meant_are_named(settings, message):
    with pytest.raises(InputError, match=message):
        FaceSettings(**settings)


def test_parser_and_restorer_have_to_take_the_same_faces():
    parser = Parser()
    parser.in_size = 32
    with pytest.raises(InputError, match="restorer .*64 pixels.* parser .*32.*out_size and in_size must be equal"):
        FaceRestorer(Detector(), parser, Negative())


def test_missing_weights_are_named_with_where_the_published_ones_are(tmp_path):
    part = {"weights": tmp_path / "detection_Resnet50_Final.pth", "settings": {"width": 0.125, "features": 8}}
    with pytest.raises(InputError, match=r"(?s)No weights at .*detection_Resnet50_Final.pth.*github.com/xinntao"):
        faces.load_restorer(part, part, part, FaceSettings(), "cpu")


# --- The block ---


@pytest.fixture
def block(tmp_path):
    """A manifest of two images with a face and one without, whose first pixel is white."""
    folder, rows = tmp_path / "plain", []
    folder.mkdir()
    for i, quality in enumerate((75, 75, 91)):
        image = smooth_image(64, 96, seed=i)
        image[:8, :8] = 255 if i == 1 else 0
        (folder / f"seed-{i}.jpg").write_bytes(encode_jpeg(image, quality))
        digest = sha256(folder / f"seed-{i}.jpg")
        rows.append(
            [folder / f"seed-{i}.jpg", 40 + i, "p", i, "a crowd, 3 people", 96, 64, quality, "IMG_1.jpg", 0, digest]
        )
    write_manifest(folder / "block-0.csv", pd.DataFrame(rows, columns=[*MANIFEST.columns]))
    return folder / "block-0.csv"


@pytest.fixture
def restorer():
    restorer = pipeline(pose(48, 32, 14), pose(20, 40, 7))
    detect, nothing = restorer.detect, (np.zeros((0, 5)), np.zeros((0, 5, 2)))
    restorer.detect = lambda image: nothing if image[0, 0].mean() > 128 else detect(image)
    return restorer


def test_a_block_is_jpegs_of_the_same_quality_and_a_manifest_that_counts_faces(block, restorer, tmp_path):
    files = [str(tmp_path / "restored" / f"seed-{i}.jpg") for i in range(3)]
    restore_block(restorer, block, tmp_path / "restored", tmp_path / "block-0.csv")
    before, after = read_manifest(block), read_manifest(tmp_path / "block-0.csv")
    assert after["file"].tolist() == files and after["faces"].tolist() == [2, 0, 2]
    same = [column for column in MANIFEST.columns if column not in ("file", "faces", "sha256")]
    assert after[same].equals(before[same])
    assert (after["sha256"] == before["sha256"]).tolist() == [False, True, False]
    assert (block.parent / "seed-1.jpg").read_bytes() == (tmp_path / "restored" / "seed-1.jpg").read_bytes()
    assert [jpeg_quality(file) for file in files] == [75, 75, 91]
    images = dict(read_images(block))
    for stem, image in read_images(tmp_path / "block-0.csv"):  # verifies the digests
        restored, _ = restorer.restore(images[stem], 0)
        assert np.abs(image.astype(int) - restored).mean() < 6  # JPEG
    assert sorted(str(path) for path in (tmp_path / "restored").iterdir()) == files


def test_an_image_that_is_not_the_generated_one_ends_the_block_without_a_manifest(block, restorer, tmp_path):
    (block.parent / "seed-1.jpg").write_bytes(encode_jpeg(smooth_image(64, 96, seed=9), 75))
    with pytest.raises(InputError, match="seed-1.jpg: not the image that was generated"):
        restore_block(restorer, block, tmp_path / "restored", tmp_path / "b.csv")
    assert not (tmp_path / "b.csv").exists()
