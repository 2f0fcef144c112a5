"""The rendered crowds: exact labels, the same bytes again, captions in one shape."""

import numpy as np
import pytest

from promptmix.miniature.rendering import crowds
from promptmix.miniature.rendering.crowds import (
    COLOURS,
    LOCATION_WORDS,
    LOCATIONS,
    SIZES,
    crowd_scale,
    crowd_size,
    describe,
    render_crowd,
)


def render(seed=0, width=96, height=64, location="streets", people=30, **more):
    return render_crowd(np.random.default_rng(seed), width, height, location, people, **more)


@pytest.mark.parametrize("location", LOCATIONS)
@pytest.mark.parametrize(("people", "size"), [(0, "few"), (7, "few"), (30, "group"), (180, "large")])
def test_every_person_is_labelled_inside_the_image_and_the_head_box(location, people, size):
    crowd = render(3, location=location, people=people)
    assert crowd.image.shape == (64, 96, 3) and crowd.image.dtype == np.uint8
    assert crowd.points.shape == (people, 2) and crowd.boxes.shape == (people, 4)
    assert crowd.points.dtype == crowd.boxes.dtype == np.float32
    assert (crowd.points > 0).all() and (crowd.points < (96, 64)).all()
    assert (crowd.boxes[:, :2] < crowd.points).all() and (crowd.points < crowd.boxes[:, 2:]).all()
    assert (crowd.boxes >= 0).all() and (crowd.boxes[:, 2:] <= (96, 64)).all()
    assert (crowd.location, crowd.size, crowd.colours, crowd.grey) == (location, size, "color", False)


@pytest.mark.parametrize("location", LOCATIONS)
@pytest.mark.parametrize("people", [40, 150])
def test_every_labelled_head_is_in_sight(location, people, monkeypatch):
    """Paint each head in a colour of its own and look for the colours in what is left of the canvas."""
    draw, heads = crowds._draw_person, []

    def draw_marked(pen, rng, scene, x, foot, d, y, *rest):
        draw(pen, rng, scene, x, foot, d, y, *rest)
        heads.append((pen, (1, 0, len(heads) + 1), d))
        pen.d.ellipse((x - 0.5 * d, y - 0.55 * d, x + 0.5 * d, y + 0.55 * d), heads[-1][1])

    monkeypatch.setattr(crowds, "_draw_person", draw_marked)
    render(5, location=location, people=people)
    canvas = np.asarray(heads[0][0].image)
    shares = [(canvas == colour).all(-1).sum() / (0.25 * np.pi * 1.1 * d**2) for _, colour, d in heads]
    assert len(heads) == people and min(shares) > 0.15


@pytest.mark.parametrize("location", LOCATIONS)
def test_the_same_seed_gives_the_same_bytes(location):
    one, two, other = (render(seed, location=location) for seed in (1, 1, 2))
    assert one.image.tobytes() == two.image.tobytes()
    assert (one.points == two.points).all() and (one.boxes == two.boxes).all()
    assert one.image.tobytes() != other.image.tobytes()


@pytest.mark.parametrize("colours", COLOURS)
def test_only_color_has_different_channels_and_all_have_the_heads_of_the_coloured_image(colours):
    crowd, usual = render(colours=colours), render()
    grey = colours != "color"
    assert (crowd.colours, crowd.grey) == (colours, grey)
    assert (crowd.image == crowd.image[..., :1]).all() == grey
    assert (crowd.image == usual.image).all() == (not grey)
    assert (crowd.points == usual.points).all() and (crowd.boxes == usual.boxes).all()


def test_black_and_white_has_hardly_any_grey_between_the_two():
    middle, dark = {}, {}
    for colours in ("grayscale", "black and white"):
        images = np.stack([render(location=place, colours=colours).image[..., 0] for place in LOCATIONS])
        middle[colours] = ((images > 64) & (images < 192)).mean((1, 2))
        dark[colours] = (images < 128).mean((1, 2))
    assert middle["black and white"].max() < 0.3
    assert middle["black and white"].mean() < middle["grayscale"].mean() / 3
    np.testing.assert_allclose(dark["black and white"], 0.5, atol=0.05)  # neither all black nor all white


@pytest.mark.parametrize(("width", "height"), [(144, 80), (512, 384), (960, 540)])
def test_other_sizes_of_image(width, height):
    crowd = render(width=width, height=height, location="marathon", people=400)
    assert crowd.image.shape == (height, width, 3) and len(crowd.points) == 400


@pytest.mark.parametrize(("width", "height"), [(96, 64), (144, 80), (960, 540)])
@pytest.mark.parametrize("size", SIZES)
def test_the_thresholds_agree_with_the_ranges(size, width, height):
    scale = crowd_scale(width, height)
    assert {crowd_size(round(people * scale), width, height) for people in SIZES[size]} == {size}


@pytest.mark.parametrize("location", LOCATIONS)
@pytest.mark.parametrize("size", SIZES)
def test_captions_are_lower_case_sentences_that_vary(location, size):
    rng = np.random.default_rng(0)
    captions = {describe(rng, location, size) for _ in range(60)}
    assert len(captions) > 8
    assert all(c == c.lower() and c.endswith(".") and c.count(".") == 1 and "  " not in c for c in captions)


def test_captions_and_the_paper_s_prompts_have_the_same_words_for_a_location():
    assert tuple(LOCATION_WORDS) == LOCATIONS
    rng = np.random.default_rng(0)
    for location, words in LOCATION_WORDS.items():
        captions = [describe(rng, location, "large") for _ in range(60)]
        assert 1 <= sum(f" in {words.lower()}." in caption for caption in captions) < 60


def test_unknown_names_and_impossible_crowds_say_what_is_wrong():
    with pytest.raises(ValueError, match="'moon'.*choose from public speech, mecca, bus station"):
        render(location="moon")
    with pytest.raises(ValueError, match="'moon'.*choose from public speech, mecca"):
        describe(np.random.default_rng(0), "moon", "few")
    with pytest.raises(ValueError, match="'vast'.*choose from few, group, large"):
        describe(np.random.default_rng(0), "streets", "vast")
    with pytest.raises(ValueError, match="'sepia'.*choose from color, grayscale, black and white"):
        render(colours="sepia")
    with pytest.raises(ValueError, match="1000 people do not fit a 96x64 image of a marathon"):
        render(location="marathon", people=1000)
