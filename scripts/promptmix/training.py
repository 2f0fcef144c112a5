"""Train a lightweight network on real images and, each epoch, some generated ones (paper, section III, fourth stage).

From the paper: D_epoch = all real training images and r_mix of D_fake, drawn afresh; AdamW with a decay of 1e-4; the
learning rate times 0.99 after each epoch; whole images without augmentation. Our choices, where the paper is silent:

- The loss is the squared error summed over the cells of the map, averaged over the images of the batch (CSRNet's).
- The map has the network's stride; a cell's target is the number of people in it.
- Images of one size share a batch; sizes that are rare make small batches, odd sizes batches of one. There batch
  normalisation takes its statistics from one image, as it would in the authors' batches of one.
- The best epoch by the error on the validation split is kept; the first of equals.
- float16 is CUDA's automatic mixed precision with a scaled loss; on a CPU it is not emulated, and float32 is used.

What an epoch sees (its order, its draw of generated images, its flips) is a function of the seed and the epoch alone,
and so is the state of torch's generator at its start. Real images come in the same order whether or not generated ones
come between them, so a baseline and its PromptMix twin with the same seed are a pair. A run that is killed goes on
from its last saved epoch and, on the same machine with as many threads, ends with the same bits.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from promptmix.batching import density, group
from promptmix.checkpoints import save_weights
from promptmix.density import density_at_stride
from promptmix.errors import InputError
from promptmix.evaluation import mae, predict_counts, rmse
from promptmix.files import replacing, write_csv
from promptmix.manifest import read_verified
from promptmix.maps import map_shape, open_maps, read_map
from promptmix.mixing import check_ratio, draw_epoch
from promptmix.networks import build
from promptmix.optimiser import AdamW

if TYPE_CHECKING:
    from promptmix.datasets.index import Index

log = logging.getLogger(__name__)

CACHE_BYTES = 4 * 2**30
"""Decoded images and targets are kept in memory up to this size, each for itself."""


@dataclass(frozen=True)
class TrainingSettings:
    """Everything that a run depends on besides its data.

    Args:
        network: a key of `promptmix.networks.NETWORKS`.
        learning_rate: of the first epoch.
        epochs: passes over the real training images.
        batch_size: images per update, where so many have one size.
        seed: first weights and order of the images.
        network_settings: such as `{"width": 0.5}`.
        r_mix: generated images per epoch.
        flip: mirror each image with a chance of one half (the paper names no augmentation).
        density_scale: the network learns density times this number (C-3-Framework: 100); the weights that are saved
            give density itself. For networks whose last layer is a convolution named `output_layer`.
        sigma, kernel: of the ground truth's Gaussian, in pixels.
        precision: "float32", or "float16" for mixed precision on CUDA.
        validate_every: epochs between validations; the last epoch is validated in any case.
        weight_decay, decay: AdamW's decay, and what the learning rate is multiplied with after each epoch.
    """

    network: str
    learning_rate: float
    epochs: int
    batch_size: int
    seed: int
    network_settings: dict = field(default_factory=dict)
    r_mix: int = 0
    flip: bool = False
    density_scale: float = 1.0
    sigma: float = 4.0
    kernel: int = 15
    precision: str = "float32"
    validate_every: int = 1
    weight_decay: float = 1e-4
    decay: float = 0.99

    def __post_init__(self):
        if self.precision not in ("float32", "float16"):
            raise InputError(f"precision is {self.precision!r}; expected 'float32' or 'float16'")
        for name in ("epochs", "batch_size", "validate_every"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected 1 or more")


def train(
    settings: TrainingSettings,
    index: Index,
    fake: pd.DataFrame | None,
    folder: str | Path,
    device: torch.device | str,
    weights: dict[str, Tensor] | None = None,
    save_seconds: float = 60,
) -> Path:
    """Train a network and return the path of its checkpoint.

    Only the splits "train" and "val" of the index are read: `RealImages` refuses any other.

    Args:
        settings: what to do.
        index: the dataset.
        fake: D_fake, from `mixing.read_fake`; None without generated images.
        folder: where `checkpoint.safetensors` (weights of the best epoch) and `history.csv` (one row per epoch) appear
            when the run is complete, and `state.pt` lies until then.
        device: where to compute. The caller sets the number of threads.
        weights: to start from, such as ImageNet's or those of a network to fine-tune. Layers that they do not hold
            start as `networks.build` makes them.
        save_seconds: the state is saved after the first epoch that ends so long after the last saving.

    Raises:
        InputError: no training or validation images, r_mix larger than D_fake, or D_fake of another stride.
    """
    device = torch.device(device)
    folder = Path(folder)
    torch.manual_seed(settings.seed)
    network = build(settings.network, **settings.network_settings)
    if weights is not None:
        _start_from(network, weights)
    _check_scale(network, settings.density_scale)
    network = network.to(device, memory_format=torch.channels_last)
    optimiser = AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True)
    half = settings.precision == "float16" and device.type == "cuda"
    if settings.precision == "float16" and not half:
        log.info("float16 is for CUDA; training in float32 on the %s", device.type)
    scaler = torch.amp.GradScaler(device.type, enabled=half)
    if device.type == "cuda":  # the fastest algorithm of each run is not the same in each run
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True

    real = RealImages(index, "train", network.stride, settings.sigma, settings.kernel)
    validation = RealImages(index, "val", network.stride, settings.sigma, settings.kernel)
    generated = FakeImages(fake, network.stride)
    check_ratio(len(generated), settings.r_mix)
    log.info("%d real images, %d of %d generated ones per epoch", len(real), settings.r_mix, len(generated))

    # Where a killed run of the same settings and data has come to.
    name = _fingerprint(settings, weights, real, validation, generated)
    first, history = 1, []
    best = {"epoch": 0, "val_mae": math.inf, "weights": _copy(network)}
    saved = _load_state(folder / "state.pt", name)
    if saved is not None:
        network.load_state_dict(saved["network"])
        optimiser.load_state_dict(saved["optimiser"])
        scaler.load_state_dict(saved["scaler"])
        first, history, best = saved["epoch"] + 1, saved["history"], saved["best"]
        log.info("Going on after epoch %d", saved["epoch"])
    begun = last_saved = last_logged = time.monotonic()

    for epoch in range(first, settings.epochs + 1):
        torch.manual_seed(_seed(settings.seed, epoch))
        rate = settings.learning_rate * settings.decay ** (epoch - 1)
        for parameters in optimiser.param_groups:
            parameters["lr"] = rate

        network.train()
        started = time.monotonic()
        batches = plan_epoch(real.sizes, generated.sizes, settings, epoch)
        total = torch.zeros((), dtype=torch.float64, device=device)
        seen = 0
        for images, targets in _prepared(batches, real, generated, ahead=device.type == "cuda"):
            targets = torch.from_numpy(targets).to(device, non_blocking=True) * settings.density_scale
            with torch.autocast(device.type, dtype=torch.float16, enabled=half):
                predicted = density(network, images, device)
            loss = (predicted.float() - targets).square().sum(dim=(1, 2)).mean()
            optimiser.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()
            scaler.step(optimiser)
            scaler.update()
            total += loss.detach() * len(images)
            seen += len(images)
        loss = float(total) / seen
        seconds = time.monotonic() - started

        row = {"epoch": epoch, "lr": rate, "loss": loss, "val_mae": math.nan, "val_rmse": math.nan}
        row |= {"images": seen, "updates": len(batches), "seconds": round(seconds, 3)}
        if epoch % settings.validate_every == 0 or epoch == settings.epochs:
            errors = predict_counts(network, validation, device) / settings.density_scale - validation.counts
            row |= {"val_mae": mae(errors), "val_rmse": rmse(errors)}
        history.append(row)
        if row["val_mae"] < best["val_mae"]:
            best = {"epoch": epoch, "val_mae": row["val_mae"], "weights": _copy(network)}
        if not math.isfinite(loss):
            log.warning("The loss of epoch %d is %s: the learning rate is too high; stopping here", epoch, loss)
            break

        now = time.monotonic()
        if now - last_saved >= save_seconds and epoch < settings.epochs:
            state = {"name": name, "epoch": epoch, "history": history, "best": best, "network": network.state_dict()}
            state |= {"optimiser": optimiser.state_dict(), "scaler": scaler.state_dict()}
            with replacing(folder / "state.pt") as temporary:
                torch.save(state, temporary)
            last_saved = now
        if epoch in (1, settings.epochs) or now - last_logged >= 10:
            left = (now - begun) / (epoch - first + 1) * (settings.epochs - epoch)
            progress = (epoch, settings.epochs, loss, row["val_mae"], best["val_mae"], best["epoch"], left)
            log.info("epoch %d of %d: loss %.4g, val MAE %.2f (best %.2f, epoch %d), %.0f s left", *progress)
            last_logged = now

    write_csv(folder / "history.csv", history)
    checkpoint = folder / "checkpoint.safetensors"
    metadata = {"network": settings.network, "settings": json.dumps(settings.network_settings, sort_keys=True)}
    metadata |= {"epoch": str(best["epoch"]), "val_mae": repr(best["val_mae"])}
    save_weights(checkpoint, _descaled(best["weights"], settings.density_scale), metadata)
    (folder / "state.pt").unlink(missing_ok=True)
    return checkpoint


def plan_epoch(
    real: list[tuple[int, int]], generated: list[tuple[int, int]], settings: TrainingSettings, epoch: int
) -> list[list[tuple[bool, int, bool]]]:
    """Return the batches of an epoch, given the sizes (height, width) of all real and all generated images.

    Every image draws a number and comes in the order of the numbers. An image is (generated, position, mirrored).
    """
    draw = np.random.default_rng([settings.seed, epoch, 0]).random((len(real), 2))
    items = [(rank, (False, i, flip < 0.5 and settings.flip)) for i, (rank, flip) in enumerate(draw)]
    if settings.r_mix:
        chosen = draw_epoch(len(generated), settings.r_mix, settings.seed, epoch)
        draw = np.random.default_rng([settings.seed, epoch, 2]).random((len(chosen), 2))
        chosen = zip(chosen.tolist(), draw, strict=True)
        items += [(rank, (True, i, flip < 0.5 and settings.flip)) for i, (rank, flip) in chosen]
    items.sort()
    ordered = (item for _, item in items)
    batches = list(group(ordered, settings.batch_size, lambda item: (generated if item[0] else real)[item[1]]))
    # Sizes that do not fill a batch are left for the end; here they find a place among the others.
    order = np.random.default_rng([settings.seed, epoch, 3]).permutation(len(batches))
    return [batches[i] for i in order]


class RealImages:
    """The images of the training or the validation split with their targets, and of no other split."""

    def __init__(self, index: Index, split: str, stride: int, sigma: float, kernel: int):
        if split not in ("train", "val"):
            raise ValueError(f"training reads the splits 'train' and 'val', not {split!r}")
        self._index = index
        self._rows = np.asarray(index.split(split))
        if not len(self._rows):
            raise InputError(f"the dataset has no image in the split {split!r}; see `shares` in its configuration")
        self.frame = index.frame.iloc[self._rows]
        self.sizes = list(zip(self.frame["height"].tolist(), self.frame["width"].tolist(), strict=True))
        self.counts = self.frame["count"].to_numpy(dtype=np.float64)
        self._stride, self._sigma, self._kernel = stride, sigma, kernel
        self._targets = Cache(self._target, CACHE_BYTES)

    def __len__(self) -> int:
        return len(self._rows)

    def image(self, i: int) -> np.ndarray:
        """Return (H, W, 3) uint8 RGB; the index is a memory map, so the file system keeps it at hand."""
        return self._index.image(self._rows[i])

    def heads(self, i: int) -> np.ndarray:
        """Return (n, 4): x, y, box width, box height."""
        return self._index.heads(self._rows[i])

    def target(self, i: int) -> np.ndarray:
        """Return people per cell of the network's output, (h, w) float32."""
        return self._targets[i]

    def _target(self, i: int) -> np.ndarray:
        heads = self.heads(i)
        # A head without a box has sides of 0, and density takes the fixed kernel for it.
        return density_at_stride(
            heads[:, :2], *self.sizes[i], self._stride, sigma=self._sigma, kernel=self._kernel, boxes=heads[:, 2:]
        )


