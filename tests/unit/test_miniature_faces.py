"""The rendered faces are labelled exactly, and the models trained on them find, parse and restore faces."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

from promptmix.miniature.models.faces import TRAINERS, WORST, multibox_loss, targets
from promptmix.miniature.rendering.faces import (
    PART,
    SCENE,
    degrade,
    mirror,
    render_aligned_face,
    render_detection_scene,
    render_faces,
)
from promptmix.networks.checkpoints import load_weights, read_metadata, read_tensors
from promptmix.networks.gfpgan import GFPGAN
from promptmix.networks.parsenet import FACE, ParseNet
from promptmix.networks.retinaface import RetinaFace, anchors, decode
from promptmix.synthesis.faces import FaceRestorer, FaceSettings, to_tensor

MODELS = Path(__file__).parents[2] / "resources/models"
NETWORKS = {"retinaface": RetinaFace, "parsenet": ParseNet, "gfpgan": GFPGAN}
SMALL = {
    "retinaface": {"width": 0.03, "features": 8, "blocks": [1, 1, 1, 1]},
    "parsenet": {"in_size": 32, "width": 0.05, "depth": 1, "smallest": 8},
    "gfpgan": {"out_size": 32, "style": 8, "width": 0.03, "mlp": 0},
}


def portraits(count, **more):
    return [render_faces(np.random.default_rng(i), 128, 96, 1, (40, 60), **more) for i in range(count)]


def shipped(name):
    path = MODELS / f"{name}.safetensors"
    network = NETWORKS[name](**json.loads(read_metadata(path)["settings"]))
    load_weights(network, path)
    return network.eval()


# --- Rendering ---


def test_the_same_generator_renders_the_same_bytes():
    first, again, other = (render_faces(np.random.default_rng(i), 96, 64, 5, (8, 20)) for i in (1, 1, 2))
    for name in ("image", "parts", "boxes", "landmarks", "hidden"):
        assert np.array_equal(getattr(first, name), getattr(again, name))
    assert not np.array_equal(first.image, other.image)


def test_landmarks_and_boxes_are_those_of_the_parts():
    """The middle of an eye's pixels is its landmark, and so on, to half a pixel or so."""
    checked = 0
    for image in portraits(60):
        if len(image.landmarks) != 1 or PART["hat"] in image.parts:
            continue
        left, right, nose, *corners = image.landmarks[0]
        ys, xs = np.nonzero(
            np.isin(image.parts, FACE) & ~np.isin(image.parts, [PART["hair"], PART["left ear"], PART["right ear"]])
        )
        x0, y0, x1, y1 = image.boxes[0]
        if min(x0, y0) < 1 or x1 > 126 or y1 > 94 or PART["left eye"] not in image.parts:
            continue  # cut, or with glasses
        checked += 1
        for name, point in (("left eye", left), ("right eye", right)):
            y, x = np.argwhere(image.parts == PART[name]).mean(0)
            assert (x, y) == pytest.approx(point.tolist(), abs=0.6)
        y, x = np.argwhere(image.parts == PART["nose"]).mean(0)
        assert y < nose[1] and abs(x - nose[0]) < 4
        lips = np.argwhere(np.isin(image.parts, [PART["upper lip"], PART["lower lip"], PART["mouth"]]))
        assert (lips[:, 1].min(), lips[:, 1].max()) == pytest.approx((corners[0][0], corners[1][0]), abs=1.6)
        assert (xs.min(), ys.min(), xs.max(), ys.max()) == pytest.approx((x0, y0, x1, y1), abs=1.2)
    assert checked >= 10


def test_faces_that_are_covered_are_not_asked_for():
    labelled = hidden = 0
    for seed in range(20):
        image = render_faces(np.random.default_rng(seed), 96, 64, 12, (10, 24))
        labelled, hidden = labelled + len(image.boxes), hidden + len(image.hidden)
        for x, y in image.boxes.reshape(-1, 2, 2).mean(1):
            at = image.parts[int(np.clip(y, 0, 63)), int(np.clip(x, 0, 95))]
            assert at in FACE
    assert labelled > 20 and hidden > 20


