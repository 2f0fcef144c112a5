"""When a GPU runs out of memory: retry with smaller batches where results stay the same, else say what to lower.

The memory that a network needs can be predicted (`promptmix.preflight.memory`); what other jobs use of the GPU at the
same time cannot.
"""

import gc
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch

from promptmix.errors import InputError

log = logging.getLogger(__name__)

Batch = TypeVar("Batch", bound=Sequence)
Result = TypeVar("Result")

MESSAGES = ("out of memory", "STATUS_ALLOC_FAILED", "DefaultCPUAllocator")
"""Texts that mark other errors than `torch.OutOfMemoryError` as about memory: of CUDA, its libraries, and the CPU."""

SMALLER = "Make the images smaller (`resize` of the dataset, `width` and `height` of the pool)"
OTHERS = "or, if other jobs share the GPU, run fewer at once (`--resources gpu=1`)"


class NotEnoughMemory(InputError):
    """There was not enough memory for what was tried."""


@contextmanager
def explain_lack_of_memory(what: str, advice: str) -> Iterator[None]:
    """Turn an out-of-memory error into one that says what to do.

    Args:
        what: what was tried, such as "an update on 32 images of 1024x768 pixels".
        advice: which settings to lower, without a full stop.

    Raises:
        NotEnoughMemory: with `what`, `advice` and the first line of torch's message.
    """
    try:
        yield
    except (RuntimeError, InputError) as error:
        said = _find_memory_error(error)
        if said is None:
            raise
        raise NotEnoughMemory(f"not enough memory for {what}. {advice}, {OTHERS}. ({said})") from error


def compute_in_parts(
    batches: Iterable[Batch], compute: Callable[[Batch], Result], advice: str
) -> Iterator[tuple[Batch, Result]]:
    """Yield each batch with the result of `compute` for it; in parts where the whole batch does not fit into memory.

    A part that is too large is halved, and all later batches are divided in the same proportion. Use this only where
    the batch affects results by rounding alone, so not for training updates.

    Args:
        batches: images, or their numbers; slicing must work.
        compute: called with a batch or a part of one; its result should not be on the GPU.
        advice: which settings to lower, without a full stop.

    Raises:
        NotEnoughMemory: a single image does not fit.
    """
    share = 1.0
    for batch in batches:
        begin, size = 0, max(1, int(len(batch) * share))
        while begin < len(batch):
            part = batch[begin : begin + size]
            try:
                with explain_lack_of_memory(
                    "a single image" if len(part) == 1 else f"{len(part)} images at once", advice
                ):
                    result = compute(part)
            except NotEnoughMemory as error:
                if len(part) == 1:
                    raise
                log.warning("continuing with %d images at once: %s", len(part) // 2, str(error))
            else:
                yield part, result
                begin += len(part)
                continue
            # Only here, outside the handler, are the failed attempt's tensors no longer referenced.
            size = len(part) // 2
            share = size / len(batch)
            gc.collect()
            torch.cuda.empty_cache()


def _find_memory_error(error: BaseException | None) -> str | None:
    """Return the first line of the error, or of its first cause, that is about memory; None if there is none."""
    while error is not None:
        text = str(error)
        says_so = isinstance(error, RuntimeError) and any(message in text for message in MESSAGES)
        if says_so or isinstance(error, torch.OutOfMemoryError):
            return (text.splitlines() or [type(error).__name__])[0]
        error = error.__cause__
    return None
