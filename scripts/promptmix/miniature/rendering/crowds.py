"""Rendered crowds with known heads: the miniature's photographs.

A scene (see `scenery`) has a background, props, and people on a piece of ground seen in perspective. Props and people
are painted from back to front. A person is placed only where enough of the head, and of every head already placed,
remains visible. So the labels are exact: every person that is drawn can be seen and is labelled.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from promptmix.miniature.rendering.scenery import (
    HAIR,
    SCENES,
    SKIN,
    Pen,
    Prop,
    Scene,
    mix,
    pick,
)

LOCATIONS = tuple(SCENES)
COLOURS = ("color", "grayscale", "black and white")
"""How an image is coloured, in the paper's words; black and white images have hardly any grey between the two."""

SIZES = {"few": (2, 12), "group": (15, 45), "large": (60, 180)}
"""Least and most people to draw per crowd size, at 96x64 pixels; multiply by `crowd_scale` for other image sizes."""


@dataclass(frozen=True)
class Crowd:
    """One rendered image and its heads.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        points: (N, 2) float32 head centres (x, y) in pixels; the centre of the first pixel is (0.5, 0.5).
        boxes: (N, 4) float32 head boxes (x0, y0, x1, y1) in pixels, clipped to the image.
        location: one of LOCATIONS.
        size: `crowd_size` of the number of people.
        colours: one of COLOURS.
    """

    image: np.ndarray
    points: np.ndarray
    boxes: np.ndarray
    location: str
    size: str
    colours: str

    @property
    def grey(self) -> bool:
        """Whether the three channels are equal."""
        return self.colours != "color"


def crowd_scale(width: int, height: int) -> float:
    """Return how many times as many people an image of this size holds as one of 96x64: the root of the areas' ratio.

    A head's width grows with the fourth root, so a larger image has both more people and more pixels per person.
    """
    return (width * height / (96 * 64)) ** 0.5


def crowd_size(people: int, width: int, height: int) -> str:
    """Return "few" for up to 13 people at 96x64 pixels (see `crowd_scale`), "group" for up to 52, else "large"."""
    people = people / crowd_scale(width, height)
    return "few" if people <= 13 else "group" if people <= 52 else "large"


# --- People ---

_SPOTS = np.array([(0, 0)] + [(0.36 * np.cos(a), 0.4 * np.sin(a)) for a in np.arange(8) * np.pi / 4])
"""The points of a head that are tested for visibility: its centre and a ring around it, in head widths."""
_IN_SIGHT = 5  # the least of the nine points that must be visible; poles are too thin to be tested and may hide more


def _draw_places(rng, people: int):
    """Yield places on the ground (across, depth) without end: some in clusters, and denser far away, by perspective."""
    centres, share = rng.random((rng.integers(1, 5), 2)), rng.uniform(0, 0.6)
    spread = rng.uniform(0.06, 0.16)
    while True:
        batch = rng.random((2 * people + 8, 2))
        batch[:, 1] **= 1.35
        clustered = rng.random(len(batch)) < share
        batch[clustered] = (centres[rng.integers(len(centres), size=len(batch))] + rng.normal(0, spread, batch.shape))[
            clustered
        ]
        yield from batch[((batch >= 0) & (batch <= 1)).all(1)].tolist()