def test_grey_is_grey():
    for image in portraits(3, grey=True):
        assert np.ptp(image.image.astype(int), axis=2).max() == 0
    assert np.ptp(portraits(1)[0].image.astype(int), axis=2).max() > 20


def test_in_a_mirror_left_is_right():
    image = next(image for image in portraits(20) if len(image.landmarks))
    seen = mirror(image)
    assert (seen.landmarks[:, 0, 0] < seen.landmarks[:, 1, 0]).all()
    assert np.array_equal(seen.image[:, ::-1], image.image)
    again = mirror(seen)
    for name in ("image", "parts", "boxes", "landmarks", "hidden"):
        assert np.allclose(getattr(again, name), getattr(image, name), atol=1e-4)
    left = np.argwhere(seen.parts == PART["left eye"])
    if len(left):
        assert left.mean(0)[::-1] == pytest.approx(seen.landmarks[0, 0], abs=1)


def test_degraded_faces_keep_their_size_and_lose_the_more_the_further_they_are_reduced():
    clear = np.stack([render_aligned_face(np.random.default_rng(i), 32)[0] for i in range(20)])
    errors = []
    for worst in (1, 4, 16):
        bad = np.stack([degrade(np.random.default_rng(i), face, worst) for i, face in enumerate(clear)])
        assert bad.shape == clear.shape and bad.dtype == np.uint8
        errors.append(np.abs(bad.astype(float) - clear).mean())
    assert 0 < errors[0] < 0.8 * errors[1] < 0.64 * errors[2]


def test_aligned_faces_have_their_eyes_where_gfpgan_expects_them():
    images, parts = zip(*(render_aligned_face(np.random.default_rng(i), 64) for i in range(20)))
    eyes = np.argwhere(np.stack(parts) == PART["left eye"])[:, 1:].mean(0)
    assert eyes[::-1] == pytest.approx((193 / 8, 240 / 8), abs=2)
    assert images[0].shape == (64, 64, 3) and parts[0].shape == (64, 64)


# --- Training ---


def test_targets_lead_the_anchors_to_the_faces():
    places, checked = anchors(SCENE[1], SCENE[0]), 0
    for seed in range(10):
        scene = render_detection_scene(np.random.default_rng(seed))
        kinds, boxes, landmarks = targets(scene, places)
        assert kinds.shape == (len(places),) and (kinds == 0).sum() > len(places) / 2
        asked = kinds == 1
        found, points = decode(boxes[asked], landmarks[asked], places[asked])
        if not len(scene.boxes):
            assert not asked.any()
            continue
        nearest = box_iou(found, torch.from_numpy(scene.boxes)).argmax(1)
        assert set(nearest.tolist()) == set(range(len(scene.boxes)))
        assert np.allclose(found, scene.boxes[nearest], atol=0.01)
        assert np.allclose(points, scene.landmarks[nearest], atol=0.01)
        if len(scene.hidden):
            x, y = ((scene.hidden[:, :2] + scene.hidden[:, 2:]) / 2).T
            on = [int(torch.argmin((places[:, 0] - a).abs() + (places[:, 1] - b).abs())) for a, b in zip(x, y)]
            assert (kinds[on] != 0).float().mean() > 0.5
            checked += 1
    assert checked >= 3


def test_the_loss_is_nothing_for_the_truth_and_sees_only_the_hardest_negatives():
    scene = next(s for s in (render_detection_scene(np.random.default_rng(i)) for i in range(9)) if len(s.boxes))
    kinds, boxes, landmarks = wanted = [t[None] for t in targets(scene, anchors(SCENE[1], SCENE[0]))]
    logits = torch.stack([(kinds != 1) * 50.0, (kinds == 1) * 50.0], -1)
    assert multibox_loss((boxes, logits, landmarks), wanted) < 1e-6
    assert multibox_loss((boxes + (kinds == 1)[..., None], logits, landmarks), wanted) == pytest.approx(2 * 4 * 0.5)
    assert multibox_loss((boxes, logits, landmarks + 1.0), wanted) == pytest.approx(10 * 0.5)
    assert multibox_loss((boxes, -logits, landmarks), wanted) == pytest.approx(50 * 8)  # 7 negatives for each positive
    ignored = (kinds == -1)[..., None] * torch.tensor([-90.0, 90.0])
    assert multibox_loss((boxes, logits + ignored, landmarks), wanted) < 1e-6


