"""Manifests: what is written is read, and a file that is not the generated one is noticed."""

import numpy as np
import pytest
from PIL import Image

from promptmix.errors import InputError
from promptmix.files import sha256
from promptmix.synthesis.manifest import read_manifest, read_verified, write_manifest


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "seed-00000.jpg"
    Image.fromarray(np.full((8, 10, 3), 77, dtype=np.uint8)).save(path)
    return path


def row(image, **changes):
    names = {"file": image, "seed": 0, "pool": "p", "prompt_number": 0, "prompt": 'large crowd, "many", grey'}
    names |= {"width": 10, "height": 8, "quality": 75, "source": "IMG_1", "faces": 0, "sha256": sha256(image)}
    return names | changes


def test_what_is_written_is_read(image, tmp_path, monkeypatch):
    write_manifest(tmp_path / "block-0.csv", [row(image), row(image, prompt="007", source="")])
    monkeypatch.chdir(tmp_path)
    frame = read_manifest("block-0.csv")
    assert frame["file"].tolist() == [str(image)] * 2
    assert frame["stem"].tolist() == ["seed-00000"] * 2
    assert frame["prompt"].tolist() == ['large crowd, "many", grey', "007"]
    assert frame["source"].tolist() == ["IMG_1", ""]
    assert "\nseed-00000.jpg,0," in (tmp_path / "block-0.csv").read_text()


def test_a_block_can_be_empty(tmp_path):
    write_manifest(tmp_path / "block-0.csv", [])
    frame = read_manifest(tmp_path / "block-0.csv")
    assert len(frame) == 0 and {"file", "stem"} <= set(frame)


def test_a_missing_column_is_an_error(image, tmp_path):
    with pytest.raises(ValueError, match="missing: seed, prompt$"):
        write_manifest(tmp_path / "a.csv", [{k: v for k, v in row(image).items() if k not in ("seed", "prompt")}])
    (tmp_path / "b.csv").write_text("file,seed\na,1\n")
    with pytest.raises(InputError, match="b.csv: not a manifest.*missing columns: pool, prompt_number"):
        read_manifest(tmp_path / "b.csv")
    (tmp_path / "c.csv").touch()
    with pytest.raises(InputError, match="c.csv: the file is empty; expected a manifest"):
        read_manifest(tmp_path / "c.csv")


def test_an_image_is_read_as_rgb(image):
    pixels = read_verified(image, sha256(image))
    assert pixels.shape == (8, 10, 3)
    assert pixels.dtype == np.uint8


def test_images_are_found_from_the_manifest_wherever_both_are_moved(image, tmp_path):
    (tmp_path / "a/block-0").mkdir(parents=True)
    image.rename(tmp_path / "a/block-0/seed-00000.jpg")
    write_manifest(tmp_path / "a/block-0.csv", [row(tmp_path / "a/block-0/seed-00000.jpg")])
    (tmp_path / "a").rename(tmp_path / "b")
    assert read_manifest(tmp_path / "b/block-0.csv")["file"][0] == str(tmp_path / "b/block-0/seed-00000.jpg")


def test_a_changed_image_is_named_with_the_command_that_makes_it(image, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder, expected = tmp_path / "images", sha256(image)
    folder.mkdir()
    image = image.rename(folder / image.name)
    image.write_bytes(image.read_bytes() + b"x")
    with pytest.raises(InputError, match=rf"{image}: not the image .*Delete the folder {folder} .*`snakemake images`"):
        read_verified(image, expected)
    image.unlink()
    with pytest.raises(InputError, match="is missing.*`snakemake images`"):
        read_verified(image, expected)


def test_a_file_that_is_not_an_image_is_an_error(tmp_path):
    (tmp_path / "a.jpg").write_text("text")
    with pytest.raises(InputError, match="a.jpg: not an image"):
        read_verified(tmp_path / "a.jpg", sha256(tmp_path / "a.jpg"))