def _are_inside(spots: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return whether each of the spots (..., 2) is inside each of the boxes (M, 4), as (..., M) bool."""
    x, y = spots[..., :1], spots[..., 1:]
    return (x > boxes[:, 0]) & (x < boxes[:, 2]) & (y > boxes[:, 1]) & (y < boxes[:, 3])


class _Ground:
    """The scene's perspective: maps places (across, depth) to canvas pixels and head widths."""

    def __init__(self, scene: Scene, pen: Pen, head: float):
        self.scene, self.pen, self.head = scene, pen, head

    def at(self, u: float, t: float) -> tuple[float, float, float]:
        s, y = self.scene, self.scene.far + (self.scene.near - self.scene.far) * t
        left, right = (a + (b - a) * t for a, b in zip(s.far_x, s.near_x))
        width = self.head * (s.shrink + (1 - s.shrink) * (y - s.far) / (1 - s.far))
        return (left + (right - left) * u) * self.pen.w, y * self.pen.h, max(width, 2.0 * self.pen.zoom)


def _place(rng, ground: _Ground, people: int) -> list[tuple] | None:
    """Return people as (x, y of the foot, head width, y of the head, hat, seated, arms up); None if they do not fit."""
    scene, pen, found, n = ground.scene, ground.pen, [], 0
    boxes, feet = [], []
    for prop in scene.props:
        x, y, d = ground.at(prop.u, prop.t)
        for b in prop.hides:
            x0, y0, w, h = (0, 0, pen.w, pen.h) if prop.fixed else (x, y, d, d)
            boxes.append((x0 + b[0] * w, y0 + b[1] * h, x0 + b[2] * w, y0 + b[3] * h))
            feet.append(y)
    m = len(boxes)
    boxes, feet = np.array(boxes + [(0.0,) * 4] * (2 * people)).reshape(-1, 4), np.array(feet + [0.0] * (2 * people))
    spots, seen, heads = np.zeros((people, 9, 2)), np.zeros((people, 9), bool), np.zeros((people, 4))
    for tries, (u, t) in enumerate(_draw_places(rng, people)):
        if n == people or tries > 25 * people + 200:
            break
        if any(abs(u - middle) < half for middle, half in scene.aisles):
            continue
        x, foot, d = ground.at(u, t)
        d *= rng.uniform(0.9, 1.1)
        seated, hat, arms = (rng.random() < share for share in (scene.seated, scene.hats, scene.arms))
        y = foot - d * (2.2 if seated else rng.uniform(3.0, 3.6))
        margin = 0.3 * d
        if not (margin < x < pen.w - margin and margin < y < pen.h - margin):
            continue
        if n and (np.hypot(heads[:n, 0] - x, heads[:n, 1] - y) < 0.35 * (heads[:n, 2] + d)).any():
            continue
        own, nearer = (x, y) + _SPOTS * d, feet[:m] >= foot
        visible = ~_are_inside(own, boxes[:m][nearer]).any(1)
        if visible.sum() < _IN_SIGHT:
            continue
        wide = 0.85 if hat and scene.hat == "board" else 0.5
        wide, top = (0.95, 1.0) if arms else (wide, 0.7)
        mine = np.array(
            [(x - wide * d, y - top * d, x + wide * d, y + 0.5 * d), (x - 0.8 * d, y + 0.4 * d, x + 0.8 * d, foot)]
        )
        if n:
            farther = heads[:n, 3] <= foot
            left = seen[:n] & ~(_are_inside(spots[:n], mine).any(-1) & farther[:, None])
            if (left.sum(1) < _IN_SIGHT).any():
                continue
            seen[:n] = left
        boxes[m : m + 2], feet[m : m + 2] = mine, foot
        spots[n], seen[n], heads[n] = own, visible, (x, y, d, foot)
        found.append((x, foot, d, y, hat, seated, arms))
        m, n = m + 2, n + 1
    return found if n == people else None


def _draw_person(pen, rng, scene: Scene, x, foot, d, y, hat, seated, arms) -> None:
    def lit(colour):
        return tuple(min(255, int(c * share)) for c, share in zip(colour, scene.light))

    skin, hair, shirt = lit(pick(rng, SKIN)), lit(pick(rng, HAIR)), lit(pick(rng, scene.clothes))
    trousers = lit(pick(rng, [(36, 40, 60), (60, 60, 66), (110, 96, 80), (24, 24, 28)]))
    hip = y + 0.45 * d + (foot - y) * 0.45
    if not seated:
        pen.d.rectangle((x - 0.5 * d, hip - 0.2 * d, x - 0.06 * d, foot), trousers)
        pen.d.rectangle((x + 0.06 * d, hip - 0.2 * d, x + 0.5 * d, foot), trousers)
    if arms:
        for side in (-1, 1)[: rng.integers(1, 3)]:
            pen.d.line(
                (x + side * 0.6 * d, y + 0.7 * d, x + side * 0.85 * d, y - 0.9 * d), skin, max(1, round(0.3 * d))
            )
    pen.d.rounded_rectangle(
        (x - 0.78 * d, y + 0.42 * d, x + 0.78 * d, max(hip, y + 0.9 * d)), 0.35 * d, shirt, mix(shirt, (0, 0, 0), 0.35)
    )
    pen.d.ellipse((x - 0.5 * d, y - 0.58 * d, x + 0.5 * d, y + 0.52 * d), hair)
    if rng.random() < 0.6:  # faces the camera
        turn = rng.uniform(-0.12, 0.12)
        pen.d.ellipse((x + (turn - 0.36) * d, y - 0.28 * d, x + (turn + 0.36) * d, y + 0.52 * d), skin)
    if hat and scene.hat == "board":
        pen.d.polygon(
            [(x - 0.85 * d, y - 0.4 * d), (x, y - 0.7 * d), (x + 0.85 * d, y - 0.4 * d), (x, y - 0.1 * d)],
            lit((16, 16, 20)),
        )
        pen.d.line((x + 0.1 * d, y - 0.4 * d, x + 0.6 * d, y + 0.05 * d), lit((236, 190, 60)), max(1, round(0.14 * d)))
    elif hat:
        pen.d.pieslice((x - 0.52 * d, y - 0.65 * d, x + 0.52 * d, y + 0.45 * d), 180, 360, lit(pick(rng, scene.caps)))


# --- Images and captions ---


def render_crowd(
    rng: np.random.Generator, width: int, height: int, location: str, people: int, colours: str = "color"
) -> Crowd:
    """Render one crowd; the same generator state and arguments give the same bytes.

    Args:
        rng: source of all variation: palette, light, horizon, clothes, clusters, clutter, blur, noise.
        width, height: of the image, in pixels; heads are about 2 to 6 pixels wide at 96x64 (see `crowd_scale`).
        location: one of LOCATIONS.
        people: number of people, all of them labelled.
        colours: one of COLOURS.

    Raises:
        ValueError: an unknown location or colours, or more people than fit in an image of this size with every head visible.
    """
    if location not in SCENES:
        raise ValueError(f"{location!r} is not a location of rendered crowds; choose from {', '.join(LOCATIONS)}")
    if colours not in COLOURS:
        raise ValueError(f"{colours!r} are not the colours of a rendered crowd; choose from {', '.join(COLOURS)}")
    zoom = 3 if width * height <= 20_000 else 2 if width * height <= 200_000 else 1
    pen = Pen(width, height, zoom)
    scene = SCENES[location](pen, rng)
    if location != "stadium" and rng.random() < 0.35:
        scene.aisles.append((rng.uniform(0.2, 0.8), rng.uniform(0.04, 0.09)))
    scale = crowd_scale(width, height)
    # More people have smaller heads, as a photographer steps back; at random, so that heads do not reveal the count.
    head = (
        scale**0.5 * zoom * float(np.clip(7.6 * (max(people, 1) / scale) ** -0.13 * rng.uniform(0.82, 1.18), 3.4, 7.0))
    )
    for _ in range(5):
        ground = _Ground(scene, pen, head)
        found = _place(rng, ground, people)
        if found is not None:
            break
        head *= 0.85
    else:
        raise ValueError(
            f"{people} people do not fit a {width}x{height} image of a {location} with every head visible; "
            f"ask for fewer people or a larger image"
        )
    if scene.shadow:
        slant = rng.uniform(-0.8, 0.8)
        for x, foot, d, *_ in found:
            pen.d.ellipse(
                (x + (slant - 0.9) * d, foot - 0.35 * d, x + (slant + 0.9) * d, foot + 0.3 * d),
                (0, 0, 20, scene.shadow),
            )
    things = [(*ground.at(p.u, p.t), p) for p in scene.props] + [(*person[:3], person) for person in found]
    for x, y, d, thing in sorted(things, key=lambda thing: thing[1]):
        if isinstance(thing, Prop):
            thing.draw(pen, x, y, d)
        else:
            _draw_person(pen, rng, scene, *thing)
    heads = np.array([(x, y, d) for x, _, d, y, *_ in found], float).reshape(-1, 3) / zoom
    points, half = heads[:, :2], heads[:, 2:] * (0.5, 0.55)
    boxes = np.clip(np.concatenate([points - half, points + half], 1), 0, (width, height) * 2)
    image = _photograph(rng, pen.image.reduce(zoom), colours, scale**0.5)
    return Crowd(
        image, points.astype(np.float32), boxes.astype(np.float32), location, crowd_size(people, width, height), colours
    )


def _photograph(rng, image: Image.Image, colours: str, scale: float) -> np.ndarray:
    """Return the image with random exposure, contrast, warmth, uneven light, blur and noise, (H, W, 3) uint8."""
    if rng.random() < 0.5:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 0.55) * scale))
    pixels = np.asarray(image, np.float32)
    middle = pixels.mean()
    pixels = (pixels - middle) * rng.uniform(0.72, 1.15) + middle * rng.uniform(0.75, 1.2)
    pixels *= 1 + np.array([1, 0, -1]) * rng.normal(0, 0.04)
    across, down = (np.linspace(-1, 1, n, dtype=np.float32) for n in (image.width, image.height))
    pixels *= (1 + rng.normal(0, 0.08) * across + rng.normal(0, 0.06) * down[:, None])[..., None]
    if colours != "color":
        pixels = np.repeat(pixels @ np.array([[0.299], [0.587], [0.114]], np.float32), 3, axis=2)
    if colours == "black and white":  # as lith film: steep around the image's own middle
        pixels = 255 / (1 + np.exp((np.median(pixels) - pixels) / 8))
    noise = rng.standard_normal((image.height, image.width, 1), np.float32) * rng.uniform(0.3, 3)
    return np.clip(pixels + noise + 0.5, 0, 255).astype(np.uint8)


