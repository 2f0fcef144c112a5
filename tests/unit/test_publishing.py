"""A published D_fake: what is in the folder, who can read it, and what is refused."""

import json
import subprocess

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from promptmix.datasets.registry import read_dataset
from promptmix.errors import InputError
from promptmix.files import sha256
from promptmix.records.likeness import CLIP_SCORES
from promptmix.records.scores import QUALITY
from promptmix.report.publishing import publish
from promptmix.synthesis.manifest import read_manifest, write_manifest
from promptmix.synthesis.maps import Annotation, write_maps
from promptmix.synthesis.mixing import write_fake
from promptmix.synthesis.sifting import Block, mix

COUNTS = [12.4, 0.0, 7.5, 30.2, 3.0, 0.3]
OWN = {"role": "generates the images", "title": "the miniature's stable-diffusion", "own": True, "name": "MIT"}
OWN |= {"url": "https://spdx.org/licenses/MIT", "commercial": "yes", "outputs": "yes", "inherits": "Nothing."}
FACTS = {
    **{"experiment": "e", "scale": "tiny", "dataset": "SHTB", "generator": "diffusion", "annotator": "sasnet"},
    **{"how": ["Images: 2 per prompt."], "materials": [OWN], "creator": "", "url": ""},
}


class Made:
    """A D_fake of two blocks of three images of 51x34 pixels, of a pool called "train-station", and what `publish` takes."""

    def __init__(self, folder, task):
        self.folder, self.task = folder, task
        rng = np.random.default_rng(0)
        self.blocks, self.maps, self.images = [], [], []
        for first in (0, 3):
            rows, maps = [], []
            for seed in range(first, first + 3):
                path = folder / f"images/train-station/block-{first}/seed-{seed}.jpg"
                path.parent.mkdir(exist_ok=True, parents=True)
                Image.fromarray(rng.integers(0, 255, (34, 51, 3)).astype(np.uint8)).save(path)
                row = {"file": path, "seed": seed, "pool": "train-station", "prompt_number": seed % 3, "quality": 75}
                row |= {"prompt": f"a crowd, {seed % 3}", "width": 51, "height": 34, "source": "real.jpg", "faces": 0}
                rows.append(row | {"sha256": sha256(path)})
                if task == "counting":
                    found = rng.random((5, 7), dtype=np.float32)
                    found *= np.float32(COUNTS[seed] / found.sum())
                else:
                    found = rng.uniform(1, 9, (34, 51)).astype(np.float16).astype(np.float32)
                    found[0, :5] = 0
                maps.append(Annotation(path.stem, found, 34, 51))
                self.images.append(path)
                self.maps.append(found)
            block = Block(*(folder / f"{kind}/train-station/a/b/block-{first}" for kind in ("made", "maps", "q")))
            write_manifest(block.manifest, rows)
            write_maps(block.annotations, maps, 8 if task == "counting" else 1, "sasnet", task)
            QUALITY.write(block.scores, [{"stem": image.stem, "q": 0.25} for image in maps])
            self.blocks.append(block)
        self.out, self.fake = folder / "published" / "e", folder / "fake.csv"
        write_fake(self.fake, mix(self.blocks, k=2))

    def publish(self, scores=None, **changed):
        manifests = [block.manifest for block in self.blocks]
        publish(self.out, self.fake, manifests, scores or {}, self.task, FACTS | changed)
        return pd.read_csv(self.out / "metadata.csv")


@pytest.fixture
def crowds(tmp_path):
    return Made(tmp_path, "counting")


@pytest.fixture
def rooms(tmp_path):
    return Made(tmp_path, "depth")


def test_metadata_say_what_each_image_was_made_from(crowds):
    rows = crowds.publish(scores={"train-station": [block.scores for block in crowds.blocks]})
    assert rows["file_name"].tolist() == [f"images/IMG_{i}.jpg" for i in range(1, 7)]
    assert rows["seed"].tolist() == list(range(6)) and rows["prompt_number"].tolist() == [0, 1, 2] * 2
    assert rows["prompt"][1] == "a crowd, 1" and set(rows["split"]) == {"train"} and set(rows["q"]) == {0.25}
    assert rows["count"].tolist() == pytest.approx(COUNTS, abs=1e-5)
    assert set(rows["generator"]) == {"diffusion"} and set(rows["annotator"]) == {"sasnet"}
    assert "depth" not in rows and "real.jpg" not in (crowds.out / "metadata.csv").read_text()


