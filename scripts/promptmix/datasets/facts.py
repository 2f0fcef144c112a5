"""Compare a published dataset with known facts about it, to detect a wrong copy."""

from collections.abc import Mapping, Sequence
from typing import Any

from promptmix.datasets.pictures import jpeg_quality
from promptmix.datasets.sample import Sample, pick_evenly

TOLERANCE = 0.01
"""Share by which the number of heads may differ from the published one."""


def check_facts(samples: Sequence[Sample], facts: Mapping[str, Any]) -> list[str]:
    """Return how a dataset differs from what is known about it, one sentence per difference.

    No image is decoded. It is not known how published numbers of heads were counted (such as with or without heads
    outside their image), so a difference of 1 % is accepted.

    Args:
        facts: some of `heads` (in all images together), `size` ([width, height] of every image) and `quality` (JPEG
            quality of every image; an evenly spaced selection is examined).

    Raises:
        InputError: an examined image is damaged.
    """
    return [
        *(_check_heads(samples, facts["heads"]) if "heads" in facts else []),
        *(_check_sizes(samples, tuple(facts["size"])) if "size" in facts else []),
        *(_check_qualities(samples, facts["quality"]) if "quality" in facts else []),
    ]


def _check_heads(samples: Sequence[Sample], expected: int) -> list[str]:
    inside, outside = sum(sample.count for sample in samples), sum(sample.outside for sample in samples)
    if inside * (1 - TOLERANCE) <= expected <= (inside + outside) * (1 + TOLERANCE):
        return []
    more = f", and {outside} outside them" if outside else ""
    return [f"heads: {inside} in all images{more}; expected {expected}. Are the annotations the published ones?"]


def _check_sizes(samples: Sequence[Sample], expected: tuple[int, int]) -> list[str]:
    wrong = [sample for sample in samples if (sample.width, sample.height) != expected]
    if not wrong:
        return []
    first, size = wrong[0], "{}x{}".format(*expected)
    found = (
        f"{len(wrong)} of {len(samples)} images have another size, such as {first.name}: {first.width}x{first.height}"
    )
    return [f"size: {found}; expected {size}. Were the images resized?"]


def _check_qualities(samples: Sequence[Sample], expected: int) -> list[str]:
    examined, wrong = pick_evenly(samples), []
    for sample in examined:
        with sample.open() as image:
            quality = jpeg_quality(image) if image.format in ("JPEG", "MPO") else f"not a JPEG ({image.format})"
        if quality != expected:
            wrong.append(f"{sample.name}: {quality}")
    if not wrong:
        return []
    found = f"{len(wrong)} of {len(examined)} images examined have another JPEG quality, such as {wrong[0]}"
    return [f"quality: {found}; expected {expected}. Were the images saved again?"]
