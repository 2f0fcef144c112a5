"""The miniature's models that find, parse and restore faces, trained on rendered ones.

RetinaFace is trained by its multi-box loss; ParseNet by the cross entropy of the parts; GFPGAN by the absolute error of
the pixels and of their differences. GFPGAN's published perceptual, identity and adversarial losses are left out: they
make the network invent detail that a photograph has lost, and rendered faces have no such detail.
"""

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.ops import box_iou

from promptmix.miniature.models.loop import fit, state_of
from promptmix.miniature.rendering.faces import (
    SCENE,
    Faces,
    degrade,
    mirror,
    render_aligned_face,
    render_detection_scene,
)
from promptmix.networks.checkpoints import save_weights
from promptmix.networks.gfpgan import GFPGAN
from promptmix.networks.parsenet import ParseNet
from promptmix.networks.retinaface import RetinaFace, encode, normalise
from promptmix.running.progress import progress
from promptmix.synthesis.faces import to_tensor

WORST = 6.0
"""The most that a clear face is reduced for GFPGAN's training: an aligned face of 32 pixels to one as in a crowd."""


# --- Finding faces ---


def targets(faces: Faces, anchors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return what the network should predict for each anchor: class (A), boxes (A, 4), landmarks (A, 10).

    Class 1 is a face: the anchor's intersection over union with it is 0.35 or more, or is the largest of all anchors.
    Class 0 is background. Class -1 is left out of the loss: the anchor is on a hidden face, or its intersection over
    union with a face is between 0.25 and 0.35.
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
    """Return RetinaFace's loss per face: twice the boxes', the landmarks', and the classes' with hard negatives only.

    Args:
        found: box regressions (N, A, 4), logits (N, A, 2) and landmark regressions (N, A, 10) of the network.
        wanted: class (N, A), boxes (N, A, 4) and landmarks (N, A, 10), see `targets`.
        hard: negatives per positive in each image, those with the largest loss; this many also without a positive.
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
    """Train RetinaFace on rendered scenes, write the weights to `out`, and return the history.

    Args:
        settings: of the network.
        images: number of scenes; each is mirrored in half of the draws.
    """
    numbers = progress(range(images), images, "scenes rendered")
    scenes = [render_detection_scene(np.random.default_rng([seed, 0, i])) for i in numbers]
    torch.manual_seed(seed)
    network = RetinaFace(**settings).to(device)
    anchors = network.anchors(SCENE[1], SCENE[0]).cpu()

    def loss(step: int) -> Tensor:
        rng = np.random.default_rng([seed, 1, step])
        drawn = [scenes[i] for i in rng.integers(images, size=batch)]
        drawn = [mirror(scene) if rng.random() < 0.5 else scene for scene in drawn]
        wanted = [torch.stack(t).to(device) for t in zip(*(targets(scene, anchors) for scene in drawn))]
        pixels = torch.from_numpy(np.stack([scene.image for scene in drawn])).to(device).permute(0, 3, 1, 2)
        return multibox_loss(network.raw(normalise(pixels)), wanted)

    history = fit(network, loss, steps, rate, state_of(out))
    save_weights(out, network, {"network": "retinaface", "settings": json.dumps(settings)}, torch.float16)
    return history


# --- Parsing and restoring faces ---


def _render_aligned_faces(seed: int, count: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return aligned faces (N, S, S, 3) and parts (N, S, S)."""
    numbers = progress(range(count), count, "faces rendered")
    images, parts = zip(*(render_aligned_face(np.random.default_rng([seed, 2, i]), size) for i in numbers))
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
    """Train ParseNet on rendered faces, half of them slightly degraded, save to `out`, and return the history."""
    torch.manual_seed(seed)
    network = ParseNet(**settings).to(device)
    faces, parts = _render_aligned_faces(seed, images, network.in_size)

    def loss(step: int) -> Tensor:
        rng = np.random.default_rng([seed, 3, step])
        drawn = rng.integers(images, size=batch)
        seen = np.stack([degrade(rng, faces[i], 3) if rng.random() < 0.5 else faces[i] for i in drawn])
        logits, _ = network(to_tensor(seen).to(device))
        return nn.functional.cross_entropy(logits, torch.from_numpy(parts[drawn]).long().to(device))

    history = fit(network, loss, steps, rate, state_of(out))
    save_weights(out, network, {"network": "parsenet", "settings": json.dumps(settings)}, torch.float16)
    return history


def restoration_loss(restored: Tensor, guesses: list[Tensor], clear: Tensor) -> Tensor:
    """Return the mean absolute error of the pixels and of their differences, plus half of that of the U-Net's guesses.

    Args:
        restored: (N, 3, S, S), GFPGAN's output.
        guesses: (N, 3, s, s) each, GFPGAN's second output, at growing sizes s.
        clear: (N, 3, S, S), the faces before they were degraded.
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
    """Train GFPGAN on rendered faces, degraded by up to `WORST`, save to `out`, and return the history."""
    torch.manual_seed(seed)
    network = GFPGAN(**settings).to(device)
    faces, _ = _render_aligned_faces(seed, images, network.out_size)

    def loss(step: int) -> Tensor:
        rng = np.random.default_rng([seed, 4, step])
        clear = faces[rng.integers(images, size=batch)]
        clear = np.where(rng.random(batch)[:, None, None, None] < 0.5, clear[:, :, ::-1], clear)
        bad = np.stack([degrade(rng, face, WORST) for face in clear])
        generators = [torch.Generator().manual_seed(seed + step)] * batch
        restored, guesses = network(to_tensor(bad).to(device), network.draw_noise(generators))
        return restoration_loss(restored, guesses, to_tensor(clear).to(device))

    history = fit(network, loss, steps, rate, state_of(out))
    save_weights(out, network, {"network": "gfpgan", "settings": json.dumps(settings)}, torch.float16)
    return history


TRAINERS = {"retinaface": train_detector, "parsenet": train_parser, "gfpgan": train_restorer}
"""The function that trains each network."""
