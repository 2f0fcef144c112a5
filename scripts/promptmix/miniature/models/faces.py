"""Rendered faces with known landmarks and parts, and the miniature's models that find, parse and restore them.

Heads are those of `crowds` (hair one head width wide, and on it the skin), seen from nearer: where a head is large enough
to show them, it has eyes, brows, a nose and a mouth, in the proportions of the 512x512 face that the published pipeline
aligns to. So what the models learn from large heads holds for the few pixels of a head in a crowd.

The models: RetinaFace, trained by its multi-box loss; ParseNet, by the cross entropy of the parts; GFPGAN, by the
absolute error of pixels and of their differences (the published one's perceptual, identity and adversarial losses, which
invent what a photograph does not show, have nothing to hold on to here).
"""

import io
import json
import logging
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor, nn
from torchvision.ops import box_iou

from promptmix.datasets.pictures import encode_jpeg
from promptmix.miniature.models.loop import fit, state_of
from promptmix.miniature.rendering.scenery import HAIR, SCENES, SKIN, VIVID, Pen, mix, pick
from promptmix.networks.checkpoints import save_weights
from promptmix.networks.gfpgan import GFPGAN
from promptmix.networks.parsenet import CLASSES, ParseNet
from promptmix.networks.retinaface import RetinaFace, encode, normalise
from promptmix.running.progress import progress
from promptmix.synthesis.faces import align, similarity, to_tensor

log = logging.getLogger(__name__)

PART = {name: number for number, name in enumerate(CLASSES)}

DETAIL = 24
"""Least head width, in pixels of the canvas, that shows more than hair and skin, as the heads of `crowds` do."""

WORST = 6.0
"""How many times an aligned face of 32 pixels is reduced at most before it is to be restored: to those of a crowd."""

IN_SIGHT = 0.7
"""Least share of a face that is in sight for the face to be labelled."""


@dataclass(frozen=True)
class Faces:
    """A rendered image and its faces. The centre of the first pixel is (0, 0), as in OpenCV and facexlib.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        parts: (H, W) uint8, the class of each pixel, as ParseNet numbers them.
        boxes: (N, 4) float32, left, top, right, bottom of the skin of each face in sight, in pixels.
        landmarks: (N, 5, 2) float32, x and y of eyes, nose and corners of the mouth, left before right in the image.
        hidden: (M, 4) float32, boxes of the faces that are mostly out of sight.
    """

    image: np.ndarray
    parts: np.ndarray
    boxes: np.ndarray
    landmarks: np.ndarray
    hidden: np.ndarray


# --- Rendering ---


class _Canvas:
    """An image, the part that each pixel shows, and the face that it belongs to (0: none)."""

    def __init__(self, width: int, height: int, zoom: int):
        self.pen = Pen(width, height, zoom)
        self.parts, self.owners = (Image.new("L", (self.pen.w, self.pen.h)) for _ in range(2))
        self.draws = self.pen.d, ImageDraw.Draw(self.parts), ImageDraw.Draw(self.owners)

    def polygon(self, points: np.ndarray, colour, part: str, owner: int = 0) -> None:
        outline = [(x, y) for x, y in points.tolist()]
        for draw, fill in zip(self.draws, (colour, PART[part], owner)):
            draw.polygon(outline, fill)


_CIRCLE = np.stack([np.cos(np.arange(24) * np.pi / 12), np.sin(np.arange(24) * np.pi / 12)], 1)


def _oval(x, y, rx, ry) -> np.ndarray:
    return (x, y) + _CIRCLE * (rx, ry)


