"""The ten locations of the rendered crowds: a function per location draws the background and returns the `Scene`."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw

SKIN = [(244, 208, 177), (224, 172, 125), (198, 134, 92), (141, 85, 54), (92, 56, 38)]
HAIR = [(22, 18, 18), (38, 26, 20), (70, 44, 26), (122, 84, 44), (178, 142, 84), (110, 108, 106)]
STREETWEAR = [
    (196, 40, 44),
    (36, 70, 150),
    (236, 236, 230),
    (30, 32, 40),
    (60, 130, 70),
    (232, 178, 52),
    (120, 70, 130),
    (120, 120, 126),
]
VIVID = [(240, 60, 60), (40, 120, 240), (250, 220, 40), (250, 130, 30), (60, 200, 110), (240, 90, 180), (245, 245, 245)]

Colour = tuple[int, int, int]


@dataclass
class Prop:
    """An object among the people. `hides`: the boxes (x0, y0, x1, y1) that it covers, in head widths from its foot."""

    u: float  # place across the ground, 0 to 1 (outside: beside the ground)
    t: float  # depth: 0 far, 1 near
    hides: list[tuple[float, float, float, float]]
    draw: Callable  # (pen, x, y, head width) in the pen's pixels
    fixed: bool = False  # `hides` is in shares of the image's width and height instead


@dataclass
class Scene:
    """Where people are and how they look.

    The ground is given in shares of the image: y of its far and near edge, and x of either edge's left and right end.
    """

    far: float
    near: float
    far_x: tuple[float, float] = (-0.02, 1.02)
    near_x: tuple[float, float] = (-0.02, 1.02)
    shrink: float = 0.42  # head width at the far edge relative to the image's bottom
    clothes: list[Colour] = field(default_factory=lambda: STREETWEAR)
    light: tuple[float, float, float] = (1.0, 1.0, 1.0)  # colour of the light on people
    hat: str | None = None
    hats: float = 0.12  # share of people with a hat
    caps: list[Colour] = field(default_factory=lambda: VIVID)
    arms: float = 0.05  # share of people with raised arms
    seated: float = 0.0
    shadow: int = 70  # opacity
    props: list[Prop] = field(default_factory=list)
    aisles: list[tuple[float, float]] = field(default_factory=list)  # kept free of people: middle, half width


class Pen:
    """Draws on an enlarged canvas; `rect`, `poly`, `oval`, `line` take shares of width and height, `d` takes pixels."""

    def __init__(self, width: int, height: int, zoom: int):
        self.w, self.h, self.zoom = width * zoom, height * zoom, zoom
        self.image = Image.new("RGB", (self.w, self.h))
        self.d = ImageDraw.Draw(self.image, "RGBA")

    def rect(self, x0, y0, x1, y1, fill):
        self.d.rectangle((x0 * self.w, y0 * self.h, max(x0, x1) * self.w, max(y0, y1) * self.h), fill)

    def oval(self, x, y, rx, ry, fill):
        self.d.ellipse(((x - rx) * self.w, (y - ry) * self.h, (x + rx) * self.w, (y + ry) * self.h), fill)

    def poly(self, points, fill):
        self.d.polygon([(x * self.w, y * self.h) for x, y in points], fill)

    def line(self, x0, y0, x1, y1, fill, width=0.01):
        self.d.line((x0 * self.w, y0 * self.h, x1 * self.w, y1 * self.h), fill, max(1, round(width * self.w)))

    def fade(self, y0, y1, top, bottom, steps=12):
        for i in range(steps):
            a, b = i / steps, (i + 1) / steps
            self.rect(0, y0 + (y1 - y0) * a, 1, y0 + (y1 - y0) * b, mix(top, bottom, a))


def mix(a: Colour, b: Colour, share: float) -> Colour:
    return tuple(int(p + (q - p) * share) for p, q in zip(a, b))


def vary(rng, *colour: int, by: float = 14) -> Colour:
    """Draw a colour like the given one, so that no two images have the same palette."""
    common, *own = rng.standard_normal(4).tolist()  # plain floats: five times faster than an array of three
    return tuple(int(min(max(c + by * (0.4 * common + 0.6 * o), 0), 255)) for c, o in zip(colour, own))


def pick(rng, colours) -> Colour:
    return vary(rng, *colours[rng.integers(len(colours))])


def _box(x0, y0, x1, y1, fill, ball=False, hides=False):
    """Return a function that draws a rectangle or ellipse around a prop's foot, and what it hides, in head widths."""

    def draw(pen, x, y, s):
        (pen.d.ellipse if ball else pen.d.rectangle)((x + x0 * s, y + y0 * s, x + x1 * s, y + y1 * s), fill)

    return draw, [(x0, y0, x1, y1)] if hides else []


