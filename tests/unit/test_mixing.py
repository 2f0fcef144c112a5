"""D_fake: which images are in it, what an epoch draws, and what cannot be mixed."""

import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from promptmix.errors import InputError
from promptmix.files import sha256
from promptmix.synthesis.manifest import write_manifest
from promptmix.synthesis.maps import Annotation, read_map, write_maps
from promptmix.synthesis.mixing import draw_epoch, mix, read_fake, write_fake


@pytest.fixture
def blocks(tmp_path):
    """Two blocks of three images: their manifests and annotations."""
    rng = np.random.default_rng(0)
    manifests, annotations = [], []
    for block in range(2):
        rows, maps = [], []
        for i in range(3):
            path = tmp_path / "images" / f"seed-{block}{i:02d}.jpg"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(rng.integers(0, 255, (16, 24, 3)).astype(np.uint8)).save(path)
            row = {"image": path, "seed": i, "prompt": f"prompt, {i}", "width": 24, "height": 16, "quality": 75}
            rows.append(row | {"source": "", "sha256": sha256(path)})
            maps.append(Annotation(path.stem, np.full((2, 3), 10 * block + i, dtype=np.float32), 16, 24))
        manifests.append(tmp_path / "images" / f"block-{block}.csv")
        annotations.append(tmp_path / f"block-{block}.h5")
        write_manifest(manifests[-1], rows)
        write_maps(annotations[-1], maps, 8, "sasnet")
    return manifests, annotations


def test_each_image_stands_beside_its_annotation(blocks):
    fake = mix(*blocks)
    assert fake["stem"].tolist() == [f"seed-{b}{i:02d}" for b in range(2) for i in range(3)]
    assert fake["count"].tolist() == [6 * (10 * b + i) for b in range(2) for i in range(3)]
    for row in fake.itertuples():
        assert sha256(row.image) == row.sha256
        assert read_map(row.maps, row.stem).sum() == row.count


def test_limit_takes_the_first(blocks):
    assert mix(*blocks, limit=4)["stem"].tolist() == ["seed-000", "seed-001", "seed-002", "seed-100"]


def test_a_written_list_moves_with_the_results(blocks, tmp_path):
    write_fake(tmp_path / "fake" / "a.csv", mix(*blocks))
    written = pd.read_csv(tmp_path / "fake" / "a.csv")
    assert written["image"][0] == "../images/seed-000.jpg"
    pd.testing.assert_frame_equal(read_fake(tmp_path / "fake" / "a.csv"), mix(*blocks))
    shutil.copytree(tmp_path, moved := tmp_path / "moved")
    assert read_fake(moved / "fake" / "a.csv")["image"][0] == str(moved / "images" / "seed-000.jpg")


def test_an_image_without_annotation_is_an_error(blocks):
    manifests, annotations = blocks
    write_maps(annotations[1], [Annotation("seed-100", np.zeros((2, 3), np.float32), 16, 24)], 8, "sasnet")
    with pytest.raises(InputError, match="block-1.h5: no annotation of seed-101, seed-102; .* 1 maps.*snake"):
        mix(manifests, annotations)


def test_blocks_and_annotations_must_be_as_many(blocks):
    manifests, annotations = blocks
    with pytest.raises(InputError, match="2 blocks of images but 1 of annotations"):
        mix(manifests, annotations[:1])


def test_annotations_of_another_size_are_an_error(blocks):
    manifests, annotations = blocks
    maps = [Annotation(f"seed-10{i}", np.zeros((2, 3), np.float32), 16, 23) for i in range(3)]
    write_maps(annotations[1], maps, 8, "sasnet")
    with pytest.raises(InputError, match="seed-100 was annotated at 23x16 pixels, and .*block-1.csv says 24x16"):
        mix(manifests, annotations)


def test_too_few_images_are_an_error(blocks):
    with pytest.raises(InputError, match="7 generated images are asked for and .* hold 6"):
        mix(*blocks, limit=7)


def test_a_missing_file_says_how_to_make_it(blocks, tmp_path):
    manifests, annotations = blocks
    with pytest.raises(InputError, match="no such file of annotations.*snakemake"):
        mix(manifests[:1], [tmp_path / "none.h5"])
    with pytest.raises(InputError, match="no such manifest.*snakemake"):
        mix([tmp_path / "none.csv"], annotations[:1])
    with pytest.raises(InputError, match="no such file"):
        read_fake(tmp_path / "none.csv")


def test_a_draw_has_no_image_twice_and_hangs_on_seed_and_epoch_only():
    draw = draw_epoch(100, 30, seed=1, epoch=2)
    assert len(set(draw.tolist())) == 30
    assert draw.min() >= 0
    assert draw.max() < 100
    np.random.random()
    assert (draw == draw_epoch(100, 30, seed=1, epoch=2)).all()
    assert (draw != draw_epoch(100, 30, seed=1, epoch=3)).any()
    assert (draw != draw_epoch(100, 30, seed=2, epoch=2)).any()


def test_over_the_epochs_every_image_is_drawn():
    seen = {i for epoch in range(100) for i in draw_epoch(50, 5, 0, epoch).tolist()}
    assert seen == set(range(50))


@pytest.mark.parametrize("r_mix", [11, -1])
def test_more_than_there_are_cannot_be_drawn(r_mix):
    with pytest.raises(InputError, match=rf"r_mix is {r_mix}: .* holds 10"):
        draw_epoch(10, r_mix, 0, 1)


def test_all_or_none_can_be_drawn():
    assert sorted(draw_epoch(10, 10, 0, 1)) == list(range(10))
    assert len(draw_epoch(0, 0, 0, 1)) == 0


def test_image_g_is_of_prompt_g_mod_m(blocks):
    assert mix(*blocks, limit=4, prompts=3)["prompt_number"].tolist() == [0, 1, 2, 0]
    assert mix(*blocks, limit=4)["prompt_number"].tolist() == [0, 1, 2, 3]
