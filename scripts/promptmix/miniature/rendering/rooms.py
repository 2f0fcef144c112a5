"""Rendered rooms with exact depth: the miniature's stand-in for NYU Depth V2.

A room and its furniture are boxes (see `furniture`). Per pixel, one ray through the centre gives the depth, and four
rays give the colour. Lengths are in metres.
"""

from dataclasses import dataclass

import numpy as np

from promptmix.miniature.rendering.furniture import CREAM, FABRICS, ROOMS, WOODS, Scene, furnish, pick

LIGHTS = {"bathroom": (0.92, 1.0, 1.08), "office": (0.98, 1.0, 1.02), "kitchen": (1.04, 1.0, 0.93)}
FEATURES = {
    "bedroom": ("a bed and a window", "a bed with pillows", "a wardrobe and a bed", "a bed and a nightstand"),
    "bathroom": ("a bathtub and a toilet", "a sink and a mirror", "white tiles and a toilet", "a toilet and a sink"),
    "kitchen": ("a fridge and cupboards", "a table and a stove", "counters and a fridge", "a stove and cupboards"),
    "living room": (
        "a sofa and a television",
        "a sofa and a table on a rug",
        "a couch and a tv",
        "a sofa and a window",
    ),
    "office": (
        "a desk and a chair",
        "a desk with a computer screen",
        "shelves of books and a desk",
        "a chair and shelves",
    ),
}


@dataclass(frozen=True)
class Room:
    """A rendered room.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        depth: (H, W) float32, metres along the optical axis, 0.5 to 10.
        kind: one of ROOMS.
    """

    image: np.ndarray
    depth: np.ndarray
    kind: str


@dataclass(frozen=True)
class Camera:
    """A pinhole camera; angles are in radians, and `view` is the angle of view along the image's longer side."""

    position: tuple[float, float, float]
    yaw: float = 0.0
    pitch: float = 0.0
    view: float = 1.0

    def rotation(self) -> np.ndarray:
        """Return the (3, 3) matrix that turns directions of the camera (right, up, forward) into those of the room."""
        (cy, sy), (cp, sp) = (np.cos(self.yaw), np.sin(self.yaw)), (np.cos(self.pitch), np.sin(self.pitch))
        return np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]]) @ np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])

    def focal(self, width: int, height: int) -> float:
        """Return the focal length in pixels."""
        return max(width, height) / 2 / np.tan(self.view / 2)

    def rays(self, width: int, height: int) -> np.ndarray:
        """Return directions through the pixels' centres, (3, height, width), scaled so that distances are depths."""
        x = (np.arange(width) + 0.5 - width / 2) / self.focal(width, height)
        y = (height / 2 - np.arange(height) - 0.5) / self.focal(width, height)
        rays = np.stack([*np.broadcast_arrays(x[None], y[:, None]), np.ones((height, width))])
        return np.tensordot(self.rotation(), rays, 1).astype(np.float32)