class FakeImages:
    """The images of D_fake with their annotations; each is read when it is first drawn."""

    def __init__(self, fake: pd.DataFrame | None, stride: int):
        self.frame = pd.DataFrame(columns=["height", "width"]) if fake is None else fake.reset_index(drop=True)
        self.sizes = list(zip(self.frame["height"].tolist(), self.frame["width"].tolist(), strict=True))
        self._stride = stride
        self._files: dict[str, h5py.File] = {}
        self._images = Cache(self._image, CACHE_BYTES)
        self._targets = Cache(self._target, CACHE_BYTES)

    def __len__(self) -> int:
        return len(self.frame)

    def image(self, i: int) -> np.ndarray:
        """Return (H, W, 3) uint8 RGB."""
        return self._images[i]

    def target(self, i: int) -> np.ndarray:
        """Return people per cell of the network's output, (h, w) float32."""
        return self._targets[i]

    def _image(self, i: int) -> np.ndarray:
        image = read_verified(self.frame["image"][i], self.frame["sha256"][i])
        if image.shape[:2] != self.sizes[i]:
            height, width = self.sizes[i]
            raise InputError(
                f"{self.frame['image'][i]}: {image.shape[1]}x{image.shape[0]} pixels, D_fake says {width}x{height}. "
                "Delete the image and generate it again"
            )
        return image

    def _target(self, i: int) -> np.ndarray:
        path, stem = self.frame["maps"][i], self.frame["stem"][i]
        file = self._files.get(path)
        if file is None:
            file = self._files[path] = open_maps(path)
            if file.attrs["stride"] != self._stride:
                raise InputError(
                    f"{path}: annotated at stride {file.attrs['stride']}, and the network has stride {self._stride}"
                )
        target = read_map(file, stem)
        if target.shape != map_shape(*self.sizes[i], self._stride):
            raise InputError(f"{path}: the map of {stem} is {target.shape}, which does not fit the image's size")
        return target


