"""Rendered faces with known landmarks and parts, and training images made of them.

Heads are those of `crowds` (hair one head width wide, and the skin on it), seen from nearer. A head that is large
enough to show them has eyes, brows, a nose and a mouth, in the proportions of the 512x512 face that the published
pipeline aligns to. So what the models learn from large heads holds for the few pixels of a head in a crowd.
"""

import io
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw

from promptmix.datasets.pictures import encode_jpeg
from promptmix.miniature.rendering.scenery import HAIR, SCENES, SKIN, VIVID, Pen, mix, pick
from promptmix.networks.parsenet import CLASSES
from promptmix.synthesis.faces import align, similarity

PART = {name: number for number, name in enumerate(CLASSES)}

DETAIL = 24
"""Least head width, in pixels of the canvas, of heads that show more than hair and skin, which is all in `crowds`."""

IN_SIGHT = 0.7
"""Least visible share of a face for it to be labelled."""


@dataclass(frozen=True)
class Faces:
    """A rendered image and its faces. The centre of the first pixel is (0, 0), as in OpenCV and facexlib.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        parts: (H, W) uint8, the class of each pixel, as ParseNet numbers them.
        boxes: (N, 4) float32, left, top, right, bottom of the skin of each visible face, in pixels.
        landmarks: (N, 5, 2) float32, x and y of eyes, nose and corners of the mouth, left before right in the image.
        hidden: (M, 4) float32, boxes of the faces that are not visible enough (`IN_SIGHT`) or too small (`FAINT`).
    """

    image: np.ndarray
    parts: np.ndarray
    boxes: np.ndarray
    landmarks: np.ndarray
    hidden: np.ndarray


# --- Rendering ---


class _Canvas:
    """An image, and for each pixel the part that it shows and the number of the face it belongs to (0: none)."""

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
    """Draw a person, given the head's middle and width; return box and landmarks if the person faces the camera."""
    detail = d >= DETAIL
    tilt = rng.normal(0, 0.12 if detail else 0.03)  # without eyes and a mouth a tilt could not be seen
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
    if rng.random() < 0.7:  # faces the camera
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
    """Return the landmarks, (5, 2), in head widths; draw the features unless `owner` is 0, as for a small head."""
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
    """Render people in front of one of the crowds' scenes; equal generator states and arguments give equal bytes.

    Args:
        rng: source of all variation.
        width, height: of the image, in pixels.
        people: number of people; seven in ten face the camera, and some of these are hidden by others.
        heads: least and largest width of a head in pixels; nearer people are larger and lower in the image.
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
        _expose(rng, np.asarray(pen.image.reduce(zoom), np.float32), grey),
        np.asarray(canvas.parts)[half::zoom, half::zoom].copy(),
        *(a.astype(np.float32) for a in (boxes[shown], landmarks[shown], boxes[~shown])),
    )


def _expose(rng, pixels: np.ndarray, grey: bool) -> np.ndarray:
    """Return pixels with random contrast, exposure and warmth, as the crowds have, (H, W, 3) uint8."""
    middle = pixels.mean()
    pixels = (pixels - middle) * rng.uniform(0.72, 1.15) + middle * rng.uniform(0.75, 1.2)
    pixels *= 1 + np.array([1, 0, -1], np.float32) * rng.normal(0, 0.04)
    if grey:
        pixels = np.repeat(pixels @ np.array([[0.299], [0.587], [0.114]], np.float32), 3, axis=2)
    return np.clip(pixels + 0.5, 0, 255).astype(np.uint8)


def degrade(rng: np.random.Generator, image: np.ndarray, worst: float) -> np.ndarray:
    """Return an image, (H, W, 3) uint8, as from a bad camera: blurred, reduced, with noise, a JPEG, enlarged again.

    Args:
        worst: largest factor by which the image is reduced; with 1, only blur, noise and JPEG remain.
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


# --- Training images ---

SCENE = (192, 128)
"""Width and height of the detector's training images."""

FAINT = 5.0
"""Least distance of the eyes, in pixels, of a face that the detector has to find; smaller ones count as hidden."""


def render_detection_scene(rng: np.random.Generator) -> Faces:
    """Render a scene of SCENE pixels for the detector: large heads, or small ones that are enlarged up to eight times.

    The enlarged scenes look like the miniature's images after the pipeline has enlarged them. Faces that are too small
    (`FAINT`) are among the hidden ones.
    """
    scale = int(rng.choice([1, 2, 4, 8], p=[0.2, 0.15, 0.2, 0.45]))
    people, heads = {1: ((1, 8), (16, 110)), 2: ((3, 16), (7, 40)), 4: ((4, 24), (3.5, 16)), 8: ((3, 14), (2, 8))}[
        scale
    ]
    width, height = SCENE[0] // scale, SCENE[1] // scale
    faces = render_faces(rng, width, height, rng.integers(*people), heads, rng.random() < 0.25)
    image = cv2.resize(degrade(rng, faces.image, 1.2), SCENE, interpolation=cv2.INTER_LANCZOS4)
    parts = cv2.resize(faces.parts, SCENE, interpolation=cv2.INTER_NEAREST)
    boxes, landmarks, hidden = ((a + 0.5) * scale - 0.5 for a in (faces.boxes, faces.landmarks, faces.hidden))
    clear = np.linalg.norm(landmarks[:, 0] - landmarks[:, 1], axis=1) >= FAINT
    return Faces(image, parts, boxes[clear], landmarks[clear], np.concatenate([hidden, boxes[~clear]]))


def mirror(faces: Faces) -> Faces:
    """Return the mirror image; left and right parts and landmarks change places."""
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


def render_aligned_face(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Render a clear aligned face, (size, size, 3) uint8, and its parts, (size, size) uint8.

    The landmarks by which it is aligned are off by about 3 % of the distance between the eyes, as a detector's are.
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
