import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from promptmix.datasets.pictures import (
    decode_image,
    decoding_bytes,
    encode_jpeg,
    is_grey,
    jpeg_quality,
    measure,
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


@pytest.mark.parametrize(
    ("start", "what"),
    [
        (b"\0\0\0\x18ftypheic", "HEIC or AVIF, whatever its name.*Convert it to JPEG or PNG"),
        (b"\0\0\0\x18ftypmif1", "HEIC or AVIF"),
        (b"\0\0\0\x18ftypisom", "a video.*frames"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS.*git lfs pull"),
        (b"PK\x03\x04", "a ZIP archive.*Unpack"),
        (b"\x1f\x8b", "gzip.*gunzip"),
        (b"<!DOCTYPE html>", "a web page.*Fetch or copy it again"),
    ],
)
def test_a_file_that_is_not_what_its_name_says(tmp_path, start, what):
    (tmp_path / "1.jpg").write_bytes(start + bytes(100))
    with pytest.raises(InputError, match=rf"1\.jpg: not an image .* bytes\), but .*{what}"):
        read_image(tmp_path / "1.jpg")


def test_a_broken_link_is_named(tmp_path):
    (tmp_path / "1.jpg").symlink_to(tmp_path / "gone.jpg")
    with pytest.raises(InputError, match=r"1\.jpg: the image is a link to .*gone\.jpg"):
        read_image(tmp_path / "1.jpg")


def test_what_the_system_refuses_is_no_damage(tmp_path):
    (tmp_path / "1.jpg").mkdir()
    with pytest.raises(InputError, match=r"1\.jpg: the image cannot be read \(Is a directory\)"):
        read_image(tmp_path / "1.jpg")


# --- metadata


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def turned(tag=6):
    exif = Image.Exif()
    exif[0x0112] = tag
    return exif


@pytest.mark.parametrize("format", ["JPEG", "MPO", "PNG", "WEBP", "TIFF"])
def test_the_orientation_is_found_whatever_the_format(tmp_path, photo, format):
    second = {"save_all": True, "append_images": [Image.fromarray(photo)]} if format == "MPO" else {}
    for tag in (1, 3, 6):
        Image.fromarray(photo).save(tmp_path / "1.jpg", format, exif=turned(tag), **second)
        with Image.open(tmp_path / "1.jpg") as image:
            assert image.format == format
        assert measure(tmp_path / "1.jpg")[1] == tag
    Image.fromarray(photo).save(tmp_path / "1.jpg", format, **second)
    assert measure(tmp_path / "1.jpg") == ((64, 48), 1)


def test_the_orientation_is_found_behind_the_pixels_and_in_xmp(tmp_path, photo):
    Image.fromarray(photo).save(tmp_path / "1.png")
    whole = (tmp_path / "1.png").read_bytes()
    exif = chunk(b"eXIf", turned(8).tobytes().removeprefix(b"Exif\0\0"))
    (tmp_path / "1.png").write_bytes(whole[:-12] + exif + whole[-12:])
    assert measure(tmp_path / "1.png") == ((64, 48), 8)
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="3"/></x:xmpmeta>'
    Image.fromarray(photo).save(tmp_path / "1.jpg", xmp=xmp)
    assert measure(tmp_path / "1.jpg") == ((64, 48), 3)


def test_damaged_metadata_is_passed_over(tmp_path, photo):
    Image.fromarray(photo).save(tmp_path / "1.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x05nothing")
    assert measure(tmp_path / "1.jpg") == ((64, 48), 1)
    Image.fromarray(photo).save(tmp_path / "2.jpg", exif=b"Exif\0\0nothing at all")
    assert measure(tmp_path / "2.jpg") == ((64, 48), 1)


def test_a_large_colour_profile_is_read_and_a_huge_one_is_named(tmp_path, photo):
    Image.fromarray(photo).save(tmp_path / "large.png", icc_profile=os.urandom(3_000_000))
    np.testing.assert_array_equal(read_image(tmp_path / "large.png"), photo)
    Image.fromarray(photo).save(tmp_path / "huge.png", icc_profile=bytes(70_000_000))
    with pytest.raises(InputError, match=r"huge\.png: .*too large"):
        read_image(tmp_path / "huge.png")


# --- modes


def grey16(array):
    return Image.fromarray(array.astype(np.uint16) * 257)


def pgm(path, array):
    path.write_bytes(b"P5 64 48 65535\n" + (array.astype(">u2") * 257).tobytes())


def big_endian(path, array):
    Image.frombytes("I;16B", (64, 48), (array.astype(">u2") * 257).tobytes()).save(path)


@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("1.png", lambda path, array: grey16(array).save(path)),
        ("1.tif", big_endian),
        ("1.pgm", pgm),
        ("1.gif", lambda path, array: Image.fromarray(array).save(path)),
        ("2.png", lambda path, array: Image.fromarray(array).convert("LA").save(path)),
    ],
)
def test_grey_images_keep_their_values_whatever_the_mode(tmp_path, photo, name, save):
    grey = photo[..., 0]
    save(tmp_path / name, grey)
    np.testing.assert_array_equal(read_image(tmp_path / name), np.repeat(grey[..., None], 3, axis=-1))
    with open_image(tmp_path / name) as image:
        assert is_grey(image)
        small = decode_image(image, (32, 24))
    wanted = np.asarray(Image.fromarray(grey).convert("RGB").resize((32, 24), Image.Resampling.LANCZOS))
    np.testing.assert_array_equal(small, wanted)


