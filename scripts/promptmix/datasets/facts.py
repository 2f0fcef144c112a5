"""What is known of a published dataset, to tell a wrong copy from a right one."""

from collections.abc import Mapping, Sequence
from typing import Any

from promptmix.datasets.pictures import jpeg_quality
from promptmix.datasets.sample import Sample, pick_evenly

TOLERANCE = 0.01
"""Share by which the number of heads may differ from the published one."""


def check_facts(samples: Sequence[Sample], facts: Mapping[str, Any]) -> list[str]:
    """Return in what a dataset differs from what is known of it: a sentence each.

    No image is decoded. Published numbers of heads are counted in ways that are not known (such as with or without those
    outside their image), so one in a hundred more or less will do.

    Args:
        facts: some of `heads` (of all images together), `size` ([width, height] of every image) and `quality` (of every
            image as a JPEG; some images, spread evenly, are looked at).

    Raises:
        InputError: an image that is looked at is damaged.
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
    looked_at, wrong = pick_evenly(samples), []
    for sample in looked_at:
        with sample.open() as image:
            quality = jpeg_quality(image) if image.format == "JPEG" else f"no JPEG ({image.format})"
        if quality != expected:
            wrong.append(f"{sample.name}: {quality}")
    if not wrong:
        return []
    found = f"{len(wrong)} of {len(looked_at)} images looked at have another JPEG quality, such as {wrong[0]}"
    return [f"quality: {found}; expected {expected}. Were the images saved again?"]
