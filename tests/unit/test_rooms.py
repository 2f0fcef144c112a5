"""Rooms: reproducible, and of a depth that can be worked out by hand."""

import numpy as np
import pytest

from promptmix.miniature.rendering.furniture import ROOMS, Scene, furnish
from promptmix.miniature.rendering.rooms import Camera, cast, describe, render_room


@pytest.mark.parametrize("kind", ROOMS)
def test_same_seed_same_bytes(kind):
    one, two = (render_room(np.random.default_rng(7), 48, 32, kind) for _ in range(2))
    assert one.image.tobytes() == two.image.tobytes()
    assert one.depth.tobytes() == two.depth.tobytes()
    assert render_room(np.random.default_rng(8), 48, 32, kind).image.tobytes() != one.image.tobytes()


@pytest.mark.parametrize("kind", ROOMS)
@pytest.mark.parametrize(("width", "height"), [(48, 32), (32, 48)])
def test_shapes_types_and_range(kind, width, height):
    for seed in range(20):
        room = render_room(np.random.default_rng(seed), width, height, kind)
        assert room.kind == kind
        assert (room.image.shape, room.image.dtype) == ((height, width, 3), np.uint8)
        assert (room.depth.shape, room.depth.dtype) == ((height, width), np.float32)
        assert room.depth.min() >= 0.5 and room.depth.max() <= 10


@pytest.mark.parametrize("kind", ROOMS)
def test_furniture_leaves_room_for_the_camera(kind):
    for seed in range(300):
        scene, focus = furnish(np.random.default_rng(seed), kind)
        low, high = scene.bounds()
        assert (low < high).all()
        assert low[:, 2].min() >= 1.2
        assert all(0 < at < size for at, size in zip(focus, scene.size, strict=True))


def test_depth_of_an_empty_room():
    """Straight ahead the back wall is equally deep everywhere; the floor's depth follows from similar triangles."""
    camera = Camera((2.0, 1.5, 0.5), view=np.pi / 2)  # focal length: half the image's width
    depth, surface, axis = cast(Scene((4.0, 3.0, 5.0)), camera, camera.rays(64, 64))
    assert np.allclose(depth[surface == 5], 4.5, atol=1e-5)
    assert (axis[surface == 5] == 2).all() and (surface == 5).any()
    below = (63 + 0.5 - 32) / 32  # how far the last row looks down for each metre ahead
    assert depth[63, 32] == pytest.approx(1.5 / below, rel=1e-5)
    assert surface[63, 32] == 2


def test_depth_of_a_box_under_a_turned_camera():
    """Depth is measured along the optical axis: turned by yaw, the middle ray meets a wall farther away by 1 / cos."""
    scene = Scene((8.0, 3.0, 6.0))
    scene.box((1.0, 7.0), (0.0, 3.0), (4.0, 5.0), (1, 1, 1))
    camera = Camera((4.0, 1.5, 1.0), yaw=0.3)
    depth, surface, _ = cast(scene, camera, camera.rays(33, 33))
    assert surface[16, 16] == 6
    assert depth[16, 16] == pytest.approx(3.0 / np.cos(0.3), rel=1e-5)


@pytest.mark.parametrize("kind", ROOMS)
def test_captions(kind):
    captions = {describe(np.random.default_rng(seed), kind) for seed in range(40)}
    assert len(captions) > 5
    assert all(caption.endswith(".") and caption == caption.lower() for caption in captions)
    assert "apartment interior." in captions


@pytest.mark.parametrize("call", [lambda rng: render_room(rng, 8, 8, "cellar"), lambda rng: describe(rng, "cellar")])
def test_unknown_kind(call):
    with pytest.raises(ValueError, match="cellar.*bedroom, bathroom, kitchen, living room, office"):
        call(np.random.default_rng(0))
