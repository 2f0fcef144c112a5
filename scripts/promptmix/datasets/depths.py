"""What the numbers of a depth map mean: which are distances, which are unknown, and whether the unit can be right."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from promptmix.errors import InputError

logger = logging.getLogger(__name__)

NEAREST, FARTHEST = 0.1, 10.0
"""Range of depths in metres that training distinguishes, see `promptmix.training.depth_loss`.

The same as in `promptmix.networks.registry`, which this package may not import: datasets do not depend on networks.
"""

BEYOND = 1000.0
"""Metres beyond which a number is no distance but says that there is none, as 1e10 does."""

LARGEST = 65535
"""The largest number of 16 bits. As the largest of a map it says that there is no distance, whatever type it is in."""

FEWEST = 0.001
"""Share of a map's distances that has to be in the range of training, or the unit cannot be right."""

APART = 8
"""How many times larger or smaller a map's median may be than that of the dataset before it is told."""

UNITS = {"millimetres": 0.001, "metres": 1.0, "centimetres": 0.01, "5000 counts per metre": 0.0002}
"""Units, in metres, that are looked for where the given one cannot be right."""


@dataclass(frozen=True)
class DepthFacts:
    """What is known of a depth map.

    Attributes:
        place: the file, or the image in a file, as messages name it.
        pixels: of the map.
        unknown: number of pixels by why their distance is unknown.
        far: known distances beyond what networks learn.
        highest: the largest known distance, in metres.
        median: of the known distances, in metres.
    """

    place: str
    pixels: int
    unknown: Mapping[str, int]
    far: int
    highest: float
    median: float


def measure(stored: np.ndarray, unit: float, place: str, remedy: str) -> tuple[np.ndarray, DepthFacts]:
    """Return a map's depths, (H, W) float32 in metres with 0 = unknown, and what is known of them.

    Unknown is what is zero, negative, not finite, more than `BEYOND`, or the largest number of its type or of 16 bits.

    Args:
        stored: (H, W) numbers as they are in the file.
        unit: metres per count.
        place: what messages call the map.
        remedy: what to do about a map in another unit.

    Raises:
        InputError: nothing is known, or (nearly) nothing is within the range that networks learn.
    """
    stored = np.asarray(stored)
    with np.errstate(over="ignore", invalid="ignore"):
        depth = stored.astype(np.float32) * np.float32(unit)
    distance = np.isfinite(depth) & (depth > 0)
    marked = np.zeros_like(distance)
    if stored.dtype.kind in "iu":
        marked |= stored == np.iinfo(stored.dtype).max
    within = distance & ~marked & (depth <= BEYOND)
    if within.any() and float(stored[within].max()) == LARGEST:
        marked |= stored == LARGEST
    distance &= ~marked
    known = distance & (depth <= BEYOND)
    learnt = np.count_nonzero(known & (depth >= NEAREST) & (depth <= FARTHEST))
    found = depth[distance]
    if not found.size:
        raise InputError(
            f"{place}: no depth is known: no value is a distance, a number above 0 that does not stand for the unknown. "
            "Leave the image out, or correct its depth"
        )
    if learnt <= FEWEST * found.size:
        raise InputError(
            f"{place}: depths are {found.min():g} to {found.max():g} m at {unit:g} m per count{_guess(found / unit)}. "
            f"Networks for depth learn {NEAREST:g} to {FARTHEST:g} m, and (nearly) nothing here is within that: {remedy}"
        )
    unknown = {} if known.all() else _count_unknown(stored, marked, known)
    depth = np.where(known, depth, np.float32(0))
    far, kept = int(np.count_nonzero(depth > FARTHEST)), depth[known]
    return depth, DepthFacts(place, depth.size, unknown, far, float(kept.max()), float(np.median(kept)))


def _guess(counts: np.ndarray) -> str:
    """Return the unit in which most numbers would be within the range that networks learn, as messages say it."""
    shares = {name: np.mean((counts * unit >= NEAREST) & (counts * unit <= FARTHEST)) for name, unit in UNITS.items()}
    name = max(shares, key=lambda name: shares[name])
    if shares[name] < 0.5:
        return ""
    return f"; as {name} they would be {counts.min() * UNITS[name]:g} to {counts.max() * UNITS[name]:g} m"


def _count_unknown(stored: np.ndarray, marked: np.ndarray, known: np.ndarray) -> dict[str, int]:
    """Return the number of pixels whose distance is unknown by why, in words."""
    reasons = {f"{value:.0f}": stored == value for value in np.unique(stored[marked])}
    left = ~known & ~marked
    reasons |= {"0": stored == 0, "negative": stored < 0, "not a number": np.isnan(stored)}
    reasons |= {"infinite": np.isposinf(stored)}
    counts = {reason: int(np.count_nonzero(chosen & (left | marked))) for reason, chosen in reasons.items()}
    counts[f"more than {BEYOND:g} m"] = int(np.count_nonzero(~known)) - sum(counts.values())
    return {reason: count for reason, count in counts.items() if count}


def report(maps: Sequence[DepthFacts]) -> None:
    """Log what is unknown in a dataset's depth maps and why, what is too far to be learnt, and maps unlike the others."""
    pixels = sum(one.pixels for one in maps)
    unknown = [one for one in maps if one.unknown]
    if unknown:
        reasons = sum((Counter(one.unknown) for one in unknown), Counter[str]())
        told = ", ".join(f"{100 * count / pixels:.3g} % {reason}" for reason, count in reasons.most_common())
        logger.log(
            logging.WARNING if set(reasons) != {"0"} else logging.INFO,
            "%d of %d depths are unknown, in %d images, such as %s: %s",
            *(reasons.total(), pixels, len(unknown), unknown[0].place, told),
        )
    if far := sum(one.far for one in maps):
        known = pixels - sum(sum(one.unknown.values()) for one in maps)
        farthest = max(maps, key=lambda one: one.highest)
        logger.warning(
            "%.1f %% of the known depths are farther than %g m, up to %.4g m in %s. Networks for depth predict at most "
            "%g m, so these count as errors. A smaller `unit` scales all depths down, and errors too",
            *(100 * far / known, FARTHEST, farthest.highest, farthest.place, FARTHEST),
        )
    usual = float(np.median([one.median for one in maps]))
    if odd := [one for one in maps if not usual / APART <= one.median <= usual * APART]:
        logger.warning(
            "%d of %d depth maps are unlike the others, such as %s: half of it is nearer than %.3g m, and of most maps "
            "%.3g m. Are all in one unit?",
            *(len(odd), len(maps), odd[0].place, odd[0].median, usual),
        )