_PEOPLE = {
    "few": ["a few people", "some people", "a small group of people", "a handful of people"],
    "group": ["a group of people", "a crowd of people", "many people", "people"],
    "large": ["a large crowd of people", "a huge crowd", "a dense crowd of people", "hundreds of people"],
    None: ["people", "a crowd of people", "a group of people"],
}
LOCATION_WORDS = {  # the paper's
    "public speech": "a public speech",
    "mecca": "Mecca",
    "bus station": "a bus station",
    "train station": "a train station",
    "ceremony": "a ceremony",
    "concert": "a concert",
    "marathon": "a marathon",
    "airport": "an airport",
    "stadium": "a stadium",
    "streets": "the streets",
}
_WHERE = {  # as captioners say it; besides "in" and the paper's words
    "public speech": [
        "at a public speech",
        "listening to a public speech",
        "in front of a stage with a lectern",
        "listening to a speech with signs and flags",
    ],
    "mecca": ["in front of the kaaba in mecca", "walking around the kaaba", "around the black kaaba in mecca"],
    "bus station": [
        "at a bus station",
        "waiting in front of buses",
        "waiting for a bus at a bus station",
        "next to parked buses",
    ],
    "train station": [
        "at a train station",
        "on a platform next to a train",
        "waiting for a train at a train station",
        "on the platform of a train station with a clock",
    ],
    "ceremony": ["at a ceremony", "at a graduation ceremony", "at a ceremony in front of a building with columns"],
    "concert": [
        "at a concert",
        "in front of a stage with bright lights",
        "at a concert at night",
        "watching a band on a stage",
    ],
    "marathon": ["at a marathon", "running a marathon", "running in a marathon on a road", "running down a road"],
    "airport": [
        "at an airport",
        "waiting in an airport terminal",
        "in an airport with large windows",
        "walking through an airport with luggage",
    ],
    "stadium": [
        "at a stadium",
        "in the stands of a stadium",
        "watching a game in a stadium",
        "sitting in a stadium by a green field",
    ],
    "streets": ["walking down the street", "on a city street", "crossing a street", "on a street between buildings"],
}


def describe(rng: np.random.Generator, location: str, size: str) -> str:
    """Return a caption as a captioner would write it, such as "a large crowd of people at a concert."

    One caption in five does not depend on the crowd's size ("people walking down a street.").

    Raises:
        ValueError: an unknown location or size.
    """
    if location not in _WHERE:
        raise ValueError(f"{location!r} is not a location of rendered crowds; choose from {', '.join(LOCATIONS)}")
    if size not in SIZES:
        raise ValueError(f"{size!r} is not a size of a crowd; choose from {', '.join(SIZES)}")
    who = _PEOPLE[None if rng.random() < 0.2 else size]
    who = who[rng.integers(len(who))]
    be = "is" if who.startswith("a ") and not who.startswith("a few") else "are"
    opening = ["", "", "", "a photo of ", f"there {be} "][rng.integers(5)]
    where = [f"in {LOCATION_WORDS[location]}".lower(), *_WHERE[location]]
    return f"{opening}{who} {where[rng.integers(len(where))]}."
