"""Restore the faces of images (paper, section IV-C, Table VI: GFPGAN on the images of Stable Diffusion).

GFPGAN restores aligned faces only, so it is part of its authors' pipeline (github.com/TencentARC/GFPGAN, facexlib).
RetinaFace finds faces and five landmarks in each. A similarity transform moves the landmarks to their places in a face
of 512x512 pixels. GFPGAN restores that face. ParseNet finds which of its pixels are face, and those are pasted back.
The paper does not say how it ran GFPGAN, so the settings are those of GFPGAN's authors.

GFPGAN uses random noise. Here it is drawn from the image's seed, so a restored image depends on image and seed alone.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torchvision.ops import nms

from promptmix.datasets.pictures import encode_jpeg
from promptmix.errors import InputError
from promptmix.files import replacing, sha256
from promptmix.networks.checkpoints import load_network
from promptmix.networks.gfpgan import GFPGAN
from promptmix.networks.parsenet import FACE, ParseNet
from promptmix.networks.retinaface import RetinaFace, decode, normalise
from promptmix.out_of_memory import SMALLER, explain_lack_of_memory
from promptmix.running.progress import progress
from promptmix.synthesis.manifest import read_manifest, read_verified, write_manifest

log = logging.getLogger(__name__)

# The networks use the job's threads; OpenCV's share of the time is small.
cv2.setNumThreads(1)

TEMPLATE_SIZE = 512
TEMPLATE = np.array(
    [
        (192.98138, 239.94708),
        (318.90277, 240.1936),
        (256.63416, 314.01935),
        (201.26117, 371.41043),
        (313.08905, 371.15118),
    ]
)
"""Places (x, y) of left eye, right eye, nose, left and right corner of the mouth in a face of 512x512 pixels."""

GREY = (132, 133, 135)
"""The colour of an aligned face where it extends beyond its image."""

BLUR, BORDER = 11, 10
"""For the mask of a face of 512x512 pixels: deviation of the Gaussian, which is applied twice, and width of the border
that is never pasted, both in pixels."""

SMALLEST = 32
"""Least side of an image that RetinaFace accepts, in pixels."""

FACE_PIXELS = {"cpu": 2 * 512**2, "cuda": 8 * 512**2}
"""The most pixels of aligned faces to restore at once."""


@dataclass(frozen=True)
class FaceSettings:
    """Which faces are restored; the defaults are those of the published pipeline.

    Args:
        score: least probability of a face.
        overlap: largest intersection over union of two faces; of two that overlap more, the likelier one stays.
        eyes: least distance of the eyes in pixels, after the enlargement.
        enlarge: factor by which an image is enlarged before faces are detected; the result is reduced again.

    Raises:
        InputError: a setting is out of range.
    """

    score: float = 0.97
    overlap: float = 0.4
    eyes: float = 5
    enlarge: int = 1

    def __post_init__(self):
        for name in ("score", "overlap"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name)!r}; expected a share between 0 and 1")
        if self.eyes <= 0:
            raise InputError(f"eyes is {self.eyes!r}; expected the least distance of the eyes in pixels, more than 0")
        if not isinstance(self.enlarge, int) or self.enlarge < 1:
            raise InputError(f"enlarge is {self.enlarge!r}; expected a whole number, 1 for no enlargement")


class FaceRestorer:
    """The pipeline: three networks in evaluation mode on a device, and the settings.

    Raises:
        InputError: GFPGAN and ParseNet expect faces of different sizes.
    """

    def __init__(
        self,
        detector: RetinaFace,
        parser: ParseNet,
        restorer: GFPGAN,
        settings: FaceSettings | None = None,
        device: torch.device | str = "cpu",
    ):
        if parser.in_size != restorer.out_size:
            raise InputError(
                f"the restorer expects faces of {restorer.out_size} pixels and the parser of {parser.in_size}; both "
                f"get the same faces, so out_size and in_size must be equal"
            )
        self.detector, self.parser, self.restorer = (n.eval().to(device) for n in (detector, parser, restorer))
        self.settings = settings or FaceSettings()
        self.device = torch.device(device)
        self.size = restorer.out_size

    def restore(self, image: np.ndarray, seed: int) -> tuple[np.ndarray, int]:
        """Return an image with restored faces, (H, W, 3) uint8, and the number of faces.

        Pixels on which no face is pasted do not change.

        Args:
            image: (H, W, 3) uint8 RGB.
            seed: of GFPGAN's noise.
        """
        scale = self.settings.enlarge
        large = image if scale == 1 else cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_LANCZOS4)
        matrices = [m for m in map(self.similarity, self.detect(large)[1]) if m is not None]
        if not matrices:
            return image, 0
        generator = torch.Generator().manual_seed(seed)
        at_once = max(1, FACE_PIXELS[self.device.type] // self.size**2)
        pasted = large.astype(np.float32)
        for first in range(0, len(matrices), at_once):  # thousands of faces at once would not fit into memory
            some = matrices[first : first + at_once]
            faces = to_tensor(np.stack([align(large, matrix, self.size) for matrix in some]))
            pixels, parts = self._restore(faces, generator)
            for face, mask, matrix in zip(pixels, map(soft_mask, parts), some, strict=True):
                paste(pasted, face, mask, matrix)
        # Only the change is reduced, so that the other pixels of an enlarged image keep their exact values.
        change = cv2.resize(pasted - large, image.shape[1::-1], interpolation=cv2.INTER_AREA)
        return np.clip(np.rint(image + change), 0, 255).astype(np.uint8), len(matrices)

    @torch.inference_mode()
    def detect(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return an image's faces, the likeliest first: boxes with scores (N, 5) and landmarks (N, 5, 2), in pixels."""
        height, width = image.shape[:2]
        below, right = max(0, SMALLEST - height), max(0, SMALLEST - width)
        padded = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE)
        pixels = torch.from_numpy(np.ascontiguousarray(padded)).to(self.device).permute(2, 0, 1)[None]
        boxes, probabilities, landmarks = self.detector(normalise(pixels))
        boxes, landmarks = decode(boxes[0], landmarks[0], self.detector.anchors(*padded.shape[:2]))
        scores = probabilities[0, :, 1]
        likely = scores > self.settings.score
        boxes, landmarks, scores = boxes[likely].float(), landmarks[likely].float(), scores[likely].float()
        kept = nms(boxes, scores, self.settings.overlap)
        boxes, landmarks, scores = (found[kept].cpu().numpy() for found in (boxes, landmarks, scores))
        near_enough = np.linalg.norm(landmarks[:, 0] - landmarks[:, 1], axis=1) >= self.settings.eyes
        return np.column_stack([boxes, scores])[near_enough], landmarks[near_enough]

    def similarity(self, landmarks: np.ndarray) -> np.ndarray | None:
        """Return the transform that moves a face's landmarks to their places; see `similarity` of the module."""
        return similarity(landmarks, self.size)

    @torch.inference_mode()
    def _restore(self, faces: Tensor, generator: torch.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return restored faces, (N, S, S, 3) uint8, and the parts in them, (N, S, S)."""
        faces = self.restorer.restore(faces.to(self.device), [generator] * len(faces))
        pixels = ((faces + 1) * 127.5).round().byte()
        parts = self.parser.parse(pixels.float() / 127.5 - 1)
        return pixels.permute(0, 2, 3, 1).cpu().numpy(), parts.cpu().numpy()


# --- Geometry ---


def similarity(landmarks: np.ndarray, size: int) -> np.ndarray | None:
    """Return the rotation, scaling and shift, (2, 3), that moves landmarks to those of the template.

    It is fitted by least median of squares, as published, so two wrong landmarks do not spoil it. None if there is no
    such transform, as when all landmarks are at one point.

    Args:
        landmarks: (5, 2), in pixels of the image.
        size: side of the aligned face in pixels.
    """
    template = TEMPLATE * (size / TEMPLATE_SIZE)
    return cv2.estimateAffinePartial2D(landmarks.astype(np.float64), template, method=cv2.LMEDS)[0]


def align(image: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """Return the aligned face, (size, size, 3) uint8; grey where it extends beyond the image."""
    return cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderValue=GREY)


def soft_mask(parts: np.ndarray) -> np.ndarray:
    """Return the weight with which each pixel of an aligned face is pasted, (S, S) float32 in [0, 1], from its parts.

    It is 1 on the parts in FACE, with soft edges. It fades towards the border, where a face can be cut, and is 0 there.
    """
    size = len(parts)
    scale = size / TEMPLATE_SIZE
    mask = np.isin(parts, FACE).astype(np.float32)
    for _ in range(2):
        mask = cv2.GaussianBlur(mask, (0, 0), BLUR * scale)
    inner = np.zeros_like(mask)
    edge, border = size // 20, max(1, round(BORDER * scale))
    inner[edge : size - edge, edge : size - edge] = 1
    inner = cv2.GaussianBlur(inner, (2 * edge + 1, 2 * edge + 1), 0)
    mask = np.minimum(mask, inner)
    mask[:border] = mask[-border:] = mask[:, :border] = mask[:, -border:] = 0
    return mask


def paste(image: np.ndarray, face: np.ndarray, mask: np.ndarray, matrix: np.ndarray) -> None:
    """Paste an aligned face back into an image, in place.

    Args:
        image: (H, W, 3) float32.
        face: (S, S, 3) uint8.
        mask: (S, S) float32, from `soft_mask`.
        matrix: (2, 3), the one the face was aligned with.
    """
    size = len(face)
    corners = np.array([[(0, 0), (size, 0), (size, size), (0, size)]], np.float64)
    there = cv2.transform(corners, cv2.invertAffineTransform(matrix))[0]
    limit = image.shape[1::-1]
    left, top = np.clip(np.floor(there.min(0)).astype(int), 0, limit).tolist()
    right, bottom = np.clip(np.ceil(there.max(0)).astype(int) + 1, 0, limit).tolist()
    if left == right or top == bottom:
        return
    moved = matrix.copy()
    moved[:, 2] += matrix[:, :2] @ (left, top)
    there, flags = (right - left, bottom - top), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    share = cv2.warpAffine(mask, moved, there, flags=flags)[..., None]
    region = image[top:bottom, left:right]
    region += share * (cv2.warpAffine(face, moved, there, flags=flags) - region)


def to_tensor(images: np.ndarray) -> Tensor:
    """Return (N, H, W, 3) uint8 as (N, 3, H, W) float32 in [-1, 1]."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


# --- Files ---


def load_restorer(
    detector: Mapping, parser: Mapping, restorer: Mapping, settings: FaceSettings, device: torch.device | str
) -> FaceRestorer:
    """Return the pipeline with the weights of three files.

    Args:
        detector, parser, restorer: `weights`, a path, and optionally `settings` of RetinaFace, ParseNet and GFPGAN.

    Raises:
        InputError: weights are missing or do not fit, or the sizes of the faces differ.
    """
    parts = {"retinaface": detector, "parsenet": parser, "gfpgan": restorer}
    loaded = [load_network(name, part["weights"], **part.get("settings", {})) for name, part in parts.items()]
    return FaceRestorer(*loaded, settings, device)


def restore_block(restorer: FaceRestorer, manifest: str | Path, folder: str | Path, out: str | Path) -> None:
    """Restore the faces of a block of images; write each image as JPEG of its quality, and then the manifest.

    An image without faces is copied byte by byte. The new manifest says in `faces` how many were restored.

    Args:
        manifest: the block's.
        folder: where to write the images, under the same names.
        out: where to write the new manifest.

    Raises:
        InputError: an image is missing or is not the one that was generated, or memory does not suffice.
    """
    rows = read_manifest(manifest)
    files = [Path(folder, Path(file).name) for file in rows["file"]]
    counts = []
    for row, file in progress(zip(rows.itertuples(), files), len(rows), "images restored"):
        with explain_lack_of_memory(f"the faces of an image of {row.width}x{row.height} pixels", SMALLER):
            restored, faces = restorer.restore(read_verified(row.file, row.sha256), int(row.seed))
        content = encode_jpeg(restored, int(row.quality)) if faces else Path(row.file).read_bytes()
        with replacing(file) as temporary:
            temporary.write_bytes(content)
        counts.append(faces)
    log.info("%d faces restored in %d of %d images", sum(counts), sum(map(bool, counts)), len(counts))
    write_manifest(out, rows.assign(file=files, sha256=[sha256(file) for file in files], faces=counts))