def _prop(u, t, *parts) -> Prop:
    return Prop(u, t, [b for _, hides in parts for b in hides], lambda *a: [draw(*a) for draw, _ in parts])


def _ball(rng, u, t, colours=VIVID, height=0.0) -> Prop:
    """Return clutter as round and as large as a head: a ball, stone or lamp; a balloon if a height is given."""
    r, colour = rng.uniform(0.4, 0.65), pick(rng, colours)
    string = [_box(-0.06, -height, 0.06, 0, (90, 90, 90))] if height else []
    return _prop(u, t, *string, _box(-r, -height - 2 * r, r, -height, colour, True, True))


def _placard(rng, u, t) -> Prop:
    w, h, up = rng.uniform(0.8, 2.2), rng.uniform(1.1, 1.9), rng.uniform(4.4, 5.4)
    ink, board = (
        pick(rng, [(20, 20, 20), (190, 20, 30)]),
        pick(rng, [(250, 250, 245)] * 3 + [(255, 225, 70), (230, 60, 50)]),
    )
    text = [_box(-w * 0.7, -up - h * y - 0.1, w * rng.uniform(0.3, 0.7), -up - h * y + 0.12, ink) for y in (0.3, 0.65)]
    return _prop(u, t, _box(-0.1, -up, 0.1, -2, (120, 90, 60)), _box(-w, -up - h, w, -up, board, hides=True), *text)


def _tree(rng, u, t, height=5.0, round_=1.8, green=(50, 110, 50)) -> Prop:
    leaves = vary(rng, *green, by=22)
    return _prop(
        u,
        t,
        _box(-0.3, -height, 0.3, 0, (92, 66, 44), hides=True),
        _box(-round_, -height - 2.4 * round_, round_, -height + 0.6, leaves, True, True),
        _box(
            -round_ * 0.7,
            -height - 2.1 * round_,
            round_ * 0.3,
            -height - round_ * 0.6,
            mix(leaves, (255, 255, 180), 0.25),
            True,
        ),
    )


def _suitcase(rng, height=1.7) -> Prop:
    return _prop(
        rng.random(),
        rng.random(),
        _box(-0.6, -height, 0.6, 0, pick(rng, STREETWEAR), hides=True),
        _box(-0.3, -height - 0.5, 0.3, -height - 0.2, (60, 60, 66)),
    )


def _sky(rng, pen, horizon):
    pen.fade(0, horizon, vary(rng, 110, 165, 225), vary(rng, 208, 222, 236), 8)


