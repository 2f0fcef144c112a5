import io

import numpy as np
import pytest
from PIL import Image

from promptmix.datasets.pictures import (
    decode_image,
    decoding_bytes,
    encode_jpeg,
    is_grey,
    jpeg_quality,
    open_image,
    read_image,
    training_size,
)
from promptmix.errors import InputError


@pytest.fixture
def photo():
    """A smooth colour image, (48, 64, 3)."""
    y, x = np.mgrid[:48, :64]
    return np.stack([4 * x, 5 * y, 255 - 2 * x - 2 * y], axis=-1).clip(0, 255).astype(np.uint8)


def test_read_image_is_rgb_and_writable(tmp_path, photo):
    Image.fromarray(photo).save(tmp_path / "colour.png")
    Image.fromarray(photo).convert("L").save(tmp_path / "grey.png")
    Image.fromarray(photo).convert("P").save(tmp_path / "palette.png")
    np.testing.assert_array_equal(read_image(tmp_path / "colour.png"), photo)
    grey = read_image(tmp_path / "grey.png")
    assert grey.shape == photo.shape and grey.dtype == np.uint8 and grey.flags.writeable
    assert (grey[..., 0] == grey[..., 2]).all()
    assert read_image(tmp_path / "palette.png").shape == photo.shape


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_a_truncated_jpeg_is_named(tmp_path, photo, share):
    path = tmp_path / "IMG_7.jpg"
    whole = encode_jpeg(photo, 95)
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(InputError, match=r"IMG_7\.jpg: .*(truncated or damaged|not an image).*Fetch or copy it again"):
        read_image(path)


def test_missing_and_foreign_files_are_named(tmp_path):
    with pytest.raises(InputError, match=r"absent\.jpg: no such image"):
        read_image(tmp_path / "absent.jpg")
    (tmp_path / "page.jpg").write_text("<html>")
    with pytest.raises(InputError, match=r"page\.jpg: not an image .*6 bytes.*Fetch or copy it again"):
        read_image(tmp_path / "page.jpg")


@pytest.mark.parametrize("quality", [1, 10, 25, 49, 50, 51, 60, 75, 80, 91, 95, 99, 100])
@pytest.mark.parametrize("grey", [True, False])
def test_quality_of_a_jpeg_is_exact(tmp_path, photo, quality, grey):
    path = tmp_path / "image.jpg"
    path.write_bytes(encode_jpeg(photo, quality, grey))
    assert jpeg_quality(path) == quality


def test_quality_of_other_tables_is_the_nearest(tmp_path, photo):
    image = Image.fromarray(photo)
    image.save(tmp_path / "75.jpg", quality=75)
    tables = Image.open(tmp_path / "75.jpg").quantization
    tables[0][5] += 1
    image.save(tmp_path / "near.jpg", qtables=[tables[0], tables[1]])
    assert jpeg_quality(tmp_path / "near.jpg") == 75


def test_quality_without_jpeg(tmp_path, photo):
    Image.fromarray(photo).save(tmp_path / "image.png")
    assert jpeg_quality(tmp_path / "image.png") == 95


def test_grey_is_stored_grey_or_equal_channels(tmp_path, photo):
    equal = np.repeat(photo[..., :1], 3, axis=-1)
    for name, array, grey in (("mode-l.jpg", photo, True), ("equal.jpg", equal, False)):
        (tmp_path / name).write_bytes(encode_jpeg(array, 75, grey))
        assert is_grey(tmp_path / name)
    assert Image.open(tmp_path / "mode-l.jpg").mode == "L"
    noise = np.random.default_rng(0).integers(-2, 3, equal.shape)
    assert is_grey((equal.astype(int) + noise).clip(0, 255).astype(np.uint8))


def test_colour_is_colour(tmp_path, photo):
    assert not is_grey(photo)
    assert not is_grey(Image.fromarray(photo))
    spot = np.full((100, 100, 3), 128, np.uint8)
    spot[40:50, 40:50] = [200, 40, 40]
    assert not is_grey(spot)
    (tmp_path / "spot.jpg").write_bytes(encode_jpeg(spot, 75))
    assert not is_grey(tmp_path / "spot.jpg")
    sepia = np.full((100, 100, 3), [140, 125, 100], np.uint8)
    assert not is_grey(sepia)


