"""The furniture of rendered rooms: what each kind of room contains, where it is, and how it is painted.

A room is the inside of a box; its furniture, and what hangs on its walls, is a list of smaller boxes. Lengths are in
metres, with x to the right, y up and z away from the front wall, where the camera is. Each kind of room has a function
that furnishes the back and the sides and returns the point to look at. Colours are RGB in 0..1.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

ROOMS = ("bedroom", "bathroom", "kitchen", "living room", "office")

WHITE, CREAM, BLACK = (0.93, 0.93, 0.92), (0.92, 0.86, 0.74), (0.08, 0.08, 0.09)
STEEL, GLASS, LAMP = (0.62, 0.64, 0.66), (0.72, 0.84, 0.97), (1.0, 0.9, 0.62)
WOODS = ((0.5, 0.32, 0.18), (0.66, 0.46, 0.28), (0.33, 0.2, 0.13), (0.78, 0.62, 0.42))
FABRICS = (
    (0.62, 0.16, 0.17),
    (0.16, 0.27, 0.5),
    (0.2, 0.42, 0.32),
    (0.72, 0.52, 0.2),
    (0.45, 0.28, 0.48),
    (0.42, 0.44, 0.48),
)
WALLS = {
    "bedroom": ((0.86, 0.76, 0.66), (0.72, 0.78, 0.86), (0.87, 0.74, 0.74), (0.86, 0.84, 0.72)),
    "bathroom": ((0.82, 0.9, 0.95), (0.9, 0.94, 0.95), (0.7, 0.85, 0.9), (0.78, 0.9, 0.86)),
    "kitchen": ((0.93, 0.86, 0.62), (0.9, 0.88, 0.82), (0.76, 0.84, 0.72), (0.92, 0.76, 0.58)),
    "living room": ((0.8, 0.7, 0.56), (0.72, 0.62, 0.55), (0.66, 0.7, 0.62), (0.85, 0.8, 0.72)),
    "office": ((0.84, 0.85, 0.86), (0.76, 0.79, 0.82), (0.9, 0.89, 0.86), (0.7, 0.74, 0.76)),
}
FLOORS = {"bathroom": ("tiles", "checker"), "kitchen": ("tiles", "checker", "planks"), "office": ("carpet", "planks")}
SIZES = {  # ranges of width and length, in metres
    "bedroom": ((3.4, 4.4), (3.9, 5.2)),
    "bathroom": ((2.5, 3.2), (3.2, 4.2)),
    "kitchen": ((3.4, 4.6), (4.0, 5.2)),
    "living room": ((4.0, 5.4), (4.6, 6.4)),
    "office": ((3.2, 4.6), (3.6, 5.2)),
}


@dataclass
class Scene:
    """A room's inner size (x, y, z) and the boxes in it; `paint` begins with the six sides of the room itself."""

    size: tuple[float, float, float]
    boxes: list[tuple] = field(default_factory=list)
    paint: list[tuple] = field(default_factory=list)  # colour, pattern, second colour, scale, glow

    def box(self, x, y, z, colour, pattern="plain", second=BLACK, scale=0.3, glow=0.0):
        """Add a box; x, y and z are pairs of its lower and upper bound."""
        self.boxes.append((x, y, z))
        self.paint.append((colour, pattern, second, scale, glow))

    def hang(self, wall, along, y, colour, thick=0.03, **paint):
        """Hang a flat box on a wall ("left", "right" or "back"), from along[0] to along[1] of its length."""
        width, _, length = self.size
        if wall == "back":
            self.box(along, y, (length - thick, length), colour, **paint)
        else:
            self.box((0, thick) if wall == "left" else (width - thick, width), y, along, colour, **paint)

    def legs(self, x, z, height, colour, thick=0.06):
        """Add four legs at the corners of a rectangle; x and z are pairs of bounds."""
        for a in (x[0], x[1] - thick):
            for b in (z[0], z[1] - thick):
                self.box((a, a + thick), (0, height), (b, b + thick), colour)

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the boxes' lower and upper corners, each of shape (boxes, 3)."""
        boxes = np.array(self.boxes, np.float32).reshape(-1, 3, 2)
        return boxes[..., 0], boxes[..., 1]