def _draw_person(canvas: _Canvas, rng, x: float, y: float, d: float, owner: int, light, clothes) -> tuple | None:
    """Draw a person by the middle of the head and its width; return box and landmarks if the person faces us."""
    detail = d >= DETAIL
    tilt = rng.normal(0, 0.12 if detail else 0.03)  # without eyes and a mouth, who could tell
    turned = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])

    def at(points) -> np.ndarray:
        return (x, y) + d * (np.asarray(points) @ turned.T)

    def lit(colour):
        return tuple(min(255, int(c * share)) for c, share in zip(colour, light))

    def draw(points, colour, part, face=0):
        canvas.polygon(at(points), lit(colour), part, face)

    skin, hair = pick(rng, SKIN), pick(rng, HAIR)
    cloth = pick(rng, clothes)
    body = (x, y) + d * np.array([(-0.5, 0.42), (0.5, 0.42), (0.78, 0.7), (0.78, 3.4), (-0.78, 3.4), (-0.78, 0.7)])
    canvas.polygon(body, lit(cloth), "clothes")
    if detail and rng.random() < 0.35:  # long hair
        draw([(-0.5, 0), (0.5, 0), (0.52, 0.8), (0.3, 0.86), (-0.3, 0.86), (-0.52, 0.8)], hair, "hair")
    draw(_oval(0, -0.03, 0.5, 0.55), hair, "hair")
    found = None
    if rng.random() < 0.7:  # faces us
        turn = rng.uniform(-0.12, 0.12)
        if detail and rng.random() < 0.5:
            for side, part in ((-1, "left ear"), (1, "right ear")):
                draw(_oval(turn + side * 0.37, 0.08, 0.06, 0.1), mix(skin, (120, 40, 30), 0.15), part, owner)
        outline = _oval(turn, 0.12, 0.36, 0.4)
        draw(outline, skin, "skin", owner)
        found = at(outline), at(_draw_features(rng, draw, turn, skin, hair, owner if detail else 0))
    if rng.random() < 0.15:
        colour = pick(rng, VIVID)
        draw(np.array([(0, -0.1)] + [(0.52 * c, 0.55 * min(s, 0) - 0.1) for c, s in _CIRCLE]), colour, "hat")
        if rng.random() < 0.4:
            draw(_oval(0, -0.22, 0.8, 0.16), colour, "hat")
    if found is None:
        return None
    box = np.concatenate([found[0].min(0), found[0].max(0)])
    return box, found[1]


def _draw_features(rng, draw, turn: float, skin, hair, owner: int) -> np.ndarray:
    """Draw eyes, brows, nose and mouth where the head shows them (owner is not 0); return the landmarks in head widths."""
    middle, narrow = 1.6 * turn, 1 - abs(turn)
    eye, brow = 0.2 * narrow * rng.uniform(0.92, 1.08), -0.1 + rng.uniform(-0.015, 0.015)
    eyes, nose, mouth = (v + rng.uniform(-0.012, 0.012) for v in (0.01, 0.245, 0.42))
    half = 0.178 * narrow * rng.uniform(0.85, 1.12)
    landmarks = [(middle - eye, eyes), (middle + eye, eyes), (middle + 0.5 * turn, nose)]
    landmarks += [(middle - half, mouth), (middle + half, mouth)]
    if owner:
        iris = pick(rng, [(40, 26, 18), (70, 44, 26), (60, 90, 130), (50, 90, 60)])
        glasses = rng.random() < 0.08
        for side, name in ((-1, "left"), (1, "right")):
            u = middle + side * eye
            draw(_oval(u, brow, 0.105 * narrow, 0.022), mix(hair, (20, 14, 12), 0.3), f"{name} brow", owner)
            if glasses:
                draw(_oval(u, eyes, 0.13 * narrow, 0.09), (30, 30, 34), "glasses", owner)
            else:
                draw(_oval(u, eyes, 0.08 * narrow, 0.05), (238, 236, 232), f"{name} eye", owner)
                draw(_oval(u, eyes, 0.042, 0.042), iris, f"{name} eye", owner)
        draw(_oval(middle + 0.4 * turn, nose - 0.075, 0.05, 0.085), mix(skin, (110, 40, 30), 0.22), "nose", owner)
        lips, open_ = mix(skin, (176, 30, 52), rng.uniform(0.35, 0.7)), rng.random() < 0.4
        draw(_oval(middle, mouth + 0.012, half * 0.9, 0.042), lips, "lower lip", owner)
        draw(_oval(middle, mouth - 0.012, half, 0.032), mix(lips, (90, 10, 20), 0.2), "upper lip", owner)
        if open_:
            draw(_oval(middle, mouth, half * 0.75, 0.02), pick(rng, [(240, 236, 230), (70, 20, 24)]), "mouth", owner)
    return np.array(landmarks)


