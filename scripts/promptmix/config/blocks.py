"""Blocks: which images of a pool one job makes.

The images of a pool are numbered by their seeds, and an image is the same in whichever block it is made. So a pool grows by
further blocks: those that are there stay as they are, whatever number of images a config asks for, and so does all that
was made of them. A block's name says which images it holds: "00100-00123" has the seeds 100 to 123.
"""

from collections.abc import Iterable

from promptmix.errors import InputError

MOST = 100_000
"""The most images of a pool: seeds have five digits in the names of files."""


def name_of(seeds: range) -> str:
    """Return the name of a block, such as "00100-00123"."""
    return f"{seeds[0]:05d}-{seeds[-1]:05d}"


def seeds_of(name: str) -> range:
    """Return the seeds of a block by its name."""
    first, last = map(int, name.split("-"))
    return range(first, last + 1)


def check_number(images: int) -> None:
    """Check that a pool can have so many images.

    Raises:
        InputError: it cannot.
    """
    if images > MOST:
        raise InputError(f"{images} images of one pool are asked for; there can be {MOST}. Lower k, or divide the pool")


def cover(images: int, asked: int, made: Iterable[str] = (), size: int = 100) -> list[str]:
    """Return the names of the blocks that hold the first images of a pool: those that are there, and what is missing.

    Args:
        images: how many are needed; the last block may hold more.
        asked: how many anything asks for, `images` or more: to there the last block is made.
        made: the blocks that are there. Where several begin with one image, the longest counts.
        size: the most images of a block that is to be made. None goes beyond a multiple of it.

    Raises:
        InputError: more images than a pool can have.
    """
    check_number(images)
    ends: dict[int, int] = {}
    for seeds in map(seeds_of, made):
        ends[seeds.start] = max(seeds.stop, ends.get(seeds.start, 0))
    found, first = [], 0
    while first < images:
        next_made = min((start for start in ends if start > first), default=MOST)
        end = ends.get(first) or min(first - first % size + size, next_made, max(asked, images))
        found.append(name_of(range(first, end)))
        first = end
    return found