def pick(rng: np.random.Generator, choices):
    """Draw one of the choices, all equally likely."""
    return choices[rng.integers(len(choices))]


def _window_on(scene, rng, wall, centre, width=1.2, bottom=1.0, top=2.1, curtains=None):
    a, b = centre - width / 2, centre + width / 2
    ground = pick(rng, ((0.5, 0.68, 0.45), (0.75, 0.78, 0.8), (0.6, 0.62, 0.55)))
    scene.hang(wall, (a - 0.07, b + 0.07), (bottom - 0.07, top + 0.07), WHITE, thick=0.03)
    daylight = {"pattern": "window", "second": ground, "scale": width / 2, "glow": rng.uniform(0.85, 1.15)}
    scene.hang(wall, (a, b), (bottom, top), GLASS, thick=0.04, **daylight)
    if curtains:
        folds = {"pattern": "stripes", "second": tuple(0.8 * c for c in curtains), "scale": 0.12}
        for x in (a - 0.25, b - 0.05):
            scene.hang(wall, (x, x + 0.3), (0.3, top + 0.2), curtains, thick=0.1, **folds)


def _picture(scene, rng, wall, along, y):
    scene.hang(wall, along, y, pick(rng, WOODS + (BLACK, WHITE)), thick=0.03)
    inner = [(a + 0.05, b - 0.05) for a, b in (along, y)]
    scene.hang(
        wall, *inner, pick(rng, FABRICS), thick=0.04, pattern="blend", second=CREAM, scale=inner[1][1] - inner[1][0]
    )


def _door(scene, rng, wall, start):
    wood = pick(rng, WOODS + (WHITE,))
    scene.hang(wall, (start, start + 0.85), (0, 2.05), wood, thick=0.04)
    scene.hang(wall, (start + 0.12, start + 0.73), (1.1, 1.9), tuple(0.85 * c for c in wood), thick=0.045)
    scene.hang(wall, (start + 0.74, start + 0.82), (0.98, 1.06), STEEL, thick=0.1)


def _bedroom(scene, rng):
    width, _, length = scene.size
    wood, cover, wide = pick(rng, WOODS), pick(rng, FABRICS), rng.uniform(1.3, 1.8)
    x = rng.uniform(0.9, width - wide - 0.55)
    bed, foot = (x, x + wide), length - rng.uniform(1.95, 2.1)
    scene.box((x - 0.04, x + wide + 0.04), (0, rng.uniform(0.9, 1.2)), (length - 0.08, length), wood)
    scene.box(bed, (0.08, 0.3), (foot, length - 0.08), wood)
    scene.box(bed, (0.3, 0.5), (foot + 0.02, length - 0.08), WHITE)
    pattern = pick(rng, ("plain", "stripes", "checker"))
    blanket = {"pattern": pattern, "second": tuple(0.6 * c + 0.35 for c in cover), "scale": rng.uniform(0.2, 0.4)}
    scene.box(
        (x - 0.05, x + wide + 0.05), (0.22, 0.56), (foot - 0.03, length - rng.uniform(0.65, 0.8)), cover, **blanket
    )
    for a in (x + 0.1, x + wide / 2 + 0.06):
        scene.box((a, a + wide / 2 - 0.16), (0.5, 0.72), (length - 0.5, length - 0.1), pick(rng, (WHITE, CREAM)))
    for a in (x - 0.52, x + wide + 0.1)[: rng.integers(1, 3)]:
        scene.box((a, a + 0.42), (0, 0.55), (length - 0.45, length), wood, pattern="panels", scale=0.42)
        scene.box((a + 0.18, a + 0.24), (0.55, 0.75), (length - 0.28, length - 0.22), STEEL)
        scene.box((a + 0.08, a + 0.34), (0.75, 1.0), (length - 0.38, length - 0.12), LAMP, glow=rng.uniform(0.7, 1.05))
    if rng.random() < 0.8:
        end = min(length - 0.9, 1.5 + rng.uniform(1.0, 1.8))
        scene.box((0, 0.55), (0, 2.1), (1.5, end), pick(rng, WOODS + (WHITE,)), pattern="panels", scale=0.5)
    if rng.random() < 0.6:
        _window_on(scene, rng, "back", x + wide / 2, 1.3, 1.25, 2.15, pick(rng, FABRICS + (CREAM,)))
    else:
        _picture(scene, rng, "back", (x + 0.3, x + wide - 0.3), (1.35, 1.95))
        _window_on(scene, rng, "right", length - 1.6, 1.3, 0.9, 2.1, pick(rng, FABRICS + (CREAM,)))
    if rng.random() < 0.5:
        scene.box((x - 0.4, x + wide + 0.3), (0, 0.02), (foot - 0.55, foot + 0.6), pick(rng, FABRICS), pattern="carpet")
    return (x + wide / 2, 0.75, length - 1.1)