@pytest.mark.parametrize("name", TRAINERS)
def test_training_writes_weights_that_load_and_is_the_same_again(name, tmp_path):
    for run in "ab":
        TRAINERS[name](2, 3, tmp_path / f"{run}.safetensors", "cpu", SMALL[name], images=3, batch=2)
    first, again = (read_tensors(tmp_path / f"{run}.safetensors") for run in "ab")
    assert all(torch.equal(first[key], again[key]) for key in first)
    metadata = read_metadata(tmp_path / "a.safetensors")
    assert metadata["network"] == name
    load_weights(NETWORKS[name](**json.loads(metadata["settings"])), tmp_path / "a.safetensors")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.safetensors", "b.safetensors"]


# --- The models that ship ---


@pytest.fixture(scope="module")
def restorer():
    return FaceRestorer(*map(shipped, NETWORKS), FaceSettings(score=0.8))


def test_the_detector_finds_rendered_faces_and_their_landmarks(restorer):
    faces_there = found = wrong = 0
    off = []
    for seed in range(30):
        scene = render_faces(np.random.default_rng([7, seed]), 192, 128, 3, (25, 80))
        boxes, landmarks = restorer.detect(scene.image)
        overlap = box_iou(torch.tensor(boxes[:, :4]).float(), torch.tensor(scene.boxes)).numpy()
        faces_there += len(scene.boxes)
        for i, there in enumerate(overlap):
            if len(there) and there.max() > 0.5:
                found += 1
                eyes = np.linalg.norm(scene.landmarks[there.argmax(), 0] - scene.landmarks[there.argmax(), 1])
                off.append(np.abs(landmarks[i] - scene.landmarks[there.argmax()]).mean() / eyes)
            elif not len(scene.hidden):
                wrong += 1
    assert faces_there > 30
    assert found > 0.7 * faces_there
    assert wrong < 0.1 * faces_there
    assert np.mean(off) < 0.12


def test_the_parser_tells_face_from_the_rest(restorer):
    images, parts = (
        np.stack(a)
        for a in zip(*(render_aligned_face(np.random.default_rng([8, i]), restorer.size) for i in range(20)))
    )
    with torch.inference_mode():
        found = restorer.parser.parse(to_tensor(images)).numpy()
    assert (np.isin(found, FACE) == np.isin(parts, FACE)).mean() > 0.9


def test_the_restorer_brings_degraded_faces_nearer_to_clear_ones(restorer):
    clear = np.stack([render_aligned_face(np.random.default_rng([9, i]), restorer.size)[0] for i in range(20)])
    bad = np.stack([degrade(np.random.default_rng([9, i]), face, WORST) for i, face in enumerate(clear)])
    with torch.inference_mode():
        restored = restorer.restorer.restore(to_tensor(bad), [torch.Generator().manual_seed(i) for i in range(20)])

    def psnr(images):
        return (10 * torch.log10(4 / (images - to_tensor(clear)).square().mean((1, 2, 3)))).mean().item()

    assert psnr(restored) > psnr(to_tensor(bad)) + 1


def test_the_pipeline_restores_a_rendered_face(restorer):
    count = 0
    for seed in range(5):
        scene = render_faces(np.random.default_rng([10, seed]), 192, 128, 2, (40, 60))
        bad = degrade(np.random.default_rng(seed), scene.image, 2)
        restored, found = restorer.restore(bad, seed)
        assert np.array_equal(restored, bad) == (found == 0)
        count += found
    assert count >= 3
