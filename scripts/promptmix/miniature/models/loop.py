"""The training loop of the miniature's models other than the annotators; a killed run resumes."""

import logging
import math
import os
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from promptmix.running.progress import Progress
from promptmix.training.optimiser import AdamW

log = logging.getLogger(__name__)


def fit(
    module: nn.Module,
    loss: Callable[[int], Tensor],
    steps: int,
    learning_rate: float,
    state: Path,
    *,
    decay: float = 0.01,
    ema: float = 0.999,
    save_seconds: float = 120,
) -> list[tuple[int, float]]:
    """Train `module` by AdamW for a number of steps and leave the moving average of its weights in it.

    The learning rate rises linearly over the first 3 % of the steps (100 at most) and falls to zero as half a cosine.
    The state is saved every `save_seconds`; the next run with the same number of steps, rates and averaging resumes
    from it. It is deleted when the run is complete.

    Args:
        loss: returns the loss of a step, given the step's number, on which all its randomness must depend.
        state: file for the state of an unfinished run.
        decay: AdamW's weight decay.
        ema: share of the old average that is kept in each step; lower in early steps.

    Returns:
        (step, mean loss since the last entry), an entry per fiftieth of the run.
    """
    parameters = [p for p in module.parameters() if p.requires_grad]
    optimiser = AdamW(parameters, learning_rate, weight_decay=decay, betas=(0.9, 0.99))
    average = [p.detach().clone() for p in parameters]
    step, history, recent = 0, [], []
    settings = [steps, learning_rate, decay, ema]
    saved = torch.load(state, weights_only=True, map_location=parameters[0].device) if state.exists() else None
    if saved and saved.get("settings", settings) != settings:
        log.info("%s is from a run with other steps, rates or averaging; starting anew", state)
    elif saved:
        module.load_state_dict(saved["module"])
        optimiser.load_state_dict(saved["optimiser"])
        average, step, history = saved["average"], saved["step"], saved["history"]
        log.info("resuming from step %d of %s", step, state)
    warmup = min(100, max(1, steps * 3 // 100))
    saved_at, watch = time.monotonic(), Progress(steps, "steps", step)
    module.train()
    while step < steps:
        rate = learning_rate * min(1, (step + 1) / warmup) * 0.5 * (1 + math.cos(math.pi * step / steps))
        for group in optimiser.param_groups:
            group["lr"] = rate
        value = loss(step)
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        step += 1
        keep = min(ema, step / (step + 10))
        torch._foreach_lerp_(average, [p.detach() for p in parameters], 1 - keep)
        recent.append(value.detach().item())
        mean = sum(recent) / len(recent)
        watch.add(1, f"loss {mean:.4f}", say=step == steps)
        if step % max(1, steps // 50) == 0 or step == steps:
            history.append((step, mean))
            recent = []
        if time.monotonic() - saved_at > save_seconds:
            _save(state, module, optimiser, average, step, history, settings)
            saved_at = time.monotonic()
    with torch.no_grad():
        for parameter, value in zip(parameters, average, strict=True):
            parameter.copy_(value)
    module.eval()
    state.unlink(missing_ok=True)
    return history


def state_of(out: Path) -> Path:
    """Return the file for the state of an unfinished model: beside the model, as Snakemake empties an output folder."""
    return out.with_name(f"{out.name}.state")


def _save(
    state: Path, module: nn.Module, optimiser, average: list[Tensor], step: int, history: list, settings: list
) -> None:
    state.parent.mkdir(parents=True, exist_ok=True)
    new = state.with_name(f"{state.name}.new")
    content = {"module": module.state_dict(), "optimiser": optimiser.state_dict(), "average": average}
    torch.save(content | {"step": step, "history": history, "settings": settings}, new)
    os.replace(new, state)
