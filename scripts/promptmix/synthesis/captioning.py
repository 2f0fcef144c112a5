"""What all captioners have in common: images come in batches, and captions that say nothing are told."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np

from promptmix.errors import InputError
from promptmix.out_of_memory import compute_in_parts
from promptmix.running.progress import progress

log = logging.getLogger(__name__)


class ImageCaptioner(ABC):
    """Captions images; a subclass says how a batch is captioned.

    Attributes:
        advice: what to do where memory does not suffice for a single image, without a full stop.
        batch_size: images that are captioned at once.
    """

    advice: str
    batch_size = 32

    def caption(
        self, images: Iterable[np.ndarray], batch_size: int | None = None, total: int | None = None
    ) -> Iterator[str]:
        """Yield a caption for each (H, W, 3) uint8 RGB image, in order; it can be empty.

        Args:
            batch_size: if not that of the class.
            total: number of images, of which the log says how many are done; None to say nothing.

        Raises:
            InputError: memory does not suffice for a single image.
        """
        images, size = iter(images), batch_size or self.batch_size
        batches = iter(lambda: list(islice(images, size)), [])
        parts = compute_in_parts(batches, self._captions_of, self.advice)
        if total is not None:  # images of a batch are done at the same time
            parts = progress(parts, total, "images captioned", lambda part: len(part[0]))
        for _, captions in parts:
            yield from captions

    @abstractmethod
    def _captions_of(self, images: list[np.ndarray]) -> list[str]:
        """Return the captions of a batch."""


def clean(text: str) -> str:
    """Return a decoded caption with single spaces and none before punctuation."""
    return " ".join(text.split()).replace(" .", ".").replace(" ,", ",")


def check_captions(captions: Sequence[str]) -> None:
    """Warn of captions that say nothing: empty ones, or the same for all images.

    Raises:
        InputError: all are empty.
    """
    empty = sum(not caption for caption in captions)
    if captions and empty == len(captions):
        raise InputError(
            f"all {empty} captions are empty, so prompts would say nothing of the images. Do the captioner's weights and its "
            f"`tokenizer` belong together, and does its `instruction` ask for a caption?"
        )
    if empty:
        log.warning("%d of %d captions are empty", empty, len(captions))
    if len(captions) > 1 and len(set(captions)) == 1:
        log.warning(
            "all %d captions are the same: '%s'. Do the captioner's weights and its `tokenizer` belong together, and does "
            "its `instruction` ask for a caption?",
            *(len(captions), captions[0]),
        )
