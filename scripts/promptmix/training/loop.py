"""Train a lightweight network on real images and, in each epoch, generated ones (paper, section III, fifth stage).

From the paper: D_epoch is all real training images and r_mix images of D_fake, drawn anew; AdamW with a decay of 1e-4;
the learning rate times 0.99 after each epoch; whole images, no augmentation. Our choices, where the paper is silent:

- For counting, the loss is the squared error summed over the cells of the map, averaged over the images of the batch
  (CSRNet's). The map has the network's stride; a cell's target is the number of people in it.
- For depth, the loss is GuideDepth's, on 10/depth.
- All images of a batch have one size; rare sizes make small batches, unique sizes batches of one image. In these, batch
  normalisation takes its statistics from one image, as it would in the authors' batches of one. If a single image is
  left over of a size that fills other batches, it is added to one of them.
- The epoch with the lowest error on the validation split is kept; the first one of equals.
- float16 is CUDA's automatic mixed precision with a scaled loss; on a CPU it is not emulated, and float32 is used. bfloat16 is
  mixed precision on both, and needs no scale: its numbers are as large as float32's.
- A batch may go through the network in parts (`accumulate`), whose gradients are added up, each by its share of the images. That
  is the gradient of the whole batch where the loss is a mean over the images: always for counting, and for depth where all depths
  are known. Batch normalisation takes its statistics from each part.

The order of images, the draw of generated images and the flips of an epoch depend on the seed and the epoch alone, as
does the state of torch's generator at its start. Real images come in the same order whether or not there are generated
ones between them, so a baseline and its PromptMix run with the same seed are a pair. The control of such a pair sees as
many images in each epoch as the PromptMix run: real images, seen again, take the place of generated ones (`repeated`).
A run that was killed resumes from its last saved epoch and, on the same machine with the same number of threads, ends
with the same bits, but for `cudnn_benchmark`.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from promptmix.errors import InputError
from promptmix.files import replacing
from promptmix.networks.build import build
from promptmix.networks.checkpoints import save_weights
from promptmix.out_of_memory import SMALLER, explain_lack_of_memory
from promptmix.records.histories import HISTORY
from promptmix.running.progress import Progress, progress
from promptmix.running.scratch import NO_SCRATCH, Scratch
from promptmix.synthesis.mixing import check_ratio, draw_epoch
from promptmix.tasks.batching import group
from promptmix.training.images import CACHE_BYTES, FakeImages, RealImages
from promptmix.training.loading import Loader
from promptmix.training.objective import load_objective
from promptmix.training.optimiser import AdamW
from promptmix.training.settings import TrainingSettings

if TYPE_CHECKING:
    from promptmix.datasets.index import Index
    from promptmix.tasks.registry import Counting, Depth

    Task = Counting | Depth

log = logging.getLogger(__name__)

NO_RUN = {"experiment": "", "learning_rate": "", "repeat": 0}
"""What the history of a training says that is not part of an experiment."""

LESS_MEMORY = f"Raise `accumulate`, set `precision` to bfloat16, or {SMALLER[0].lower()}{SMALLER[1:]}"


def train(
    settings: TrainingSettings,
    index: Index,
    fake: pd.DataFrame | None,
    folder: str | Path,
    device: torch.device | str,
    weights: dict[str, Tensor] | None = None,
    code: str = "",
    save_seconds: float = 60,
    keys: Mapping[str, object] | None = None,
    until: int | None = None,
    cache_bytes: int = CACHE_BYTES,
    scratch: Scratch = NO_SCRATCH,
) -> Path:
    """Train a network and return the path of its checkpoint.

    Only the splits "train" and "val" of the index are read: `RealImages` refuses any other.

    Args:
        settings: the run's, see `TrainingSettings`.
        index: the dataset.
        fake: D_fake, from `mixing.read_fake`; None without generated images.
        folder: where `checkpoint.safetensors` (weights of the best epoch) and `history.csv` (one row per epoch) appear
            when the run is complete; until then it has `state.pt`, from which a killed run resumes.
        device: where to compute. The caller sets the number of threads.
        weights: initial weights, such as ImageNet's or those of a network to fine-tune. Layers that they lack start as
            `networks.build` makes them.
        code: a name for the code that trains; a run does not resume from a state that other code has saved.
        save_seconds: the state is saved at the end of an epoch once this many seconds have passed since the last
            saving. It is saved sooner as long as saving takes at most a hundredth of the time.
        keys: which run this is: `experiment`, `learning_rate` as it is spelled in the config, and `repeat`. They are the
            first columns of the history, and text in the checkpoint's metadata; the weights do not depend on them.
            None for a training that is not part of an experiment: its history says "", "" and 0, its checkpoint nothing.
        until: the epoch after which to stop before the last one, if that comes sooner. There is no checkpoint then; the
            history has the epochs so far, and the state stays, from which a later call goes on.
        cache_bytes: size up to which each of three caches grows in memory; see `promptmix.training.images`.
        scratch: where generated images and their annotations go that do not fit there.

    Raises:
        InputError: there are no training or validation images, r_mix is larger than D_fake, D_fake has another stride
            than the network, or memory does not suffice.
    """
    device = torch.device(device)
    folder = Path(folder)
    torch.manual_seed(settings.seed)
    network = build(settings.network, **settings.network_settings)
    if weights is not None:
        _start_from(network, weights)
    objective = load_objective(network, settings.sigma, settings.kernel, settings.density_scale)
    network = network.to(device, memory_format=torch.channels_last)
    optimiser = AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True)
    precision = settings.precision
    if precision == "float16" and device.type != "cuda":
        log.info("float16 is available on CUDA only; training in float32 on the %s", device.type)
        precision = "float32"
    mixed = torch.autocast(device.type, dtype=getattr(torch, precision), enabled=precision != "float32")
    scaler = torch.amp.GradScaler(device.type, enabled=precision == "float16")
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = settings.cudnn_benchmark
        torch.backends.cudnn.deterministic = not settings.cudnn_benchmark
        torch.backends.cudnn.allow_tf32 = settings.tf32
    if settings.compile:
        network.compile(dynamic=False)

    real = RealImages(index, "train", objective, cache_bytes)
    validation = RealImages(index, "val", objective, cache_bytes)
    generated = FakeImages(fake, network.stride, cache_bytes, scratch)
    loader = Loader(real, generated, network.stride, device)
    check_ratio(len(generated), settings.r_mix)
    log.info("%d real images, %d of %d generated ones per epoch", len(real), settings.r_mix, len(generated))

    # Resume from the state of a killed run with the same settings and data, if there is one.
    name = _fingerprint(settings, code, weights, real, validation, generated)
    first, history = 1, []
    best = {"epoch": 0, "val_error": math.inf, "weights": _copy(network)}
    saved = _load_state(folder / "state.pt", name)
    if saved is not None:
        network.load_state_dict(saved["network"])
        optimiser.load_state_dict(saved["optimiser"])
        scaler.load_state_dict(saved["scaler"])
        first, history, best = saved["epoch"] + 1, saved["history"], saved["best"]
        log.info("Resuming after epoch %d", saved["epoch"])
    last = min(until or settings.epochs, settings.epochs)
    pause = min(save_seconds, 1.0)
    last_saved, watch = time.monotonic(), Progress(last, "epochs", first - 1)

    for epoch in range(first, last + 1):
        torch.manual_seed(_seed(settings.seed, epoch))
        rate = settings.learning_rate * settings.decay ** (epoch - 1)
        for parameters in optimiser.param_groups:
            parameters["lr"] = rate

        network.train()
        started = time.monotonic()
        batches = plan_epoch(real.sizes, generated.sizes, settings, epoch)
        total = torch.zeros((), dtype=torch.float64, device=device)
        seen = 0
        # Named nowhere else, what is read ends with this loop, and its threads with it, also when an error leaves the loop.
        for images, targets in (
            progress(
                loader.read(batches), sum(map(len, batches)), f"images of epoch {epoch}", lambda part: len(part[0])
            )
            if epoch == first  # an epoch can take long; without this, nothing would be logged before its end
            else loader.read(batches)
        ):
            with explain_lack_of_memory(f"an update on {_describe(images)}", LESS_MEMORY):
                optimiser.zero_grad(set_to_none=True)
                for part in split_batch(len(images), settings.accumulate):
                    with mixed:
                        predicted = objective.forward(network, images[part], device)
                    loss = objective.loss(predicted, targets[part])
                    number = part.stop - part.start
                    scaler.scale(loss * (number / len(images)) if number < len(images) else loss).backward()
                    total += loss.detach() * number
                scaler.step(optimiser)
                scaler.update()
            seen += len(images)
        loss = float(total) / seen
        seconds = time.monotonic() - started

        row = {"epoch": epoch, "lr": rate, "loss": loss, "val_error": math.nan}
        drawn = sum(is_generated for batch in batches for is_generated, *_ in batch)
        row |= {"images": seen, "generated": drawn, "updates": len(batches), "seconds": round(seconds, 3)}
        if epoch % settings.validate_every == 0 or epoch == settings.epochs:
            row["val_error"] = objective.error(network, validation, device)
        history.append(row)
        if row["val_error"] < best["val_error"]:
            best = {"epoch": epoch, "val_error": row["val_error"], "weights": _copy(network)}
        if not math.isfinite(loss):
            log.warning("The loss of epoch %d is %s: the learning rate is too high. Training stops here", epoch, loss)
            break

        now = time.monotonic()
        if epoch < settings.epochs and (now - last_saved >= pause or epoch == last):
            state = {"name": name, "epoch": epoch, "history": history, "best": best, "network": network.state_dict()}
            state |= {"optimiser": optimiser.state_dict(), "scaler": scaler.state_dict()}
            with replacing(folder / "state.pt") as temporary, open(temporary, "wb") as file:
                torch.save(state, file)  # given a path, torch's error would not say that the disk is full
            last_saved = time.monotonic()
            pause = min(save_seconds, 100 * (last_saved - now))  # sooner if a hundredth of the time suffices
        found = f"loss {loss:.4g}, validation error {row['val_error']:.4g}"
        note = f"{found} (best {best['val_error']:.4g}, epoch {best['epoch']})"
        watch.add(1, note, say=epoch in (first, last))

    run = NO_RUN if keys is None else keys
    HISTORY.write(folder / "history.csv", [{**run, **row} for row in history if row["epoch"] <= last])
    checkpoint = folder / "checkpoint.safetensors"
    if last < settings.epochs:
        return checkpoint
    metadata = {"network": settings.network, "settings": json.dumps(settings.network_settings, sort_keys=True)}
    metadata |= {"epoch": str(best["epoch"]), "val_error": repr(best["val_error"])}
    metadata |= {key: str(value) for key, value in (keys or {}).items()}
    save_weights(checkpoint, objective.weights(best["weights"]), metadata)
    (folder / "state.pt").unlink(missing_ok=True)
    return checkpoint


def plan_epoch(
    real: list[tuple[int, int]], generated: list[tuple[int, int]], settings: TrainingSettings, epoch: int
) -> list[list[tuple[bool, int, bool]]]:
    """Return the batches of an epoch, given the sizes (height, width) of all real and all generated images.

    An image is (whether it is generated, its position, whether it is mirrored). A random number is drawn for each
    image, and the images are sorted by these numbers.
    """

    def drawn(stream: int, is_generated: bool, positions) -> list[tuple[float, tuple[bool, int, bool]]]:
        draw = np.random.default_rng([settings.seed, epoch, stream]).random((len(positions), 2)).tolist()
        return [
            (rank, (is_generated, i, flip < 0.5 and settings.flip))
            for i, (rank, flip) in zip(positions, draw, strict=True)
        ]

    items = drawn(0, False, range(len(real))) if settings.real_images else []
    if settings.repeated:
        whole, rest = divmod(settings.repeated, len(real))
        again = [*range(len(real))] * whole + draw_epoch(len(real), rest, settings.seed, epoch).tolist()
        items += drawn(2, False, again)
    if settings.r_mix:
        items += drawn(2, True, draw_epoch(len(generated), settings.r_mix, settings.seed, epoch).tolist())
    items.sort()
    ordered = (item for _, item in items)

    def size_of(item: tuple[bool, int, bool]) -> tuple[int, int]:
        return (generated if item[0] else real)[item[1]]

    batches = _merge_single_images(list(group(ordered, settings.batch_size, size_of)), size_of)
    # `group` leaves sizes that do not fill a batch for the end; here the batches are shuffled.
    order = np.random.default_rng([settings.seed, epoch, 3]).permutation(len(batches))
    return [batches[i] for i in order]


def split_batch(images: int, parts: int) -> list[slice]:
    """Return the parts of a batch, as even as can be, each of two images or more if there are so many.

    Batch normalisation learns little from one image, and where a network pools over the whole image it cannot be trained on one.
    """
    parts = max(1, min(parts, images // 2))
    ends = [round(images * part / parts) for part in range(parts + 1)]
    return [slice(*pair) for pair in pairwise(ends)]


def _merge_single_images(batches: list[list], size_of) -> list[list]:
    """Return the batches, with each batch of one image added to another one of its size if there is one.

    Batch normalisation learns little from one image, and nothing where a network pools over the whole image.
    """
    full = {size_of(batch[0]): batch for batch in reversed(batches) if len(batch) > 1}
    kept = []
    for batch in batches:
        other = full.get(size_of(batch[0]))
        if len(batch) == 1 and other is not None:
            other.extend(batch)
        else:
            kept.append(batch)
    return kept


def _describe(images: Sequence[np.ndarray] | Tensor) -> str:
    height, width = images[0].shape[:2]
    return f"{len(images)} image{'s' if len(images) > 1 else ''} of {width}x{height} pixels"


def _seed(seed: int, epoch: int) -> int:
    """Return a seed for torch's generators in an epoch."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> 1)


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in network.state_dict().items()}