def cast(scene: Scene, camera: Camera, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what each ray hits first: its depth, the number of the surface, and the axis to which that is normal.

    Surfaces 0 to 5 are the room's sides (x, y, z, the lower one first); the boxes follow.
    """
    _, height, width = rays.shape
    origin = np.array(camera.position, np.float32)[:, None, None]
    inverse = 1 / np.where(np.abs(rays) < 1e-6, np.float32(1e-6), rays)
    exits = np.where(inverse > 0, np.array(scene.size, np.float32)[:, None, None] - origin, -origin) * inverse
    axis = exits.argmin(0)
    depth = exits.min(0)
    surface = 2 * axis + (np.take_along_axis(inverse, axis[None], 0)[0] > 0)
    for index, (low, high) in enumerate(zip(*scene.bounds(), strict=True), start=6):
        window = _window(camera, low, high, width, height)
        part = inverse[:, *window]
        first = (low[:, None, None] - origin) * part
        second = (high[:, None, None] - origin) * part
        enters = np.minimum(first, second)
        near = enters.max(0)
        hit = (near < np.maximum(first, second).min(0)) & (near > 0) & (near < depth[window])
        depth[window][hit] = near[hit]
        surface[window][hit] = index
        axis[window][hit] = enters[:, hit].argmax(0)
    return depth, surface, axis


def _window(camera: Camera, low: np.ndarray, high: np.ndarray, width: int, height: int) -> tuple[slice, slice]:
    """Return the rows and columns that a box can touch: testing only these makes rendering several times faster."""
    corners = np.stack(np.meshgrid(*zip(low, high, strict=True)), -1).reshape(-1, 3) - camera.position
    right, up, forward = (corners @ camera.rotation()).T
    if forward.min() < 0.05:  # partly behind the camera, where points cannot be projected
        return slice(None), slice(None)
    columns = width / 2 + camera.focal(width, height) * right / forward
    rows = height / 2 - camera.focal(width, height) * up / forward
    return (
        slice(max(0, int(rows.min()) - 1), max(0, int(rows.max()) + 2)),
        slice(max(0, int(columns.min()) - 1), max(0, int(columns.max()) + 2)),
    )


def _noise(a: np.ndarray, b: np.ndarray | float = 0.0) -> np.ndarray:
    """Return a fixed pseudo-random number in 0..1 for each cell of a grid."""
    return np.abs(np.sin(a * 12.9898 + b * 78.233) * 437.585) % 1


def _texture(pattern: str, u: np.ndarray, v: np.ndarray, colour, second, scale: float) -> np.ndarray:
    """Return the colours (points, 3) of a pattern at surface coordinates u and v."""
    column, row = np.floor(u / scale), np.floor(v / scale)
    a, b = u / scale - column, v / scale - row
    colour, second = np.array(colour, np.float32), np.array(second, np.float32)
    if pattern == "books":
        tall = b < 0.6 + 0.25 * _noise(np.floor(u / 0.06), row)
        palette = np.array(FABRICS + WOODS + (CREAM,))
        books = palette[(_noise(np.floor(u / 0.06), row + 3) * len(palette)).astype(int)]
        return np.where((b < 0.08)[:, None], colour, np.where(tall[:, None], books, second))
    if pattern == "tiles":
        mix = (a < 0.07) | (b < 0.07)
    elif pattern == "checker":
        mix = (column + row) % 2
    elif pattern == "planks":
        mix = 0.35 * _noise(column, np.floor(v / scale / 6 + 0.37 * column)) + 0.5 * (a < 0.08)
    elif pattern == "carpet":
        mix = 0.4 * _noise(np.floor(u / 0.04), np.floor(v / 0.04))
    elif pattern == "stripes":
        mix = a < 0.5
    elif pattern == "panels":  # cupboard doors or drawers, with gaps between them and a handle each
        mix = 0.6 * ((a < 0.05) | (v < 0.05)) + 0.8 * ((np.abs(a - 0.85) < 0.04) & (np.abs(v - 0.45) < 0.12))
    elif pattern == "window":  # sky over a hazy horizon, with a cross of bars
        sky = np.where((v / v.max() > 0.3 + 0.1 * _noise(np.floor(u / 0.2)))[:, None], colour, second)
        bars = (np.abs(u - scale) < 0.03) | (np.abs(v - 0.6 * v.max()) < 0.03)
        return np.where(bars[:, None], np.float32(0.7), sky)
    else:  # "blend": from one colour below to the other above, as in mirrors, screens and pictures
        mix = np.clip(v / scale, 0, 1)
    return colour + np.asarray(mix, np.float32)[:, None] * (second - colour)


def _shade(
    scene: Scene, camera: Camera, rays: np.ndarray, lamp: np.ndarray, tint: np.ndarray, ambient: float
) -> np.ndarray:
    """Return the colours of what rays hit, (height * width, 3), lit by one lamp, darker near corners and furniture."""
    depth, surface, axis = cast(scene, camera, rays)
    depth, surface, axis, rays = depth.ravel(), surface.ravel(), axis.ravel(), rays.reshape(3, -1)
    points = np.array(camera.position, np.float32)[:, None] + depth * rays
    low, high = scene.bounds()
    corners = np.concatenate([np.zeros((6, 3), np.float32), low])
    colour = np.array([paint[0] for paint in scene.paint], np.float32)[surface]
    for index, (first, pattern, second, scale, _) in enumerate(scene.paint):
        if pattern != "plain" and (where := np.flatnonzero(surface == index)).size:
            x, y, z = points[:, where] - corners[index][:, None]
            face = axis[where]
            u, v = np.where(face == 0, z, x), np.where(face == 1, z, y)
            colour[where] = _texture(pattern, u, v, first, second, scale)

    every = np.arange(depth.size)
    towards = lamp[:, None] - points
    distance = np.sqrt((towards**2).sum(0))
    facing = np.maximum(0, -np.sign(rays[axis, every]) * towards[axis, every] / distance)
    furniture = np.flatnonzero((high - low).min(1) > 0.1)  # shadows of thinner boxes are not worth the time
    start = points + 0.02 * towards
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = 1 / towards
        shadow = np.zeros(depth.size, bool)
        for a, b in zip(low[furniture, :, None], high[furniture, :, None], strict=True):
            one, two = (a - start) * inverse, (b - start) * inverse
            near, far = np.minimum(one, two).max(0), np.maximum(one, two).min(0)
            shadow |= (near < far) & (far > 0) & (near < 0.95)
    key = 1.25 * facing / (1 + (distance / 3.2) ** 2) * np.where(shadow, 0.25, 1)

    open_sky = np.array([0.85, 1.0, 0.95], np.float32)[axis]
    for a in range(3):
        gap = np.minimum(points[a], scene.size[a] - points[a])
        open_sky *= np.where(axis == a, 1, 1 - 0.35 * np.exp(-gap / 0.22))
    floor = np.flatnonzero(surface == 2)
    x, _, z = points[:, floor]
    for a, b in zip(low[furniture], high[furniture], strict=True):
        if a[1] < 0.5:  # it is on the floor
            away = np.maximum(0, np.maximum(a[0] - x, x - b[0])) + np.maximum(0, np.maximum(a[2] - z, z - b[2]))
            open_sky[floor] *= 1 - 0.3 * np.exp(-away / 0.18)
    light = (ambient * open_sky + key)[:, None] * tint
    glow = np.array([paint[4] for paint in scene.paint], np.float32)[surface][:, None]
    return colour * (glow + (1 - np.minimum(glow, 1)) * light)


def _look(rng: np.random.Generator, scene: Scene, focus: tuple[float, float, float]) -> Camera:
    """Return a camera near the front wall that looks roughly at a point."""
    # 0.8 m from the side walls and all furniture beyond z = 1.2 keep everything visible farther than 0.5 m
    position = (rng.uniform(0.85, scene.size[0] - 0.85), rng.uniform(1.2, 1.6), rng.uniform(0.1, 0.5))
    right, up, forward = np.array(focus) - position + rng.normal(0, (0.2, 0.08, 0))
    yaw, pitch = np.clip(np.arctan2(right, forward), -0.6, 0.6), np.arctan2(up, np.hypot(right, forward))
    return Camera(position, yaw, pitch, np.deg2rad(rng.uniform(56, 70)))


def render_room(rng: np.random.Generator, width: int, height: int, kind: str) -> Room:
    """Render a room of a kind at random; the same generator state and arguments give the same bytes."""
    _check(kind)
    scene, focus = furnish(rng, kind)
    camera = _look(rng, scene, focus)
    spread, warm = np.array(scene.size), rng.uniform(-0.05, 0.05)
    lamp = (spread * (rng.uniform(0.25, 0.75), 0.93, rng.uniform(0.3, 0.6))).astype(np.float32)
    tint = np.array(LIGHTS.get(kind, (1.06, 0.99, 0.88))) * (1 + warm, 1, 1 - warm) * rng.uniform(0.75, 1.2)
    colour = _shade(
        scene, camera, camera.rays(2 * width, 2 * height), lamp, tint.astype(np.float32), rng.uniform(0.4, 0.6)
    )
    colour = colour.reshape(height, 2, width, 2, 3).mean((1, 3)) + rng.normal(0, 0.012, (height, width, 3))
    # Depth has its own rays, through the pixels' centres: an average over an edge would be the depth of no surface.
    depth, _, _ = cast(scene, camera, camera.rays(width, height))
    return Room((np.clip(colour, 0, 1) * 255).astype(np.uint8), depth, kind)


def describe(rng: np.random.Generator, kind: str) -> str:
    """Return a caption as a captioner would write it for a room of a kind."""
    _check(kind)
    article, feature = ("an" if kind[0] in "aeiou" else "a"), pick(rng, FEATURES[kind])
    return pick(
        rng,
        (
            f"{article} {kind} interior with {feature}.",
            f"{article} {kind} with {feature}.",
            f"{kind} interior.",
            f"apartment interior, {article} {kind} with {feature}.",
            "apartment interior.",
        ),
    )


def _check(kind: str) -> None:
    if kind not in ROOMS:
        raise ValueError(f"{kind!r} is not a kind of room; choose from {', '.join(ROOMS)}")