def _bathroom(scene, rng):
    width, _, length = scene.size
    tub, rim = width - rng.uniform(0.75, 0.85), rng.uniform(0.5, 0.6)
    start = length - rng.uniform(1.6, 1.8)
    scene.box((tub, width), (0, rim - 0.12), (start, length), WHITE)
    scene.box((tub + 0.09, width - 0.09), (rim - 0.12, rim - 0.1), (start + 0.1, length - 0.1), (0.6, 0.78, 0.86))
    for x, z in (
        ((tub, tub + 0.08), (start, length)), ((width - 0.08, width), (start, length)),
        ((tub, width), (start, start + 0.1)), ((tub, width), (length - 0.1, length)),
    ):  # fmt: skip
        scene.box(x, (rim - 0.12, rim), z, WHITE)
    scene.hang("back", (tub + 0.33, tub + 0.42), (rim + 0.15, rim + 0.25), STEEL, thick=0.16)
    if rng.random() < 0.5:
        curtain = pick(rng, FABRICS + (CREAM,))
        scene.box(
            (tub - 0.02, tub + 0.03),
            (0.3, 2.0),
            (length - rng.uniform(0.3, 0.7), length),
            curtain,
            "stripes",
            WHITE,
            0.12,
        )
    x = tub - rng.uniform(0.55, 0.65)  # the toilet: foot, bowl, seat with its hole, tank and lid
    scene.box((x + 0.1, x + 0.3), (0, 0.25), (length - 0.6, length - 0.15), WHITE)
    scene.box((x + 0.01, x + 0.39), (0.22, 0.41), (length - 0.72, length - 0.15), WHITE)
    scene.box((x + 0.1, x + 0.3), (0.38, 0.415), (length - 0.63, length - 0.3), (0.35, 0.42, 0.48))
    scene.box((x - 0.02, x + 0.42), (0.41, 0.84), (length - 0.2, length), WHITE)
    scene.box((x + 0.16, x + 0.24), (0.84, 0.87), (length - 0.14, length - 0.06), STEEL)
    wide = min(x - 0.2, rng.uniform(0.65, 0.95))  # the sink, over a cupboard, under a mirror
    body = pick(rng, WOODS + (WHITE, (0.3, 0.4, 0.5)))
    scene.box((0.08, 0.08 + wide), (0.1, 0.74), (length - 0.48, length), body, pattern="panels", scale=wide / 2)
    scene.box((0.05, 0.11 + wide), (0.74, 0.88), (length - 0.52, length), WHITE)
    scene.box((0.2, wide - 0.04), (0.86, 0.885), (length - 0.45, length - 0.15), (0.5, 0.62, 0.68))
    scene.box((0.05 + wide / 2, 0.11 + wide / 2), (0.88, 1.06), (length - 0.14, length - 0.06), STEEL)
    scene.hang("back", (0.08, 0.08 + wide), (1.2, 2.0), STEEL, thick=0.025)
    glass = {"pattern": "blend", "second": (0.86, 0.95, 1.0), "scale": 0.7, "glow": 0.5}
    scene.hang("back", (0.12, 0.04 + wide), (1.24, 1.96), (0.45, 0.58, 0.66), thick=0.03, **glass)
    scene.hang("back", (0.15, wide), (2.03, 2.1), WHITE, thick=0.1, glow=1.1)
    scene.hang(
        "left",
        (length - 1.5, length - 1.0),
        (0.8, 1.4),
        pick(rng, FABRICS),
        pattern="stripes",
        second=WHITE,
        thick=0.06,
    )
    if rng.random() < 0.6:
        _window_on(scene, rng, "back", (x + 0.2 + tub) / 2, 0.6, 1.4, 2.05)
    if rng.random() < 0.6:
        scene.box((x - 0.4, x + 0.4), (0, 0.02), (length - 1.5, length - 0.95), pick(rng, FABRICS), pattern="carpet")
    return (width / 2, 0.75, length - 0.6)