def render_faces(
    rng: np.random.Generator, width: int, height: int, people: int, heads: tuple[float, float], grey: bool = False
) -> Faces:
    """Render people before one of the scenes of the crowds; the same generator state and arguments give the same bytes.

    Args:
        rng: source of all variation.
        width, height: of the image, in pixels.
        people: number of people; seven in ten face us, and not all of them remain in sight.
        heads: least and largest width of a head in pixels; the nearer a person, the larger and lower.
        grey: render in shades of grey.
    """
    zoom = 3 if width * height <= 20_000 else 2
    canvas = _Canvas(width, height, zoom)
    pen = canvas.pen
    scene = SCENES[list(SCENES)[rng.integers(len(SCENES))]](pen, rng)
    least, largest = heads[0] * zoom, heads[1] * zoom
    for prop in scene.props:
        y = scene.far + (scene.near - scene.far) * prop.t
        prop.draw(pen, prop.u * pen.w, y * pen.h, min(least + (largest - least) * prop.t, pen.h / 8))
    faces = []
    for nearness in np.sort(rng.random(people)).tolist():
        d = least * (largest / least) ** nearness
        low, high = min(0.6 * d, 0.5 * pen.h), max(pen.h - 0.5 * d, 0.5 * pen.h)
        y = low + (high - low) * np.clip(nearness + rng.normal(0, 0.15), 0, 1)
        found = _draw_person(canvas, rng, rng.random() * pen.w, y, d, len(faces) + 1, scene.light, scene.clothes)
        if found:
            faces.append((*found, np.pi * 0.36 * 0.4 * d**2))
    boxes, landmarks = (
        np.array([f[i] for f in faces]).reshape(-1, *s) / zoom - 0.5 for i, s in ((0, (4,)), (1, (5, 2)))
    )
    seen = np.bincount(np.asarray(canvas.owners).ravel(), minlength=len(faces) + 1)[1 : len(faces) + 1]
    shown = seen > IN_SIGHT * np.array([area for *_, area in faces])
    half = zoom // 2
    return Faces(
        _exposed(rng, np.asarray(pen.image.reduce(zoom), np.float32), grey),
        np.asarray(canvas.parts)[half::zoom, half::zoom].copy(),
        *(a.astype(np.float32) for a in (boxes[shown], landmarks[shown], boxes[~shown])),
    )


def _exposed(rng, pixels: np.ndarray, grey: bool) -> np.ndarray:
    """Contrast, exposure, warmth, as the crowds' photographs have them."""
    middle = pixels.mean()
    pixels = (pixels - middle) * rng.uniform(0.72, 1.15) + middle * rng.uniform(0.75, 1.2)
    pixels *= 1 + np.array([1, 0, -1], np.float32) * rng.normal(0, 0.04)
    if grey:
        pixels = np.repeat(pixels @ np.array([[0.299], [0.587], [0.114]], np.float32), 3, axis=2)
    return np.clip(pixels + 0.5, 0, 255).astype(np.uint8)


def degraded(rng: np.random.Generator, image: np.ndarray, worst: float) -> np.ndarray:
    """Return an image, (H, W, 3) uint8, as a bad camera would have it: blurred, reduced, noisy, a JPEG, enlarged again.

    Args:
        worst: how many times the image is reduced at most; 1 leaves blur, noise and JPEG.
    """
    height, width = image.shape[:2]
    reduction = worst ** rng.random()
    if rng.random() < 0.6:
        image = cv2.GaussianBlur(image, (0, 0), reduction * rng.uniform(0.3, 0.8))
    small = (max(2, round(width / reduction)), max(2, round(height / reduction)))
    image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    noise = rng.standard_normal((*image.shape[:2], 1), np.float32) * rng.uniform(0, 6)
    image = np.clip(image + noise + 0.5, 0, 255).astype(np.uint8)
    if rng.random() < 0.7:
        image = np.asarray(Image.open(io.BytesIO(encode_jpeg(image, rng.integers(60, 96)))))
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LANCZOS4)