def test_asking_whether_an_image_is_grey_leaves_it_alone(tmp_path):
    array = np.random.default_rng(0).integers(0, 255, (1100, 1300, 3), dtype=np.uint8)
    image = Image.open(io.BytesIO(encode_jpeg(array, 75)))
    assert not is_grey(image)
    assert image.size == (1300, 1100)


@pytest.mark.parametrize(
    ("size", "resize", "expected"),
    [
        ((2902, 2013), {"fit": [1920, 1920]}, (1920, 1332)),
        ((2013, 2902), {"fit": [1920, 1920]}, (1332, 1920)),
        ((300, 200), {"fit": [1920, 1920]}, (300, 200)),
        ((26382, 14767), {"exact": [2560, 1440]}, (2560, 1440)),
        ((300, 200), {"exact": [2560, 1440]}, (2560, 1440)),
        ((5000, 3), {"fit": [100, 100]}, (100, 1)),
        ((300, 200), None, (300, 200)),
    ],
)
def test_training_size(size, resize, expected):
    assert training_size(*size, resize) == expected


@pytest.mark.parametrize(
    "resize", [{"fill": [1, 2]}, {"fit": [100]}, {"fit": [0, 5]}, {"fit": [9, 9], "exact": [9, 9]}]
)
def test_other_ways_to_resize_are_errors(resize):
    with pytest.raises(InputError, match="resize: .*; expected 'fit"):
        training_size(10, 10, resize)


def test_decoding_small_agrees_with_decoding_whole(tmp_path):
    """JPEGs are scaled down while they are decoded, which must not shift or blur what remains."""
    y, x = np.mgrid[:800, :1200]
    array = np.stack([128 + 100 * np.sin(x / 60), 128 + 100 * np.cos(y / 50), (x + y) / 8], axis=-1).astype(np.uint8)
    path = tmp_path / "image.jpg"
    path.write_bytes(encode_jpeg(array, 95))
    with open_image(path) as image:
        small = decode_image(image, (120, 80))
    whole = np.asarray(Image.fromarray(read_image(path)).resize((120, 80), Image.Resampling.LANCZOS))
    assert small.shape == (80, 120, 3)
    assert np.abs(small.astype(int) - whole).mean() < 1


def test_images_beyond_pillows_limit_can_be_read(tmp_path):
    """PANDA-Crowd: 26382x14767; Pillow's own limit is 179 million pixels."""
    assert Image.MAX_IMAGE_PIXELS > 26908 * 15024
    Image.new("1", (20_000, 9_500)).save(tmp_path / "large.png")
    with open_image(tmp_path / "large.png") as image:
        assert image.size == (20_000, 9_500)


@pytest.mark.parametrize("size", [(100, 75), (101, 75), (50, 75), (400, 10), (800, 600), (20, 15)])
def test_what_decoding_takes_is_known_before(size):
    """From how much a JPEG is scaled down while it is decoded, which Pillow decides."""
    data = encode_jpeg(np.zeros((600, 800, 3), np.uint8), 75)
    image = Image.open(io.BytesIO(data))
    predicted = decoding_bytes(image, size)
    if size != image.size:
        image.draft(None, (2 * size[0], 2 * size[1]))
    half_resized = 4 * size[0] * image.height if size != image.size else 0
    assert predicted == 4 * image.width * image.height + half_resized + 10 * size[0] * size[1]


def test_a_progressive_jpeg_takes_the_memory_of_all_its_coefficients():
    def predicted(mode, **options):
        buffer = io.BytesIO()
        Image.new(mode, (800, 600)).save(buffer, "JPEG", **options)
        return decoding_bytes(Image.open(buffer), (80, 60))

    for mode, options, per_pixel in (("RGB", {"subsampling": 0}, 3), ("RGB", {"subsampling": 2}, 1.5), ("L", {}, 1)):
        more = predicted(mode, progressive=True, **options) - predicted(mode, **options)
        assert more == 2 * 800 * 600 * per_pixel


def test_other_formats_are_decoded_whole():
    buffer = io.BytesIO()
    Image.new("L", (800, 600)).save(buffer, "PNG")
    assert decoding_bytes(Image.open(buffer), (80, 60)) > 2 * 4 * 800 * 600  # and then converted