def test_colours_of_16_bits_keep_their_upper_8(tmp_path, photo):
    rows = b"".join(b"\0" + row.tobytes() for row in photo.astype(">u2") * 257)
    header = struct.pack(">IIBBBBB", 64, 48, 16, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    (tmp_path / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    np.testing.assert_array_equal(read_image(tmp_path / "1.png"), photo)


def test_12_bits_in_16_are_not_made_black(tmp_path, photo):
    Image.fromarray(photo[..., 0].astype(np.uint16) * 16).save(tmp_path / "1.png")
    with pytest.raises(InputError, match=r"1\.png: .*16 bits, .*values end at 4032, .*black.*multiply.*16 for 12 bits"):
        read_image(tmp_path / "1.png")
    Image.fromarray(np.zeros((48, 64), np.uint16)).save(tmp_path / "2.png")
    assert not read_image(tmp_path / "2.png").any()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((48, 64), 0.5, np.float32), r"1\.tif: .*floating-point numbers.*Expected RGB or grey"),
        (np.full((48, 64), 70_000, np.int32), r"1\.tif: grey values from 70000 to 70000\. Expected 0 to 65535"),
    ],
)
def test_values_that_are_no_brightness_are_refused(tmp_path, array, message):
    Image.fromarray(array).save(tmp_path / "1.tif")
    with pytest.raises(InputError, match=message):
        read_image(tmp_path / "1.tif")


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P"])
def test_an_alpha_channel_is_dropped_where_it_says_nothing_and_refused_where_it_does(tmp_path, photo, mode):
    image = Image.fromarray(photo).convert("P" if mode == "P" else mode)
    wanted = np.asarray(image.convert("RGB"))
    unused = next(iter(set(range(256)) - set(image.get_flattened_data()))) if mode == "P" else None
    image.save(tmp_path / "opaque.png", **({"transparency": unused} if mode == "P" else {}))
    np.testing.assert_array_equal(read_image(tmp_path / "opaque.png"), wanted)
    if mode == "P":
        image.save(tmp_path / "glass.png", transparency=image.getpixel((0, 0)))
    else:
        image.putpixel((5, 5), (*image.getpixel((5, 5))[:-1], 100))
        image.save(tmp_path / "glass.png")
    with pytest.raises(InputError, match=r"glass\.png: some pixels are transparent.*-alpha remove"):
        read_image(tmp_path / "glass.png")


def test_the_colours_of_print_are_shown(tmp_path):
    Image.new("CMYK", (64, 48), (0, 255, 255, 0)).save(tmp_path / "red.jpg", quality=95)
    red, green, blue = read_image(tmp_path / "red.jpg")[20, 20]
    assert red > 245 and green < 10 and blue < 10


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