# --- Finding faces ---

SCENE = (192, 128)
"""Width and height of the detector's training images."""

FAINT = 5.0
"""Least distance of the eyes, in pixels, of a face that the detector has to find or may find."""


def detection_scene(rng: np.random.Generator) -> Faces:
    """Return a scene of SCENE pixels for the detector: large heads, or a few or many small ones that were enlarged.

    What was enlarged, up to eight times, is what an image of the miniature is when the pipeline has enlarged it. Faces
    that are too small are among the hidden ones.
    """
    scale = int(rng.choice([1, 2, 4, 8], p=[0.2, 0.15, 0.2, 0.45]))
    people, heads = {1: ((1, 8), (16, 110)), 2: ((3, 16), (7, 40)), 4: ((4, 24), (3.5, 16)), 8: ((3, 14), (2, 8))}[
        scale
    ]
    width, height = SCENE[0] // scale, SCENE[1] // scale
    faces = render_faces(rng, width, height, rng.integers(*people), heads, rng.random() < 0.25)
    image = cv2.resize(degraded(rng, faces.image, 1.2), SCENE, interpolation=cv2.INTER_LANCZOS4)
    parts = cv2.resize(faces.parts, SCENE, interpolation=cv2.INTER_NEAREST)
    boxes, landmarks, hidden = ((a + 0.5) * scale - 0.5 for a in (faces.boxes, faces.landmarks, faces.hidden))
    clear = np.linalg.norm(landmarks[:, 0] - landmarks[:, 1], axis=1) >= FAINT
    return Faces(image, parts, boxes[clear], landmarks[clear], np.concatenate([hidden, boxes[~clear]]))


def mirrored(faces: Faces) -> Faces:
    """Return an image seen in a mirror, where left eyes are right ones."""
    last = faces.image.shape[1] - 1
    swapped = np.arange(len(CLASSES), dtype=np.uint8)
    for name, number in PART.items():
        if name.startswith("left"):
            other = PART[name.replace("left", "right")]
            swapped[[number, other]] = other, number
    boxes, hidden = (
        np.stack([last - b[:, 2], b[:, 1], last - b[:, 0], b[:, 3]], 1) for b in (faces.boxes, faces.hidden)
    )
    landmarks = faces.landmarks[:, [1, 0, 2, 4, 3]] * (-1, 1) + (last, 0)
    return Faces(
        np.ascontiguousarray(faces.image[:, ::-1]),
        np.ascontiguousarray(swapped[faces.parts[:, ::-1]]),
        boxes,
        landmarks.astype(np.float32),
        hidden,
    )