def _kitchen(scene, rng):
    width, _, length = scene.size
    front, doors, top = (
        length - 0.6,
        pick(rng, WOODS + (WHITE, CREAM, (0.35, 0.5, 0.5))),
        pick(rng, (BLACK, STEEL, WOODS[1])),
    )
    fridge = pick(rng, (WHITE, STEEL, (0.75, 0.2, 0.18)))
    scene.box((0, 0.7), (0, rng.uniform(1.7, 1.95)), (front - 0.08, length), fridge)
    scene.box((0.0, 0.7), (1.15, 1.17), (front - 0.085, length), BLACK)
    for y in ((0.7, 1.08), (1.24, 1.5)):
        scene.box((0.6, 0.63), y, (front - 0.13, front - 0.08), BLACK)
    scene.box((0.72, width), (0.08, 0.86), (front, length), doors, pattern="panels", scale=0.5)
    scene.box((0.72, width), (0.86, 0.92), (front - 0.04, length), top)
    scene.hang("back", (0.72, width), (0.92, 1.45), WHITE, pattern="tiles", second=(0.55, 0.6, 0.62), scale=0.15)
    stove = rng.uniform(0.9, width - 1.7)
    scene.box((stove, stove + 0.6), (0.05, 0.93), (front - 0.03, length), pick(rng, (WHITE, STEEL)))
    scene.box((stove + 0.08, stove + 0.52), (0.25, 0.62), (front - 0.035, front), BLACK)
    scene.box((stove + 0.05, stove + 0.55), (0.72, 0.76), (front - 0.07, front), BLACK)
    scene.box((stove + 0.04, stove + 0.56), (0.93, 0.94), (front + 0.05, length - 0.05), BLACK)
    scene.box((stove + 0.15, stove + 0.4), (0.94, 1.1), (front + 0.2, front + 0.45), pick(rng, FABRICS + (STEEL,)))
    scene.box((stove, stove + 0.6), (1.5, 1.62), (length - 0.45, length), STEEL)
    sink = stove + 0.75
    window = rng.random() < 0.6 and width - sink > 1.0
    scene.box((0.72, stove), (1.45, 2.15), (length - 0.35, length), doors, pattern="panels", scale=0.45)
    scene.box((stove + 0.2, stove + 0.4), (1.62, scene.size[1]), (length - 0.3, length), STEEL)
    scene.box((sink, sink + 0.5), (0.92, 0.925), (front + 0.1, length - 0.12), STEEL)
    scene.box((sink + 0.22, sink + 0.27), (0.92, 1.2), (length - 0.12, length - 0.07), STEEL)
    if window:
        _window_on(scene, rng, "back", (sink + width) / 2, min(1.1, width - sink - 0.2), 1.15, 2.05)
    else:
        scene.box((stove + 0.6, width), (1.45, 2.15), (length - 0.35, length), doors, pattern="panels", scale=0.45)
        _window_on(scene, rng, "right", length - 1.8, 1.1)
    if rng.random() < 0.75:
        wood, x, z = pick(rng, WOODS + (WHITE,)), rng.uniform(0.8, width - 1.9), rng.uniform(1.6, front - 1.7)
        scene.box((x, x + 1.1), (0.7, 0.75), (z, z + 0.75), wood)
        scene.legs((x + 0.03, x + 1.07), (z + 0.03, z + 0.72), 0.7, wood)
        scene.box((x + 0.4, x + 0.65), (0.75, 0.87), (z + 0.3, z + 0.5), pick(rng, FABRICS))
        for a in (x + 0.1, x + 0.6)[: rng.integers(1, 3)]:
            scene.legs((a, a + 0.4), (z + 0.6, z + 1.0), 0.45, wood, 0.05)
            scene.box((a, a + 0.4), (0.42, 0.47), (z + 0.6, z + 1.0), wood)
            scene.box(
                (a, a + 0.4), (0.47, 0.95), (z + 0.96, z + 1.0), wood, pattern="stripes", scale=0.13, second=BLACK
            )
    return (width / 2, 0.95, length - 0.8)