def _start_from(network: nn.Module, weights: dict[str, Tensor]) -> None:
    """Load the given weights; the network's other weights stay as they are."""
    result = network.load_state_dict(weights, strict=False)
    if result.unexpected_keys:
        raise InputError(f"the weights to start from have {result.unexpected_keys[0]!r}, which the network lacks")
    log.info("%d of %d tensors start from the given weights", len(weights), len(network.state_dict()))


def _fingerprint(settings, code: str, weights, real: RealImages, validation: RealImages, generated: FakeImages) -> str:
    """Return a name for settings, code and data; a run resumes only from a state of the same name.

    Each image is represented by its middle row, and each target by its middle row and its sum.
    """
    name = hashlib.sha256(json.dumps(asdict(settings) | {"code": code}, sort_keys=True, default=str).encode())
    for tensor in (weights or {}).values():
        name.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    for part in (real, validation):
        name.update(part.frame.drop(columns=["offset", "first_head"], errors="ignore").to_csv(index=False).encode())
        for i in range(len(part)):
            name.update(np.ascontiguousarray(part.image(i)[part.sizes[i][0] // 2]))
            target = part.target(i)
            name.update(np.ascontiguousarray(target[len(target) // 2]))
            name.update(repr(float(target.sum(dtype=np.float64))).encode())
    columns = [column for column in ("sha256", "stem", "count") if column in generated.frame]
    name.update(generated.frame[columns].to_csv(index=False).encode())
    return name.hexdigest()


def _load_state(path: Path, name: str) -> dict | None:
    """Return the state of a killed run, or None if there is none of this name; delete half-written files."""
    for leftover in path.parent.glob(f".*.{path.name}"):
        leftover.unlink(missing_ok=True)
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of any kind: if the machine lost power, the file can hold anything
        log.warning("%s is damaged and is discarded: %s", path, error)
        return None
    if state["name"] != name:
        log.info("%s is from other settings, code or data and is discarded", path)
        return None
    return state