class Cache:
    """What a function returns for a number, computed once as long as all results together fit in `limit` bytes.

    Nothing is thrown out: each epoch needs every real image once, and a random share of the generated ones.
    """

    def __init__(self, function, limit: int):
        self._function, self._left, self._kept = function, limit, {}

    def __getitem__(self, i: int) -> np.ndarray:
        if i in self._kept:
            return self._kept[i]
        result = self._function(i)
        if result.nbytes <= self._left:
            self._left -= result.nbytes
            self._kept[i] = result
        return result


def _prepared(batches, real: RealImages, generated: FakeImages, ahead: bool):
    """Yield images and targets of each batch; `ahead`, the next one is read by a thread while this one is computed."""

    def read(batch):
        images, targets = [], []
        for is_generated, i, mirrored in batch:
            source = generated if is_generated else real
            image, target = source.image(i), source.target(i)
            images.append(image[:, ::-1] if mirrored else image)
            targets.append(target[:, ::-1] if mirrored else target)
        return images, np.stack(targets)

    if not ahead:
        yield from map(read, batches)
        return
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(read, batches[0])
        for batch in [*batches[1:], None]:
            ready = coming.result()
            coming = reader.submit(read, batch) if batch else None
            yield ready


def _seed(seed: int, epoch: int) -> int:
    """Return a seed for torch's generators in an epoch."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> 1)


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in network.state_dict().items()}


def _start_from(network: nn.Module, weights: dict[str, Tensor]) -> None:
    """Load those of the network's weights that are given."""
    result = network.load_state_dict(weights, strict=False)
    if result.unexpected_keys:
        raise InputError(f"the weights to start from have {result.unexpected_keys[0]!r}, which the network does not")
    log.info("%d of %d tensors start from given weights", len(weights), len(network.state_dict()))