def _living_room(scene, rng):
    width, _, length = scene.size
    cloth, wood = pick(rng, FABRICS + ((0.7, 0.62, 0.5),)), pick(rng, WOODS)
    dark, long = tuple(0.85 * c for c in cloth), rng.uniform(1.8, 2.3)
    middle = rng.uniform(0.5, 0.6) * width
    rug = {"pattern": pick(rng, ("carpet", "checker", "stripes")), "second": pick(rng, FABRICS + (CREAM,))}
    scene.box((middle - 1.1, middle + 0.9), (0, 0.02), (length - 2.6, length - 1.1), pick(rng, FABRICS), **rug)
    if facing := rng.random() < 0.5:  # the sofa is at the back wall, the television at the left one
        x, back = middle - long / 2, length - 0.05
        scene.box((x, x + long), (0.08, 0.42), (back - 0.9, back), cloth)
        scene.box((x, x + long), (0.42, 0.88), (back - 0.25, back), dark)
        for a in (x, x + long - 0.2):
            scene.box((a, a + 0.2), (0.08, 0.62), (back - 0.92, back), dark)
        for a in (x + 0.25, x + long - 0.65):
            scene.box((a, a + 0.4), (0.42, 0.78), (back - 0.4, back - 0.25), pick(rng, FABRICS + (CREAM,)))
        scene.box((x + long / 2 - 0.01, x + long / 2 + 0.01), (0.3, 0.425), (back - 0.905, back - 0.25), dark)
        _picture(scene, rng, "back", (middle - 0.6, middle + 0.6), (1.2, 1.85))
        near, wall = length - 2.6, "left"
        scene.box((0, 0.42), (0, 0.5), (near, near + 1.5), wood)
        tv = (near + 0.15, near + 1.35)
    else:  # the other way round
        near = length - rng.uniform(0.6, 0.9) - long
        scene.box((0.05, 0.95), (0.08, 0.42), (near, near + long), cloth)
        scene.box((0.05, 0.3), (0.42, 0.88), (near, near + long), dark)
        for a in (near, near + long - 0.2):
            scene.box((0.05, 0.97), (0.08, 0.62), (a, a + 0.2), dark)
        for a in (near + 0.25, near + long - 0.65):
            scene.box((0.3, 0.45), (0.42, 0.78), (a, a + 0.4), pick(rng, FABRICS + (CREAM,)))
        wall, tv = "back", (middle - 0.65, middle + 0.65)
        scene.box((middle - 0.9, middle + 0.9), (0.08, 0.5), (length - 0.42, length), wood, pattern="panels", scale=0.6)
    scene.hang(wall, tv, (0.62, 1.36), BLACK, thick=0.1)
    shown = {"pattern": "blend", "second": pick(rng, (GLASS, BLACK, FABRICS[1])), "scale": 0.6, "glow": 0.6}
    scene.hang(wall, (tv[0] + 0.05, tv[1] - 0.05), (0.67, 1.31), (0.12, 0.14, 0.18), thick=0.105, **shown)
    x, z = middle - rng.uniform(0.4, 0.6), length - rng.uniform(2.1, 2.3)
    scene.box((x, x + 1.0), (0.36, 0.42), (z, z + 0.55), wood)
    scene.legs((x + 0.02, x + 0.98), (z + 0.02, z + 0.53), 0.36, wood)
    scene.box((x + 0.3, x + 0.55), (0.42, 0.47), (z + 0.15, z + 0.35), pick(rng, FABRICS))
    lamp, end = (0.3 if facing else width - 0.4), length - 0.3
    scene.box((lamp - 0.02, lamp + 0.02), (0, 1.4), (end - 0.02, end + 0.02), BLACK)
    scene.box((lamp - 0.2, lamp + 0.2), (1.4, 1.72), (end - 0.2, end + 0.2), LAMP, glow=rng.uniform(0.8, 1.1))
    _window_on(scene, rng, "right", length - rng.uniform(1.4, 2.0), 1.4, 0.8, 2.15, pick(rng, FABRICS + (CREAM,)))
    if not facing:
        _window_on(scene, rng, "left", near + long / 2, 1.3, 1.1, 2.1, pick(rng, (CREAM, None)))
    if rng.random() < 0.7:  # a plant in its pot
        x, z = width - 0.5, length - 1.1
        scene.box((x, x + 0.3), (0, 0.3), (z, z + 0.3), (0.6, 0.32, 0.2))
        for grow in rng.uniform(-0.15, 0.15, (4, 2)):
            y = rng.uniform(0.35, 0.9)
            a, b = x + 0.05 + grow[0], z + 0.05 + grow[1]
            scene.box((a, a + 0.22), (y, y + 0.3), (b, b + 0.22), (0.16, rng.uniform(0.3, 0.48), 0.17))
    return (middle if facing else middle - 0.3 * (width - 3.4), 0.7, length - 1.0)