def _stadium(pen, rng) -> Scene:
    roof, pitch = rng.uniform(0.1, 0.2), rng.uniform(0.66, 0.8)
    seat = pick(rng, [(60, 80, 150), (170, 60, 60), (120, 124, 132), (200, 150, 60)])
    _sky(rng, pen, roof)
    pen.poly([(0, roof - 0.07), (1, roof - 0.07), (1, roof + 0.02), (0, roof + 0.02)], vary(rng, 70, 74, 84))
    for x in np.linspace(0.05, 0.95, 8):
        pen.oval(x, roof - 0.015, 0.018, 0.018, (255, 255, 225))
    rows = np.linspace(roof + 0.02, pitch, rng.integers(8, 12))
    for a, b in pairwise(rows):
        pen.rect(0, a, 1, b, mix(seat, (230, 230, 230), 0.45))
        for x in np.arange(rng.uniform(0, 0.03), 1, (b - a) * 0.6):
            pen.rect(x, a + (b - a) * 0.45, x + (b - a) * 0.38, b, seat)
    aisles = [(x, 0.025) for x in rng.uniform(0.2, 0.45) + np.array([0, 0.4])]
    for x, half in aisles:
        pen.rect(x - half * 0.7, rows[0], x + half * 0.7, pitch, vary(rng, 205, 203, 196))
    grass = vary(rng, 62, 150, 62)
    for i in range(8):  # mown stripes
        pen.poly(
            [
                (0.5 + (i / 8 - 0.5) * 1.1, pitch),
                (0.5 + ((i + 1) / 8 - 0.5) * 1.1, pitch),
                (0.5 + ((i + 1) / 8 - 0.5) * 2, 1),
                (0.5 + (i / 8 - 0.5) * 2, 1),
            ],
            grass if i % 2 else mix(grass, (20, 70, 20), 0.22),
        )
    pen.rect(0, pitch - 0.025, 1, pitch + 0.03, pick(rng, VIVID))  # boards
    pen.line(0, pitch + 0.11, 1, pitch + 0.11, (240, 245, 240), 0.012)
    pen.d.arc(
        (0.35 * pen.w, (pitch + 0.03) * pen.h, 0.65 * pen.w, 1.1 * pen.h),
        180,
        360,
        (240, 245, 240),
        max(1, pen.w // 80),
    )
    team = pick(rng, VIVID)
    return Scene(
        roof + 0.13,
        pitch - 0.01,
        shrink=0.6,
        clothes=[team] * 4 + STREETWEAR,
        arms=0.15,
        seated=0.6,
        shadow=0,
        aisles=aisles,
        props=[_ball(rng, rng.random(), rng.random(), [team, (240, 240, 240)], 3.5) for _ in range(rng.integers(0, 5))],
    )


def _concert(pen, rng) -> Scene:
    edge = rng.uniform(0.36, 0.46)
    glow = pick(rng, [(190, 40, 200), (40, 90, 240), (240, 60, 90), (30, 190, 190), (240, 150, 40)])
    other = pick(rng, [(250, 200, 60), (80, 220, 255), (255, 90, 200), (120, 255, 140)])
    pen.fade(0, edge, vary(rng, 14, 10, 26, by=8), mix((20, 12, 30), glow, 0.55))
    pen.fade(edge, 1, mix((26, 18, 40), glow, 0.4), (18, 14, 28))
    pen.rect(0.2, 0.1, 0.8, edge - 0.06, mix((10, 8, 20), glow, 0.75))  # the screen
    pen.rect(0.27, 0.15, 0.73, edge - 0.1, mix(glow, (255, 255, 255), 0.35))
    for x in np.linspace(0.06, 0.94, rng.integers(5, 8)):
        foot, wide = x + rng.normal(0, 0.18), rng.uniform(0.04, 0.09)
        pen.poly(
            [(x, 0.05), (foot - wide, edge + 0.12), (foot + wide, edge + 0.12)],
            (*(glow if rng.random() < 0.4 else other), 80),
        )
        pen.oval(x, 0.05, 0.022, 0.03, (255, 255, 240))
    pen.rect(0, 0, 1, 0.03, (40, 40, 48))
    for x in (0.0, 0.88):  # loudspeakers
        pen.rect(x, 0.14, x + 0.12, edge, (12, 12, 14))
        for y in (0.2, 0.3):
            pen.oval(x + 0.06, y, 0.035, 0.045, (52, 52, 58))
    pen.rect(0, edge - 0.05, 1, edge + 0.02, vary(rng, 34, 30, 40))
    light = tuple(0.42 + 0.45 * c / 255 for c in glow)
    phones = [
        _prop(rng.random(), rng.random(), _box(-0.25, -5.2, 0.3, -4.6, (225, 240, 255), hides=True))
        for _ in range(rng.integers(2, 12))
    ]
    return Scene(edge + 0.16, 1.2, light=light, arms=0.35, shadow=0, props=phones)


def _mecca(pen, rng) -> Scene:
    wall, edge, x = rng.uniform(0.06, 0.12), rng.uniform(0.3, 0.38), rng.uniform(0.35, 0.65)
    _sky(rng, pen, wall + 0.1)
    stone, marble = vary(rng, 214, 198, 170), vary(rng, 236, 234, 228, by=8)
    for m in rng.uniform(0.04, 0.16) + np.array([0, 0.8]):
        pen.rect(m - 0.018, 0, m + 0.018, edge, mix(stone, (255, 255, 255), 0.5))
        pen.rect(m - 0.03, 0.08, m + 0.03, 0.11, stone)
    pen.rect(0, wall + 0.04, 1, edge, stone)
    for a in np.arange(0.02, 1, 0.07):  # arcades
        for y in (wall + 0.08, (wall + edge) / 2 + 0.05):
            pen.rect(a, y + 0.02, a + 0.036, y + 0.09, mix(stone, (60, 45, 40), 0.65))
            pen.oval(a + 0.018, y + 0.02, 0.018, 0.02, mix(stone, (60, 45, 40), 0.65))
    pen.fade(edge, 1, mix(marble, (190, 190, 190), 0.3), marble)
    half, tall, base = rng.uniform(0.13, 0.17), rng.uniform(0.4, 0.46), edge + rng.uniform(0.13, 0.2)
    for r in (1.7, 2.5, 3.4):
        pen.d.ellipse(
            ((x - half * r) * pen.w, (base - 0.11 * r) * pen.h, (x + half * r) * pen.w, (base + 0.11 * r) * pen.h),
            None,
            (170, 168, 165),
            max(1, pen.w // 130),
        )
    gold = vary(rng, 216, 176, 62)

    def kaaba(pen, *_):
        pen.poly(
            [
                (x - half, base - tall),
                (x + half * 0.55, base - tall + 0.02),
                (x + half * 0.55, base),
                (x - half, base - 0.02),
            ],
            (22, 20, 22),
        )
        pen.poly(
            [
                (x + half * 0.55, base - tall + 0.02),
                (x + half, base - tall),
                (x + half, base - 0.04),
                (x + half * 0.55, base),
            ],
            (46, 42, 44),
        )
        pen.rect(x - half, base - tall * 0.76, x + half, base - tall * 0.64, gold)
        pen.rect(x - half * 0.1, base - tall * 0.45, x + half * 0.2, base - 0.01, gold)

    top, bottom = edge + 0.1, 1.15
    cube = Prop(x, (base - top) / (bottom - top), [(x - half, base - tall, x + half, base)], kaaba, fixed=True)
    return Scene(
        top,
        bottom,
        clothes=[(246, 246, 242)] * 6 + [(24, 22, 26)] * 3 + [(190, 180, 160), (120, 130, 150)],
        hat="cap",
        caps=[(246, 246, 242)],
        hats=0.3,
        shadow=60,
        shrink=0.4,
        props=[
            cube,
            *(
                _ball(rng, rng.random(), rng.random(), [(200, 200, 196), (150, 150, 150)])
                for _ in range(rng.integers(0, 4))
            ),
        ],
    )


def _airport(pen, rng) -> Scene:
    edge, roof = rng.uniform(0.38, 0.48), rng.uniform(0.1, 0.16)
    pen.fade(0, roof, vary(rng, 150, 154, 162), vary(rng, 190, 193, 198))
    for i in range(3):
        for x in np.linspace(0.08, 0.92, 6):
            pen.oval(
                0.5 + (x - 0.5) * (1.25 - 0.12 * i), roof * (0.2 + 0.3 * i), 0.032 - 0.007 * i, 0.012, (255, 255, 244)
            )
    pen.fade(roof, edge, vary(rng, 138, 188, 232), vary(rng, 206, 226, 240))
    pen.rect(0, edge - 0.06, 1, edge, (150, 158, 150))  # apron
    x, white = rng.uniform(0.2, 0.7), vary(rng, 246, 248, 250)
    pen.oval(x, edge - 0.1, 0.2, 0.045, white)
    pen.poly(
        [(x - 0.2, edge - 0.11), (x - 0.22, edge - 0.24), (x - 0.17, edge - 0.24), (x - 0.1, edge - 0.12)],
        pick(rng, VIVID),
    )
    pen.poly([(x - 0.03, edge - 0.09), (x + 0.06, edge - 0.09), (x - 0.06, edge - 0.02)], (170, 176, 184))
    for m in np.linspace(0, 1, rng.integers(6, 9)):
        pen.line(m, roof, m, edge, (78, 84, 94), 0.014)
    pen.line(0, (roof + edge) / 2 - 0.04, 1, (roof + edge) / 2 - 0.04, (78, 84, 94), 0.008)
    floor = vary(rng, 152, 156, 162)
    pen.fade(edge, 1, mix(floor, (230, 236, 242), 0.5), floor)
    for m in np.linspace(-1.5, 2.5, 13):
        pen.line(0.5 + (m - 0.5) * 0.45, edge, m, 1, mix(floor, (90, 95, 100), 0.3), 0.005)
    b = rng.uniform(0.05, 0.6)
    pen.rect(b, roof - 0.02, b + 0.32, roof + 0.09, (28, 34, 52))  # departures
    for i in range(3):
        pen.rect(
            b + 0.02, roof + 0.005 + 0.027 * i, b + rng.uniform(0.16, 0.3), roof + 0.015 + 0.027 * i, (255, 214, 70)
        )
    bags = [_suitcase(rng) for _ in range(rng.integers(2, 8))]
    plants = [_tree(rng, rng.random(), rng.random() * 0.6, 1.4, 0.9) for _ in range(rng.integers(0, 4))]
    return Scene(edge + 0.17, 1.15, shadow=45, props=bags + plants, shrink=0.45)


def _marathon(pen, rng) -> Scene:
    edge = rng.uniform(0.24, 0.34)
    _sky(rng, pen, edge)
    for x in np.arange(-0.05, 1.05, 0.11):  # houses far away
        pen.rect(x, edge - rng.uniform(0.05, 0.2), x + rng.uniform(0.06, 0.11), edge, vary(rng, 176, 168, 172))
    pen.fade(edge, 1, vary(rng, 104, 158, 74), vary(rng, 86, 146, 62))
    mid, a, b = rng.uniform(0.4, 0.6), rng.uniform(0.24, 0.32), rng.uniform(0.5, 0.62)
    road = vary(rng, 98, 98, 106)
    pen.poly([(mid - a, edge), (mid + a, edge), (0.5 + b, 1), (0.5 - b, 1)], road)
    for side in (-1, 1):
        pen.poly(
            [
                (mid + side * a, edge),
                (mid + side * (a - 0.015), edge),
                (0.5 + side * (b - 0.05), 1),
                (0.5 + side * b, 1),
            ],
            (240, 240, 236),
        )
    for lane in (-0.34, 0.34):
        for q in np.linspace(0, 1, 7)[:-1]:
            q, r = q**1.5, (q + 0.1) ** 1.5
            x0, x1 = (
                (mid + lane * a) * (1 - q) + (0.5 + lane * b) * q,
                (mid + lane * a) * (1 - r) + (0.5 + lane * b) * r,
            )
            pen.line(x0, edge + (1 - edge) * q, x1, edge + (1 - edge) * r, (242, 214, 80), 0.012)
    arch, y = pick(rng, [(220, 40, 50), (40, 80, 200), (240, 130, 30)]), edge - 0.1
    for side in (-1, 1):
        pen.rect(mid + side * (a + 0.02) - 0.018, y, mid + side * (a + 0.02) + 0.018, edge + 0.05, arch)
    pen.rect(mid - a - 0.038, y - 0.07, mid + a + 0.038, y + 0.05, arch)
    for x in np.arange(mid - 0.16, mid + 0.16, 0.05):
        pen.rect(x, y - 0.035, x + 0.03, y + 0.015, (250, 250, 250))

    def side():
        return rng.uniform(0.06, 0.25) * (1 if rng.random() < 0.5 else -1)

    trees = [
        _tree(rng, 0.5 + np.sign(s) * 0.5 + s, rng.random() ** 2 * 0.5, 3.2, 1.7)
        for s in (side() for _ in range(rng.integers(5, 9)))
    ]
    cones = [
        _ball(rng, 0.5 + np.sign(s) * 0.53, rng.random(), [(250, 110, 30), (250, 250, 250)], rng.choice([0, 2.5]))
        for s in (side() for _ in range(rng.integers(2, 8)))
    ]
    return Scene(
        edge + 0.14,
        1.12,
        (mid - a * 1.02, mid + a * 1.02),
        (0.52 - b, 0.48 + b),
        clothes=VIVID,
        hat="cap",
        hats=0.25,
        arms=0.12,
        props=trees + cones,
        shadow=80,
    )


def _ceremony(pen, rng) -> Scene:
    edge, roof = rng.uniform(0.4, 0.46), rng.uniform(0.12, 0.18)
    _sky(rng, pen, edge)
    stone = vary(rng, 222, 206, 178)
    pen.rect(0.06, roof, 0.94, edge, mix(stone, (110, 84, 66), 0.5))
    pen.poly([(0.04, roof + 0.01), (0.5, roof - 0.15), (0.96, roof + 0.01)], stone)
    pen.rect(0.04, roof, 0.96, roof + 0.055, mix(stone, (255, 255, 255), 0.25))
    for x in np.linspace(0.1, 0.9, rng.integers(6, 9)):
        pen.rect(x - 0.026, roof + 0.055, x + 0.026, edge, mix(stone, (255, 255, 255), 0.4))
        pen.rect(x + 0.01, roof + 0.055, x + 0.026, edge, mix(stone, (120, 100, 80), 0.25))
    for i in range(4):  # steps
        pen.rect(
            0, edge - 0.02 + 0.04 * i, 1, edge + 0.02 + 0.04 * i, mix(stone, (150, 140, 130), 0.15 + 0.3 * (i % 2))
        )
    lawn = vary(rng, 128, 164, 96)
    pen.fade(edge + 0.12, 1, lawn, mix(lawn, (60, 110, 50), 0.3))
    mid, red = rng.uniform(0.42, 0.58), vary(rng, 188, 28, 42)
    pen.poly([(mid - 0.05, edge - 0.02), (mid + 0.05, edge - 0.02), (mid + 0.16, 1), (mid - 0.16, 1)], red)
    flowers = [
        _ball(rng, mid + s * rng.uniform(0.12, 0.16), rng.random(), [(250, 250, 250), (240, 120, 160), (250, 210, 60)])
        for s in (-1, 1)
        for _ in range(rng.integers(1, 5))
    ]
    gown = pick(rng, [(24, 24, 30), (24, 28, 70), (90, 20, 34)])
    return Scene(
        edge + 0.13,
        1.15,
        clothes=[gown] * 6 + STREETWEAR,
        hat="board",
        hats=0.75,
        seated=0.2,
        arms=0.08,
        shadow=60,
        props=flowers,
        aisles=[(mid, 0.07)],
    )


def _public_speech(pen, rng) -> Scene:
    edge, mid = rng.uniform(0.38, 0.45), rng.uniform(0.42, 0.58)
    _sky(rng, pen, edge)
    for x in np.arange(-0.03, 1.05, 0.07):  # trees behind the stage
        pen.oval(x, edge - rng.uniform(0.06, 0.14), 0.06, 0.1, vary(rng, 60, 112, 58, by=22))
    pen.fade(edge, 1, vary(rng, 166, 160, 152), vary(rng, 190, 186, 178))
    cloth, letters = pick(rng, [(28, 60, 150), (170, 30, 44), (24, 110, 96)]), vary(rng, 246, 246, 240, by=6)
    left, right, top = mid - 0.3, mid + 0.3, rng.uniform(0.03, 0.08)
    pen.rect(left, top, right, edge, cloth)  # the backdrop, with a slogan
    for y, share in ((top + 0.05, 0.9), (top + 0.11, rng.uniform(0.5, 0.8))):
        for x in np.arange(mid - 0.26 * share, mid + 0.26 * share, 0.055):
            pen.rect(x, y, x + 0.036, y + 0.035, letters)
    for side in (-1, 1):
        for i in range(3):  # flags
            x = mid + side * (0.35 + 0.07 * i)
            pen.line(x, 0.06, x, edge, (220, 220, 214), 0.008)
            pen.rect(x + 0.004, 0.07, x + 0.055, 0.17, cloth if i % 2 else letters)
            pen.rect(x + 0.004, 0.105, x + 0.055, 0.135, (200, 40, 50))
    pen.rect(left - 0.04, edge - 0.05, right + 0.04, edge + 0.05, vary(rng, 96, 70, 50))  # the stage
    for i, x in enumerate(np.arange(left - 0.04, right + 0.03, 0.06)):  # bunting
        flag = [(x, edge - 0.05), (x + 0.06, edge - 0.05), (x + 0.03, edge + 0.035)]
        pen.poly(flag, (letters, cloth, (200, 40, 50))[i % 3])
    wood = vary(rng, 150, 100, 60)
    desk = [(mid - 0.075, edge - 0.2), (mid + 0.075, edge - 0.2), (mid + 0.05, edge - 0.05), (mid - 0.05, edge - 0.05)]
    pen.poly(desk, wood)  # the lectern, with microphones
    pen.rect(mid - 0.09, edge - 0.225, mid + 0.09, edge - 0.195, mix(wood, (40, 20, 10), 0.5))
    pen.oval(mid, edge - 0.125, 0.025, 0.035, (240, 206, 90))
    for x in (-0.05, 0.0, 0.05):
        pen.line(mid + x * 0.6, edge - 0.22, mid + x, edge - 0.29, (24, 24, 26), 0.008)
        pen.oval(mid + x, edge - 0.3, 0.014, 0.024, (24, 24, 26))
    signs = [_placard(rng, rng.random(), rng.random() ** 1.3) for _ in range(rng.integers(3, 9))]
    balloons = [_ball(rng, rng.random(), rng.random(), height=5.5) for _ in range(rng.integers(0, 4))]
    return Scene(edge + 0.17, 1.15, arms=0.3, hat="cap", hats=0.15, props=signs + balloons, shadow=60)


def _bus_station(pen, rng) -> Scene:
    edge, roof = rng.uniform(0.42, 0.48), rng.uniform(0.1, 0.14)
    pen.fade(0, edge, vary(rng, 176, 190, 204), vary(rng, 216, 222, 226))
    asphalt = vary(rng, 112, 112, 116)
    pen.fade(edge - 0.04, 1, mix(asphalt, (150, 150, 150), 0.4), asphalt)
    pen.poly([(0, 0), (1, 0), (1, roof - 0.03), (0, roof)], vary(rng, 204, 206, 208))  # the canopy
    pen.rect(0, roof - 0.03, 1, roof + 0.01, pick(rng, [(40, 90, 160), (200, 60, 50), (50, 130, 90)]))
    count, x = rng.integers(2, 4), rng.uniform(-0.06, 0.02)
    wide = 1 / count
    for _ in range(count + 1):  # buses that stand in their bays and face us
        body, half, top = pick(rng, [*VIVID, (236, 236, 232)]), wide * rng.uniform(0.37, 0.42), roof + 0.06
        mid = x + wide / 2
        pen.rect(mid - half, top, mid + half, edge, body)
        pen.rect(mid - half * 0.75, top + 0.01, mid + half * 0.75, top + 0.05, (20, 20, 24))  # where it goes
        pen.rect(mid - half * 0.55, top + 0.02, mid + half * rng.uniform(0.1, 0.6), top + 0.04, (255, 190, 50))
        pen.rect(mid - half * 0.88, top + 0.065, mid + half * 0.88, top + 0.2, (44, 62, 82))
        pen.poly(
            [
                (mid - half * 0.8, top + 0.2),
                (mid - half * 0.3, top + 0.065),
                (mid, top + 0.065),
                (mid - half * 0.5, top + 0.2),
            ],
            (96, 120, 144),
        )
        pen.rect(mid - half, edge - 0.045, mid + half, edge, mix(body, (0, 0, 0), 0.45))
        for side in (-1, 1):
            pen.oval(mid + side * half * 0.75, edge - 0.06, half * 0.16, 0.022, (255, 250, 214))
            pen.rect(
                mid + side * half * 0.7 - half * 0.16,
                edge,
                mid + side * half * 0.7 + half * 0.16,
                edge + 0.03,
                (18, 18, 20),
            )
        pen.rect(
            x - 0.012, roof, x + 0.012, edge + 0.04, vary(rng, 150, 154, 160)
        )  # the canopy's pillar, with its bay's number
        pen.rect(x - 0.035, roof + 0.03, x + 0.035, roof + 0.11, (250, 208, 40))
        pen.rect(x - 0.008, roof + 0.045, x + 0.008, roof + 0.095, (20, 20, 24))
        end = 0.5 + (x - 0.5) * 1.6
        bay = [(x - 0.015, edge + 0.04), (x + 0.015, edge + 0.04), (end + 0.03, edge + 0.3), (end - 0.03, edge + 0.3)]
        pen.poly(bay, (244, 204, 60))
        x += wide
    bags = [_suitcase(rng, 1.6) for _ in range(rng.integers(1, 6))]
    stops = [
        _prop(
            rng.random(),
            rng.random() * 0.8,
            _box(-0.12, -6, 0.12, 0, (90, 94, 100)),
            _box(-0.7, -7.2, 0.7, -5.8, (30, 80, 170), True, True),
            _box(-0.35, -6.85, 0.35, -6.15, (250, 250, 250)),
        )
        for _ in range(rng.integers(1, 4))
    ]
    return Scene(edge + 0.18, 1.15, shadow=50, props=bags + stops, shrink=0.45)


def _train_station(pen, rng) -> Scene:
    edge, mid = rng.uniform(0.36, 0.42), rng.uniform(0.46, 0.54)
    steel, glass = vary(rng, 74, 80, 88), vary(rng, 206, 222, 232)
    pen.rect(0, 0, 1, 1, steel)
    pen.oval(mid, edge, 0.62, edge * 1.12, mix(glass, steel, 0.4))  # a hall of glass, seen along the tracks
    for i, r in enumerate((0.56, 0.42, 0.3, 0.2)):
        pen.oval(mid, edge, r, edge * (0.2 + 1.4 * r), steel)
        pen.oval(mid, edge, r - 0.018, edge * (0.2 + 1.4 * r) - 0.02, mix(glass, (255, 255, 255), 0.15 * i))
    for a in np.linspace(0.15, np.pi - 0.15, rng.integers(7, 10)):
        pen.line(
            mid + 0.14 * np.cos(a), edge - 0.12 * np.sin(a), mid + 0.8 * np.cos(a), edge - 0.6 * np.sin(a), steel, 0.007
        )
    platform = vary(rng, 176, 172, 166)
    pen.fade(edge, 1, mix(platform, (214, 212, 208), 0.4), platform)
    side = rng.choice([-1, 1])
    paint, stripe = pick(rng, [(200, 40, 44), (30, 70, 150), (236, 236, 232), (40, 120, 80)]), pick(rng, VIVID)
    for s, full in ((side, True), (-side, rng.random() < 0.5)):  # a train beside the platform, or two
        near, far = mid + s * 0.56, mid + s * 0.09

        def along(q, y_near, y_far, near=near, far=far):
            return near + (far - near) * q, y_near + (y_far - y_near) * q

        def band(q0, q1, top, bottom, fill, along=along):
            """Draw a part of the train's side: q from us to the far end, top and bottom as y near and far."""
            pen.poly([along(q0, *top), along(q1, *top), along(q1, *bottom), along(q0, *bottom)], fill)

        if not full:  # an empty track
            pen.poly(
                [(mid + s * 0.12, edge), (mid + s * 0.16, edge), (mid + s * 0.9, 1), (mid + s * 0.62, 1)], (64, 58, 54)
            )
            continue
        outer = 1.02 if s > 0 else -0.02
        pen.poly([along(0, 0.1, 0), along(0, 0.86, 0), (outer, 1.0), (outer, -0.1)], mix(paint, (0, 0, 0), 0.25))
        top, bottom = (0.02, edge - 0.12), (0.92, edge + 0.03)
        band(0, 1, top, bottom, paint)
        band(0, 1, (0.3, edge - 0.075), (0.36, edge - 0.065), stripe)
        band(0, 1, (0.8, edge + 0.01), bottom, (36, 36, 40))
        for q in np.linspace(0, 0.9, 8):
            q, r = 1 - (1 - q) ** 2, 1 - (1 - q - 0.07) ** 2
            band(q, r, (0.38, edge - 0.06), (0.56, edge - 0.03), (40, 54, 74))
        for q in (0.3, 0.62):  # doors
            band(q, q + 0.06, (0.34, edge - 0.07), (0.86, edge + 0.02), mix(paint, (255, 255, 255), 0.5))
        line = [
            (mid + s * 0.085, edge + 0.03),
            (mid + s * 0.075, edge + 0.03),
            (mid + s * 0.47, 1),
            (mid + s * 0.52, 1),
        ]
        pen.poly(line, (248, 206, 50))  # the platform's edge
    x, y = mid - side * 0.2, 0.13  # the clock
    pen.line(x, 0, x, y, steel, 0.012)
    pen.oval(x, y, 0.062, 0.092, (26, 26, 30))
    pen.oval(x, y, 0.05, 0.075, (252, 252, 248))
    pen.line(x, y, x, y - 0.055, (20, 20, 20), 0.01)
    pen.line(x, y, x + 0.03, y + 0.02, (20, 20, 20), 0.01)
    bags = [_suitcase(rng) for _ in range(rng.integers(1, 6))]
    lamps = [
        _prop(
            rng.uniform(0.2, 0.8),
            t,
            _box(-0.12, -7, 0.12, 0, steel),
            _box(-0.6, -7.8, 0.6, -6.9, (255, 246, 210), True, True),
        )
        for t in rng.random(rng.integers(0, 3)) * 0.7
    ]
    ends = sorted((mid + side * 0.12, mid - side * 0.3)), sorted((mid + side * 0.5, mid - side * 0.6))
    return Scene(edge + 0.14, 1.12, tuple(ends[0]), tuple(ends[1]), shadow=45, props=bags + lamps, shrink=0.4)


def _streets(pen, rng) -> Scene:
    edge, mid = rng.uniform(0.32, 0.42), rng.uniform(0.42, 0.58)
    _sky(rng, pen, edge)
    for side in (0, 1):
        x, gap = float(side), mid + (side - 0.5) * 0.16
        cuts = np.linspace(0, 1, rng.integers(4, 6))
        for p, q in pairwise(cuts):
            wall = pick(rng, [(186, 110, 84), (210, 190, 150), (150, 150, 160), (196, 150, 110), (120, 96, 90)])
            xa, xb = x + (gap - x) * p, x + (gap - x) * q
            ya, yb, top = 0.62 + (edge - 0.62) * p, 0.62 + (edge - 0.62) * q, rng.uniform(-0.15, 0.0)
            ta, tb = top + (edge - 0.06 - top) * p, top + (edge - 0.06 - top) * q
            pen.poly([(xa, ta), (xb, tb), (xb, yb), (xa, ya)], wall)
            glass = pick(rng, [(50, 60, 84), (236, 214, 130), (120, 150, 180)])
            for i in (0.2, 0.6):
                for j in (0.14, 0.38, 0.62):
                    win = [(i, j), (i + 0.24, j), (i + 0.24, j + 0.14), (i, j + 0.14)]
                    pen.poly(
                        [
                            (xa + (xb - xa) * m, (ta + (tb - ta) * m) * (1 - n) + (ya + (yb - ya) * m) * n)
                            for m, n in win
                        ],
                        glass,
                    )
            pen.poly([(xa, ya - 0.1 * (1 - p)), (xb, yb - 0.1 * (1 - q)), (xb, yb), (xa, ya)], pick(rng, STREETWEAR))
    road = vary(rng, 92, 94, 100)
    pen.poly([(0, 0.62), (mid - 0.08, edge), (mid + 0.08, edge), (1, 0.62), (1, 1), (0, 1)], vary(rng, 172, 168, 164))
    pen.poly([(mid - 0.055, edge), (mid + 0.055, edge), (1.02, 1), (-0.02, 1)], road)
    y = rng.uniform(0.62, 0.72)
    for x in np.linspace(-0.05, 1.05, 10)[:-1]:  # zebra crossing
        pen.poly(
            [
                (mid + (x - mid) * 0.62 / 0.75, y),
                (mid + (x + 0.065 - mid) * 0.62 / 0.75, y),
                (x + 0.07, y + 0.17),
                (x, y + 0.17),
            ],
            (242, 242, 238),
        )
    lamps = [
        _prop(u, t, _box(-0.12, -7, 0.12, 0, (50, 54, 58)), _box(-0.55, -8, 0.55, -6.9, (255, 240, 190), True, True))
        for u, t in zip((0.03, 0.97, 0.08, 0.92), rng.random(4) * 0.7)
    ]
    bins = [
        _ball(
            rng,
            rng.choice([rng.uniform(0, 0.1), rng.uniform(0.9, 1)]),
            rng.random(),
            [(60, 110, 60), (90, 90, 96), (200, 60, 50)],
        )
        for _ in range(rng.integers(1, 6))
    ]
    return Scene(edge + 0.14, 1.12, (mid - 0.26, mid + 0.26), (-0.25, 1.25), props=lamps + bins, shadow=75)


SCENES = {
    "public speech": _public_speech,
    "mecca": _mecca,
    "bus station": _bus_station,
    "train station": _train_station,
    "ceremony": _ceremony,
    "concert": _concert,
    "marathon": _marathon,
    "airport": _airport,
    "stadium": _stadium,
    "streets": _streets,
}
"""The ten locations of the paper's Table VII, in its order."""