def _check_scale(network: nn.Module, scale: float) -> None:
    if scale != 1 and not isinstance(getattr(network, "output_layer", None), nn.Conv2d):
        raise InputError(
            f"density_scale is {scale}; {type(network).__name__} has no `output_layer` to divide by it, so it must be 1"
        )


def _descaled(weights: dict[str, Tensor], scale: float) -> dict[str, Tensor]:
    """Return weights that give density, of weights that give density times `scale`."""
    return {n: t / scale if n.startswith("output_layer.") and scale != 1 else t for n, t in weights.items()}


def _fingerprint(settings, weights, real: RealImages, validation: RealImages, generated: FakeImages) -> str:
    """Return a name of settings and data: a run goes on from a state of the same name only.

    Of each image one row of pixels stands for all.
    """
    name = hashlib.sha256(json.dumps(asdict(settings), sort_keys=True, default=str).encode())
    for tensor in (weights or {}).values():
        name.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    for part in (real, validation):
        name.update(part.frame.drop(columns=["offset", "first_head"], errors="ignore").to_csv(index=False).encode())
        for i in range(len(part)):
            name.update(np.ascontiguousarray(part.image(i)[part.sizes[i][0] // 2]))
            name.update(np.ascontiguousarray(part.heads(i)))
    columns = [column for column in ("sha256", "stem", "count") if column in generated.frame]
    name.update(generated.frame[columns].to_csv(index=False).encode())
    return name.hexdigest()


def _load_state(path: Path, name: str) -> dict | None:
    """Return the state of a killed run, or None where none has this name; clear away what it left half-written."""
    for leftover in path.parent.glob(f".*.{path.name}"):
        leftover.unlink(missing_ok=True)
    if not path.exists():
        return None
    state = torch.load(path, map_location="cpu", weights_only=True)
    if state["name"] != name:
        log.info("%s is of other settings or data and is discarded", path)
        return None
    return state
