"""A GPU whose memory does not suffice: go on with smaller batches where that changes nothing, else say what to lower.

How much a network needs can be predicted (`promptmix.preflight.memory`), but not what others take of the GPU meanwhile.
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
"""In errors that are no `torch.OutOfMemoryError`: of CUDA itself, of its libraries, and of a CPU."""

SMALLER = "Make the images smaller (`resize` of the dataset, `width` and `height` of the pool)"
OTHERS = "or, if other jobs share the GPU, run fewer at once (`--resources gpu=1`)"


class NotEnoughMemory(InputError):
    """Memory did not suffice for what was tried."""


@contextmanager
def explain_lack_of_memory(what: str, advice: str) -> Iterator[None]:
    """Turn an error that says that memory does not suffice into one that says what to do.

    Args:
        what: was tried, such as "an update on 32 images of 1024x768 pixels".
        advice: which settings to lower, without a full stop.

    Raises:
        NotEnoughMemory: with both, and the first line of what torch says.
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
    """Yield each batch with what `compute` gives for it, in parts where memory does not suffice for all of it.

    A part that is too large is halved, and all later batches are cut as small. For results that do not depend on the
    batch but for rounding: not for updates in training.

    Args:
        batches: of images, or of their numbers; they must allow slices.
        compute: is called with a batch or a part of it; what it returns should not lie on the GPU.
        advice: which settings to lower, without a full stop.

    Raises:
        NotEnoughMemory: for a single image.
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
                log.warning("going on with %d images at once: %s", len(part) // 2, str(error))
            else:
                yield part, result
                begin += len(part)
                continue
            # Only now, outside of the handler, does nothing hold the tensors of the attempt any more.
            size = len(part) // 2
            share = size / len(batch)
            gc.collect()
            torch.cuda.empty_cache()


def _find_memory_error(error: BaseException | None) -> str | None:
    """Return the first line of the error, or of what it was raised from, that is about memory; else None."""
    while error is not None:
        text = str(error)
        told = isinstance(error, RuntimeError) and any(message in text for message in MESSAGES)
        if told or isinstance(error, torch.OutOfMemoryError):
            return (text.splitlines() or [type(error).__name__])[0]
        error = error.__cause__
    return None
