"""Train a lightweight network on real images and, each epoch, some generated ones (paper, section III, fourth stage).

From the paper: D_epoch = all real training images and r_mix of D_fake, drawn afresh; AdamW with a decay of 1e-4; the
learning rate times 0.99 after each epoch; whole images without augmentation. Our choices, where the paper is silent:

- For counting, the loss is the squared error summed over the cells of the map, averaged over the images of the batch
  (CSRNet's). The map has the network's stride; a cell's target is the number of people in it.
- For depth, the loss is GuideDepth's, on 10/depth.
- Images of one size share a batch; sizes that are rare make small batches, odd sizes batches of one. There batch
  normalisation takes its statistics from one image, as it would in the authors' batches of one. A single image that
  is left over of a size joins another batch of that size.
- The best epoch by the error on the validation split is kept; the first of equals.
- float16 is CUDA's automatic mixed precision with a scaled loss; on a CPU it is not emulated, and float32 is used.

What an epoch sees (its order, its draw of generated images, its flips) is a function of the seed and the epoch alone,
and so is the state of torch's generator at its start. Real images come in the same order whether or not generated ones
come between them, so a baseline and its PromptMix twin with the same seed are a pair. The control of such a pair sees
as many images in each epoch as the twin: real ones take the place of the generated ones (`repeated`). A run that is killed goes on
from its last saved epoch and, on the same machine with as many threads, ends with the same bits.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from promptmix.errors import InputError
from promptmix.files import replacing, write_csv
from promptmix.networks.build import build
from promptmix.networks.checkpoints import save_weights
from promptmix.out_of_memory import SMALLER, explain_lack_of_memory
from promptmix.running.progress import Progress, progress
from promptmix.synthesis.mixing import check_ratio, draw_epoch
from promptmix.tasks.batching import group
from promptmix.training.images import FakeImages, RealImages
from promptmix.training.objective import load_objective
from promptmix.training.optimiser import AdamW
from promptmix.training.settings import TrainingSettings

if TYPE_CHECKING:
    from promptmix.datasets.index import Index
    from promptmix.tasks.registry import Counting, Depth

    Task = Counting | Depth

log = logging.getLogger(__name__)

LESS_MEMORY = f"Lower `batch_size`, set `precision` to float16, or {SMALLER[0].lower()}{SMALLER[1:]}"


def train(
    settings: TrainingSettings,
    index: Index,
    fake: pd.DataFrame | None,
    folder: str | Path,
    device: torch.device | str,
    weights: dict[str, Tensor] | None = None,
    code: str = "",
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
        code: a name of the code that trains; a run does not go on from a state that other code has left.
        save_seconds: the state is saved after the first epoch that ends so long after the last saving, or earlier as
            long as that takes no more than a hundredth of the time.

    Raises:
        InputError: no training or validation images, r_mix larger than D_fake, D_fake of another stride, or too little
            memory.
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
    half = settings.precision == "float16" and device.type == "cuda"
    if settings.precision == "float16" and not half:
        log.info("float16 is for CUDA; training in float32 on the %s", device.type)
    scaler = torch.amp.GradScaler(device.type, enabled=half)
    if device.type == "cuda":  # the fastest algorithm of each run is not the same in each run
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True

    real = RealImages(index, "train", objective)
    validation = RealImages(index, "val", objective)
    generated = FakeImages(fake, network.stride)
    check_ratio(len(generated), settings.r_mix)
    log.info("%d real images, %d of %d generated ones per epoch", len(real), settings.r_mix, len(generated))

    # Where a killed run of the same settings and data has come to.
    name = _fingerprint(settings, code, weights, real, validation, generated)
    first, history = 1, []
    best = {"epoch": 0, "val_error": math.inf, "weights": _copy(network)}
    saved = _load_state(folder / "state.pt", name)
    if saved is not None:
        network.load_state_dict(saved["network"])
        optimiser.load_state_dict(saved["optimiser"])
        scaler.load_state_dict(saved["scaler"])
        first, history, best = saved["epoch"] + 1, saved["history"], saved["best"]
        log.info("Going on after epoch %d", saved["epoch"])
    pause = min(save_seconds, 1.0)
    last_saved, watch = time.monotonic(), Progress(settings.epochs, "epochs", first - 1)

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
        prepared = _prepared(batches, real, generated, ahead=device.type == "cuda")
        if epoch == first:  # an epoch can take long; then this is the first that is heard of it
            prepared = progress(prepared, sum(map(len, batches)), f"images of epoch {epoch}", lambda part: len(part[0]))
        for images, targets in prepared:
            with explain_lack_of_memory(f"an update on {_told(images)}", LESS_MEMORY):
                targets = torch.from_numpy(targets).to(device, non_blocking=True).float()
                with torch.autocast(device.type, dtype=torch.float16, enabled=half):
                    predicted = objective.forward(network, images, device)
                loss = objective.loss(predicted, targets)
                optimiser.zero_grad(set_to_none=True)
                scaler.scale(loss).backward()
                scaler.step(optimiser)
                scaler.update()
            total += loss.detach() * len(images)
            seen += len(images)
        loss = float(total) / seen
        seconds = time.monotonic() - started

        row = {"epoch": epoch, "lr": rate, "loss": loss, "val_error": math.nan}
        row |= {"images": seen, "updates": len(batches), "seconds": round(seconds, 3)}
        if epoch % settings.validate_every == 0 or epoch == settings.epochs:
            row["val_error"] = objective.error(network, validation, device)
        history.append(row)
        if row["val_error"] < best["val_error"]:
            best = {"epoch": epoch, "val_error": row["val_error"], "weights": _copy(network)}
        if not math.isfinite(loss):
            log.warning("The loss of epoch %d is %s: the learning rate is too high; stopping here", epoch, loss)
            break

        now = time.monotonic()
        if now - last_saved >= pause and epoch < settings.epochs:
            state = {"name": name, "epoch": epoch, "history": history, "best": best, "network": network.state_dict()}
            state |= {"optimiser": optimiser.state_dict(), "scaler": scaler.state_dict()}
            with replacing(folder / "state.pt") as temporary, open(temporary, "wb") as file:
                torch.save(state, file)  # by its path, a full disk would be an error that does not say so
            last_saved = time.monotonic()
            pause = min(save_seconds, 100 * (last_saved - now))  # a hundredth of the time is for saving
        found = f"loss {loss:.4g}, validation error {row['val_error']:.4g}"
        note = f"{found} (best {best['val_error']:.4g}, epoch {best['epoch']})"
        watch.add(1, note, say=epoch in (first, settings.epochs))

    write_csv(folder / "history.csv", history)
    checkpoint = folder / "checkpoint.safetensors"
    metadata = {"network": settings.network, "settings": json.dumps(settings.network_settings, sort_keys=True)}
    metadata |= {"epoch": str(best["epoch"]), "val_error": repr(best["val_error"])}
    save_weights(checkpoint, objective.weights(best["weights"]), metadata)
    (folder / "state.pt").unlink(missing_ok=True)
    return checkpoint


def plan_epoch(
    real: list[tuple[int, int]], generated: list[tuple[int, int]], settings: TrainingSettings, epoch: int
) -> list[list[tuple[bool, int, bool]]]:
    """Return the batches of an epoch, given the sizes (height, width) of all real and all generated images.

    Every image draws a number and comes in the order of the numbers. An image is (generated, position, mirrored).
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

    batches = _joined(list(group(ordered, settings.batch_size, size_of)), size_of)
    # Sizes that do not fill a batch are left for the end; here they find a place among the others.
    order = np.random.default_rng([settings.seed, epoch, 3]).permutation(len(batches))
    return [batches[i] for i in order]


def _joined(batches: list[list], size_of) -> list[list]:
    """Return the batches with each of a single image put into the fullest other one of its size, if there is one.

    Batch normalisation has little to learn from one image, and where a network pools over all of it, nothing.
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


def _told(images: list[np.ndarray]) -> str:
    height, width = images[0].shape[:2]
    return f"{len(images)} image{'s' if len(images) > 1 else ''} of {width}x{height} pixels"


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


def _fingerprint(settings, code: str, weights, real: RealImages, validation: RealImages, generated: FakeImages) -> str:
    """Return a name of settings, code and data: a run goes on from a state of the same name only.

    Of each image and each target one row stands for all.
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
    """Return the state of a killed run, or None where none has this name; clear away what it left half-written."""
    for leftover in path.parent.glob(f".*.{path.name}"):
        leftover.unlink(missing_ok=True)
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of any kind, where the machine lost power and what is there was never written
        log.warning("%s is damaged and is discarded: %s", path, error)
        return None
    if state["name"] != name:
        log.info("%s is of other settings, code or data and is discarded", path)
        return None
    return state