def targets(faces: Faces, anchors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return what the network should say of each anchor: class (A), boxes (A, 4), landmarks (A, 10).

    Class 1 is a face: the anchor's intersection over union with it is 0.35 or more, or is the largest of all anchors.
    Class -1 is left out of the loss: the anchor lies on a face that cannot be asked for, or nearly on one.
    """
    kinds = torch.zeros(len(anchors), dtype=torch.long)
    boxes, landmarks = anchors.new_zeros(len(anchors), 4), anchors.new_zeros(len(anchors), 10)
    corners = torch.cat([anchors[:, :2] - anchors[:, 2:] / 2, anchors[:, :2] + anchors[:, 2:] / 2], 1)
    if len(faces.hidden):
        hidden = torch.from_numpy(faces.hidden)
        inside = (anchors[:, None, :2] > hidden[:, :2]) & (anchors[:, None, :2] < hidden[:, 2:])
        kinds[inside.all(-1).any(1) | (box_iou(corners, hidden) > 0.25).any(1)] = -1
    if len(faces.boxes):
        truth, points = torch.from_numpy(faces.boxes), torch.from_numpy(faces.landmarks)
        overlap = box_iou(corners, truth)
        best, which = overlap.max(1)
        kinds[(best > 0.25) & (best < 0.35)] = -1
        kinds[best >= 0.35] = 1
        own = overlap.argmax(0)
        kinds[own], which[own] = 1, torch.arange(len(truth))
        is_face = kinds == 1
        boxes[is_face], landmarks[is_face] = encode(truth[which][is_face], points[which][is_face], anchors[is_face])
    return kinds, boxes, landmarks


def multibox_loss(found: tuple[Tensor, Tensor, Tensor], wanted: tuple[Tensor, Tensor, Tensor], hard: int = 7) -> Tensor:
    """Return RetinaFace's loss: twice the boxes', the landmarks', and the classes' with the hardest negatives only.

    Args:
        found: box regressions (N, A, 4), logits (N, A, 2) and landmark regressions (N, A, 10) of the network.
        wanted: class (N, A), boxes (N, A, 4) and landmarks (N, A, 10), see `targets`.
        hard: negatives for each positive, of each image.
    """
    boxes, logits, landmarks = found
    kinds, true_boxes, true_landmarks = wanted
    faces = kinds == 1
    entropy = nn.functional.cross_entropy(logits.transpose(1, 2), kinds, ignore_index=-1, reduction="none")
    negatives = entropy.detach().masked_fill(kinds != 0, 0)
    rank = negatives.argsort(1, descending=True).argsort(1)
    chosen = faces | ((kinds == 0) & (rank < (hard * faces.sum(1, keepdim=True)).clamp(min=hard)))
    shape = sum(
        weight * nn.functional.smooth_l1_loss(a[faces], b[faces], reduction="sum")
        for weight, a, b in ((2, boxes, true_boxes), (1, landmarks, true_landmarks))
    )
    return (entropy[chosen].sum() + shape) / faces.sum().clamp(min=1)


def train_detector(
    steps: int,
    seed: int,
    out: Path,
    device: str,
    settings: dict,
    images: int = 3000,
    batch: int = 8,
    rate: float = 2e-3,
) -> list:
    """Train RetinaFace on rendered scenes and write the weights to `out`.

    Args:
        settings: of the network.
        images: number of scenes, each of which is seen both ways round.
    """
    numbers = progress(range(images), images, "scenes rendered")
    scenes = [detection_scene(np.random.default_rng([seed, 0, i])) for i in numbers]
    torch.manual_seed(seed)
    network = RetinaFace(**settings).to(device)
    anchors = network.anchors(SCENE[1], SCENE[0]).cpu()

    def loss(step: int) -> Tensor:
        rng = np.random.default_rng([seed, 1, step])
        drawn = [scenes[i] for i in rng.integers(images, size=batch)]
        drawn = [mirrored(scene) if rng.random() < 0.5 else scene for scene in drawn]
        wanted = [torch.stack(t).to(device) for t in zip(*(targets(scene, anchors) for scene in drawn))]
        pixels = torch.from_numpy(np.stack([scene.image for scene in drawn])).to(device).permute(0, 3, 1, 2)
        return multibox_loss(network.raw(normalise(pixels)), wanted)

    history = fit(network, loss, steps, rate, state_of(out))
    save_weights(out, network, {"network": "retinaface", "settings": json.dumps(settings)}, torch.float16)
    return history


# --- Parsing and restoring faces ---


def aligned_face(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a clear aligned face, (size, size, 3) uint8, and its parts, (size, size) uint8.

    The landmarks that it is aligned by are off by about 3 % of the eyes' distance, as a detector's are.
    """
    while True:
        faces = render_faces(rng, 128, 128, rng.integers(1, 4), (30, 64), rng.random() < 0.25)
        if not len(faces.landmarks):
            continue
        landmarks = faces.landmarks[rng.integers(len(faces.landmarks))]
        off = rng.normal(0, 0.03, landmarks.shape) * np.linalg.norm(landmarks[0] - landmarks[1])
        matrix = similarity(landmarks + off, size)
        within = cv2.warpAffine(np.ones((128, 128), np.float32), matrix, (size, size))
        if within.mean() > 0.85:
            break
    parts = cv2.warpAffine(faces.parts, matrix, (size, size), flags=cv2.INTER_NEAREST)
    return align(faces.image, matrix, size), parts


def _aligned_faces(seed: int, count: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return aligned faces (N, S, S, 3) and parts (N, S, S)."""
    numbers = progress(range(count), count, "faces rendered")
    images, parts = zip(*(aligned_face(np.random.default_rng([seed, 2, i]), size) for i in numbers))
    return np.stack(images), np.stack(parts)


def train_parser(
    steps: int,
    seed: int,
    out: Path,
    device: str,
    settings: dict,
    images: int = 3000,
    batch: int = 16,
    rate: float = 2e-3,
) -> list:
    """Train ParseNet on rendered faces, clear ones and slightly degraded ones, and write the weights to `out`."""
    torch.manual_seed(seed)
    network = ParseNet(**settings).to(device)
    faces, parts = _aligned_faces(seed, images, network.in_size)

    def loss(step: int) -> Tensor:
        rng = np.random.default_rng([seed, 3, step])
        drawn = rng.integers(images, size=batch)
        seen = np.stack([degraded(rng, faces[i], 3) if rng.random() < 0.5 else faces[i] for i in drawn])
        logits, _ = network(to_tensor(seen).to(device))
        return nn.functional.cross_entropy(logits, torch.from_numpy(parts[drawn]).long().to(device))

    history = fit(network, loss, steps, rate, state_of(out))
    save_weights(out, network, {"network": "parsenet", "settings": json.dumps(settings)}, torch.float16)
    return history


def restoration_loss(restored: Tensor, guesses: list[Tensor], clear: Tensor) -> Tensor:
    """Return the absolute error of the pixels and of their differences, and half of that of the U-Net's guesses.

    Args:
        restored: (N, 3, S, S), what GFPGAN returns.
        guesses: (N, 3, s, s) each, likewise.
        clear: (N, 3, S, S), the faces as they should be.
    """
    error = restored - clear
    edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
    pyramid = [(g - nn.functional.adaptive_avg_pool2d(clear, g.shape[-1])).abs().mean() for g in guesses]
    return error.abs().mean() + edges + 0.5 * sum(pyramid) / len(pyramid)


def train_restorer(
    steps: int,
    seed: int,
    out: Path,
    device: str,
    settings: dict,
    images: int = 3000,
    batch: int = 8,
    rate: float = 2e-3,
) -> list:
    """Train GFPGAN on rendered faces that were degraded (`WORST`), and write the weights to `out`."""
    torch.manual_seed(seed)
    network = GFPGAN(**settings).to(device)
    faces, _ = _aligned_faces(seed, images, network.out_size)

    def loss(step: int) -> Tensor:
        rng = np.random.default_rng([seed, 4, step])
        clear = faces[rng.integers(images, size=batch)]
        clear = np.where(rng.random(batch)[:, None, None, None] < 0.5, clear[:, :, ::-1], clear)
        bad = np.stack([degraded(rng, face, WORST) for face in clear])
        generators = [torch.Generator().manual_seed(seed + step)] * batch
        restored, guesses = network(to_tensor(bad).to(device), network.draw_noise(generators))
        return restoration_loss(restored, guesses, to_tensor(clear).to(device))

    history = fit(network, loss, steps, rate, state_of(out))
    save_weights(out, network, {"network": "gfpgan", "settings": json.dumps(settings)}, torch.float16)
    return history


TRAINERS = {"retinaface": train_detector, "parsenet": train_parser, "gfpgan": train_restorer}
"""How each of the networks is trained."""