def _office(scene, rng):
    width, _, length = scene.size
    wood, x, z = pick(rng, WOODS + (WHITE,)), rng.uniform(0.9, width - 2.0), length - rng.uniform(0.75, 0.9)
    desk = (x, x + rng.uniform(1.5, 1.8))
    scene.box(desk, (0.7, 0.75), (z, length), wood)
    scene.box((desk[0], desk[0] + 0.05), (0, 0.7), (z + 0.05, length), wood)
    scene.box((desk[1] - 0.45, desk[1]), (0, 0.7), (z + 0.05, length), wood, pattern="panels", scale=0.45)
    shown = {
        "pattern": "blend",
        "second": pick(rng, (WHITE, GLASS, FABRICS[2])),
        "scale": rng.uniform(0.2, 0.6),
        "glow": 0.95,
    }
    screens = rng.integers(1, 3)
    for a in (desk[0] + 0.3, desk[0] + 0.92)[:screens]:
        scene.box((a, a + 0.58), (0.87, 1.26), (z + 0.42, z + 0.46), BLACK)
        scene.box((a + 0.03, a + 0.55), (0.9, 1.23), (z + 0.415, z + 0.42), (0.25, 0.45, 0.75), **shown)
        scene.box((a + 0.25, a + 0.33), (0.75, 0.9), (z + 0.43, z + 0.5), BLACK)
    scene.box((x + 0.35, x + 0.8), (0.75, 0.77), (z + 0.12, z + 0.27), (0.2, 0.2, 0.22))
    scene.box((x + 1.0, x + 1.22), (0.75, rng.uniform(0.76, 0.85)), (z + 0.1, z + 0.38), WHITE)
    seat, front, cloth = x + rng.uniform(0.3, 0.8), z - rng.uniform(0.6, 0.8), pick(rng, FABRICS + (BLACK, BLACK))
    scene.box((seat, seat + 0.48), (0.43, 0.52), (front, front + 0.48), cloth)
    scene.box((seat + 0.03, seat + 0.45), (0.6, 1.02), (front - 0.06, front + 0.02), cloth)
    scene.box((seat + 0.2, seat + 0.28), (0.08, 0.62), (front - 0.05, front), BLACK)
    scene.box((seat + 0.21, seat + 0.27), (0.05, 0.43), (front + 0.21, front + 0.27), STEEL)
    scene.box((seat - 0.03, seat + 0.51), (0.03, 0.08), (front + 0.21, front + 0.27), BLACK)
    scene.box((seat + 0.21, seat + 0.27), (0.03, 0.08), (front - 0.03, front + 0.51), BLACK)
    books = {"pattern": "books", "second": (0.2, 0.15, 0.12), "scale": rng.uniform(0.34, 0.42)}
    scene.box(
        (0, 0.35),
        (0, rng.uniform(1.7, 2.1)),
        (length - rng.uniform(1.6, 2.2), length - 0.05),
        pick(rng, WOODS),
        **books,
    )
    if rng.random() < 0.6:
        _window_on(scene, rng, "back", (desk[0] + desk[1]) / 2, 1.5, 1.3, 2.2)
    else:
        scene.hang("back", (desk[0] + 0.1, desk[1] - 0.1), (1.4, 2.1), STEEL, thick=0.03)
        scene.hang("back", (desk[0] + 0.14, desk[1] - 0.14), (1.44, 2.06), WHITE, thick=0.035, glow=0.1)
        _window_on(scene, rng, "right", length - 1.6, 1.4)
    if rng.random() < 0.6:
        scene.box((width - 0.5, width), (0, 1.1), (length - 1.3, length - 0.75), STEEL, pattern="panels", scale=0.55)
    return ((0.35 + desk[1]) / 2, 0.85, length - 0.8)