def test_metadata_have_the_clip_scores_that_images_are_filtered_by(crowds):
    files = []
    for i, block in enumerate(crowds.blocks):
        files.append(crowds.folder / f"{i}.csv")
        stems = read_manifest(block.manifest)["stem"]
        CLIP_SCORES.write(files[-1], [{"stem": stem, "clip_score": 0.5 + i / 10} for stem in stems])
    publish(
        crowds.out, crowds.fake, [b.manifest for b in crowds.blocks], {}, "counting", FACTS, {"train-station": files}
    )
    rows = pd.read_csv(crowds.out / "metadata.csv")
    assert rows["clip_score"].tolist() == [0.5 + i // 3 / 10 for i in range(6)] and "q" not in rows
    with pytest.raises(InputError, match="is in no CLIP score"):
        scores = {"train-station": files[:1]}
        publish(crowds.out, crowds.fake, [b.manifest for b in crowds.blocks], {}, "counting", FACTS, scores)


def test_images_keep_their_bytes_and_annotations_their_values(crowds):
    rows = crowds.publish()
    for i, (image, found) in enumerate(zip(crowds.images, crowds.maps), start=1):
        assert (crowds.out / f"images/IMG_{i}.jpg").read_bytes() == image.read_bytes()
        density = np.load(crowds.out / rows["density"][i - 1])
        np.testing.assert_array_equal(density, found)
        assert density.sum(dtype=np.float64) == rows["count"][i - 1]
    assert "q" not in rows


@pytest.mark.parametrize("format", ["points", "coco", "shanghaitech"])
def test_this_project_reads_as_many_heads_as_the_counts_rounded(crowds, format):
    rows = crowds.publish()
    path = crowds.out
    if format == "shanghaitech":  # the folder is a train_data
        path = crowds.folder / "part"
        path.mkdir()
        for split in ("train_data", "test_data"):
            (path / split).symlink_to(crowds.out)
    samples = read_dataset(format, path)[:6]
    assert [sample.count for sample in samples] == [12, 0, 8, 30, 3, 0] == rows["points"].tolist()
    assert all(sample.outside == 0 for sample in samples)


def test_all_formats_have_heads_at_the_same_places(crowds):
    crowds.publish()
    for one, other in zip(read_dataset("points", crowds.out), read_dataset("coco", crowds.out)):
        np.testing.assert_allclose(one.points, other.points, atol=0.011)
        assert (other.boxes[:, :2] >= 0).all() and (other.boxes[:, 2:] <= [51, 34]).all()


def test_depth_maps_are_read_back_as_they_were(rooms):
    rows = rooms.publish()
    samples = read_dataset("depth_maps", rooms.out, {"all": 6})
    for sample, found, mean in zip(samples, rooms.maps, rows["depth"]):
        np.testing.assert_array_equal(sample.depth(), found)
        assert found[found > 0].mean() == pytest.approx(mean, rel=1e-3)
    assert "count" not in rows and not (rooms.out / "points.csv").exists()


@pytest.mark.parametrize("task", ["counting", "depth"])
def test_the_library_datasets_reads_every_image_with_its_row(tmp_path, task):
    datasets = pytest.importorskip("datasets")
    made = Made(tmp_path, task)
    rows = made.publish()
    read = datasets.load_dataset("imagefolder", data_dir=str(made.out), cache_dir=str(tmp_path / "cache"))
    assert list(read) == ["train"] and read["train"].num_rows == 6
    assert read["train"]["seed"][:] == rows["seed"].tolist() and read["train"][0]["image"].size == (51, 34)


@pytest.mark.parametrize("task", ["counting", "depth"])
def test_nothing_in_the_folder_looks_like_another_split_or_another_image(tmp_path, task):
    made = Made(tmp_path, task)
    made.publish()
    names = [path.relative_to(made.out).as_posix() for path in made.out.rglob("*")]
    assert not [name for name in names if any(word in name for word in ("train", "test", "val", "dev"))]
    assert len([name for name in names if name.endswith((".jpg", ".png"))]) == 6


def test_the_sums_are_those_of_all_files(crowds):
    crowds.publish()
    checked = subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=crowds.out, capture_output=True, text=True)
    assert checked.returncode == 0
    files = {p.relative_to(crowds.out).as_posix() for p in crowds.out.rglob("*") if p.is_file()} - {"SHA256SUMS"}
    assert {line.split(": ")[0] for line in checked.stdout.splitlines()} == files


def test_croissant_describes_each_column_and_the_file_that_has_it(rooms):
    rows = rooms.publish(creator="A. Nyone", url="https://example.org/data")
    found = json.loads((rooms.out / "croissant.json").read_text())
    assert found["conformsTo"] == "http://mlcommons.org/croissant/1.0" and found["@type"] == "sc:Dataset"
    assert found["creator"]["name"] == "A. Nyone" and found["url"] == "https://example.org/data"
    assert found["distribution"][0]["sha256"] == sha256(rooms.out / "metadata.csv")
    fields = {field["source"]["extract"]["column"]: field["dataType"] for field in found["recordSet"][0]["field"]}
    assert list(fields) == list(rows.columns)
    assert (fields["seed"], fields["depth"], fields["prompt"]) == ("sc:Integer", "sc:Float", "sc:Text")


def test_the_card_says_what_is_inherited(crowds):
    material = OWN | {"own": False, "title": "Model X", "name": "Licence Y", "url": "https://example.org/y"}
    crowds.publish(materials=[material | {"inherits": "Restrictions of use.", "commercial": "no"}])
    card = (crowds.out / "README.md").read_text()
    assert (
        'license: "other"' in card
        and "| Model X | [Licence Y](https://example.org/y) | no | Restrictions of use. |" in card
    )
    crowds.publish()
    assert 'license: "mit"' in (crowds.out / "README.md").read_text()


def test_an_image_that_has_changed_is_refused_and_nothing_is_left(crowds):
    crowds.images[4].write_bytes(crowds.images[3].read_bytes())
    with pytest.raises(InputError, match=r"seed-4\.jpg: not the image that was generated.*Delete the folder"):
        crowds.publish()
    assert not list(crowds.out.parent.iterdir())


def test_a_missing_image_leaves_what_was_published_before(crowds):
    crowds.publish()
    crowds.images[4].unlink()
    with pytest.raises(InputError, match=r"seed-4\.jpg: the image is missing"):
        crowds.publish()
    assert [path.name for path in crowds.out.parent.iterdir()] == ["e"]


def test_an_empty_d_fake_is_refused(crowds):
    write_fake(crowds.fake, mix(crowds.blocks, k=2).iloc[:0])
    with pytest.raises(InputError, match="no image is left to publish.*r_img"):
        crowds.publish()


def test_an_image_without_a_score_is_refused(crowds):
    with pytest.raises(InputError, match="seed-3 of the pool train-station is in no score"):
        crowds.publish(scores={"train-station": [crowds.blocks[0].scores]})