FURNISH: dict[str, Callable] = dict(zip(ROOMS, (_bedroom, _bathroom, _kitchen, _living_room, _office), strict=True))


def furnish(rng: np.random.Generator, kind: str) -> tuple[Scene, tuple[float, float, float]]:
    """Return a furnished room of a kind, and the point to look at. All furniture is beyond z = 1.2."""
    width, length = (rng.uniform(*span) for span in SIZES[kind])
    scene = Scene((width, rng.uniform(2.4, 2.8), length))
    wall, ceiling = pick(rng, WALLS[kind]), ((0.93, 0.93, 0.92), "plain", BLACK, 0.3, 0.0)
    wall = tuple(np.clip(np.array(wall) * rng.uniform(0.88, 1.05) + rng.normal(0, 0.02, 3), 0, 1))
    grout = tuple(0.72 * c for c in wall)
    pattern = (
        "tiles" if kind == "bathroom" else pick(rng, ("plain", "plain", "stripes") if kind != "office" else ("plain",))
    )
    paper = (wall, pattern, grout if pattern == "tiles" else tuple(0.94 * c for c in wall), rng.uniform(0.2, 0.3), 0.0)
    ground = pick(rng, FLOORS.get(kind, ("planks", "carpet", "planks")))
    colours = {
        "planks": WOODS,
        "carpet": FABRICS + (CREAM,),
        "tiles": (CREAM, STEEL, WOODS[3]),
        "checker": (WHITE, CREAM),
    }
    colour = pick(rng, colours[ground])
    floor = (
        colour,
        ground,
        tuple(0.5 * c for c in colour),
        0.16 if ground == "planks" else rng.uniform(0.3, 0.45),
        0.0,
    )
    scene.paint += [paper, paper, floor, ceiling, paper, paper]
    focus = FURNISH[kind](scene, rng)
    if rng.random() < 0.5:
        _door(scene, rng, "right", 1.3)
    for _ in range(rng.integers(0, 3)):  # clutter of random size, so that depth does not follow from size alone
        side, x, z = rng.uniform(0.15, 0.4), rng.uniform(0.1, width - 0.5), rng.uniform(1.6, length - 1.2)
        scene.box((x, x + side), (0, rng.uniform(0.1, 0.45)), (z, z + side), pick(rng, FABRICS + WOODS + (CREAM,)))
    if rng.random() < 0.5:
        scene.boxes = [((width - x[1], width - x[0]), y, z) for x, y, z in scene.boxes]
        focus = (width - focus[0], *focus[1:])
    return scene, focus
