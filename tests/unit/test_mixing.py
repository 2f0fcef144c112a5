"""D_fake: which images are in it, what an epoch draws, and what cannot be mixed."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from promptmix.datasets.depths import measure
from promptmix.datasets.index import Index, prepare
from promptmix.datasets.sample import Sample
from promptmix.errors import InputError
from promptmix.files import sha256
from promptmix.records.fakes import FAKE
from promptmix.records.likeness import CLIP_SCORES, HASHES
from promptmix.records.scores import QUALITY
from promptmix.synthesis.comparing import compare, write_comparison
from promptmix.synthesis.manifest import read_manifest, write_manifest
from promptmix.synthesis.maps import Annotation, read_map, write_maps
from promptmix.synthesis.mixing import draw_epoch, read_fake, write_fake
from promptmix.synthesis.sifting import Block, check_sifted, chosen, mix, sift


@pytest.fixture
def make(tmp_path):
    """Return a function that writes blocks of 3 images, of a pool's prompts by turns, with annotations and scores."""
    rng = np.random.default_rng(0)

    def write(pool="p", prompts=3, seeds=range(6), q=None):
        blocks = []
        for block in range(0, len(seeds), 3):
            rows, maps = [], []
            for seed in list(seeds)[block : block + 3]:
                path = tmp_path / "images" / pool / f"seed-{seed:03d}.jpg"
                path.parent.mkdir(exist_ok=True, parents=True)
                Image.fromarray(rng.integers(0, 255, (16, 24, 3)).astype(np.uint8)).save(path)
                number = seed % prompts
                row = {"file": path, "seed": seed, "pool": pool, "prompt_number": number, "prompt": f"{pool}, {number}"}
                row |= {"width": 24, "height": 16, "quality": 75, "source": "", "faces": seed, "sha256": sha256(path)}
                rows.append(row)
                maps.append(Annotation(path.stem, np.full((2, 3), seed, dtype=np.float32), 16, 24))
            name = f"block-{seeds[block]:03d}"
            found = Block(*(tmp_path / kind / pool / name for kind in ("images", "maps")), tmp_path / "q" / pool / name)
            write_manifest(found.manifest, rows)
            write_maps(found.annotations, maps, 8, "sasnet")
            scores = [{"stem": map.stem, "q": q[map.stem] if q else 0.5} for map in maps]
            QUALITY.write(found.scores, scores[::-1])
            blocks.append(found)
        return blocks

    return write


@pytest.fixture
def blocks(make):
    """Two blocks of three images of a pool of three prompts."""
    return make()


def stems(*seeds):
    return [f"seed-{seed:03d}" for seed in seeds]


def test_each_image_stands_beside_its_annotation(blocks):
    fake = mix(blocks, k=2)
    assert list(fake.columns) == [*FAKE.columns]
    assert fake["stem"].tolist() == stems(*range(6))
    assert fake["count"].tolist() == [6 * i for i in range(6)]
    assert fake["faces"].tolist() == list(range(6))
    for row in fake.itertuples():
        assert sha256(row.file) == row.sha256
        assert read_map(row.maps, row.stem).sum() == row.count


def test_of_each_prompt_the_first_k_images_are_taken(make):
    blocks = make(prompts=2, seeds=range(12))
    assert mix(blocks, k=1)["stem"].tolist() == stems(0, 1)
    assert mix(blocks, k=3)["stem"].tolist() == stems(*range(6))
    assert mix(blocks, k=3)["prompt_number"].tolist() == [0, 1] * 3


def test_pools_come_in_the_order_of_their_blocks_and_images_in_that_of_their_seeds(make):
    one, two = make("b", prompts=2), make("a", prompts=2)
    fake = mix([one[1], *two[::-1], one[0]], k=2)
    assert fake["pool"].tolist() == ["b"] * 4 + ["a"] * 4
    assert fake["stem"].tolist() == stems(*range(4)) * 2
    assert fake["prompt_number"].tolist() == [0, 1] * 4
    pd.testing.assert_frame_equal(fake, mix([*one, *two], k=2))


def test_images_of_one_prompt(make):
    fake = mix([*make("a", prompts=2), *make("b", prompts=2)], k=3, prompt=("b", 1))
    assert fake["pool"].unique().tolist() == ["b"]
    assert fake["stem"].tolist() == stems(1, 3, 5)


def kept(*rows):
    return pd.DataFrame(rows, columns=["pool", "prompt_number", "kept"]).assign(prompt="", val_error=1, baseline=1)


def test_images_of_dropped_prompts_are_left_out(make):
    blocks = [*make("a", prompts=2), *make("b", prompts=3)]
    rows = [("b", 2, 1), ("b", 1, 0), ("b", 0, 0), ("a", 0, 0), ("a", 1, 1)]
    fake = mix(blocks, k=2, kept=kept(*rows))
    assert list(zip(fake["pool"], fake["stem"])) == list(zip("aabb", stems(1, 3, 2, 5)))
    with pytest.raises(InputError, match=r"does not name prompt 1 \(from 0\) of pool a"):
        mix(blocks, k=2, kept=kept(*rows[:-1]))


def test_all_prompts_can_be_dropped(blocks, tmp_path):
    write_fake(tmp_path / "fake.csv", mix(blocks, k=2, kept=kept(*(("p", i, 0) for i in range(3)))))
    fake = read_fake(tmp_path / "fake.csv")
    assert fake.empty and list(fake.columns) == [*FAKE.columns]


def pairs(fake):
    return list(zip(fake["pool"], fake["stem"]))


Q = dict(zip(stems(*range(6)), [0.1, 0.9, 0.3, 0.2, 0.0, 0.4]))


@pytest.fixture
def scored(make):
    """The blocks of two pools of three prompts, of which the second has the higher scores."""
    return [*make("a", q=Q), *make("b", q={stem: 1 + score for stem, score in Q.items()})]


def test_the_images_of_the_lowest_scores_are_kept(scored):
    assert pairs(mix(scored, k=2, r_img=50)) == list(zip("aaaaaa", stems(*range(6))))
    assert pairs(mix(scored, k=2, r_img=25)) == list(zip("aaa", stems(0, 3, 4)))
    assert pairs(mix(scored, k=1, r_img=50)) == list(zip("aaa", stems(0, 1, 2)))
    assert mix([block._replace(scores=None) for block in scored], k=2).equals(mix(scored, k=2))


def test_prompts_are_kept_of_the_images_that_are_kept(scored):
    rows = [(pool, i, int((pool, i) != ("a", 1))) for pool in "ab" for i in range(3)]
    assert pairs(mix(scored, k=2, r_img=50, kept=kept(*rows))) == list(zip("aaaa", stems(0, 2, 3, 5)))
    rows = [(pool, i, int(pool == "b")) for pool in "ab" for i in range(3)]
    assert mix(scored, k=2, r_img=50, kept=kept(*rows)).empty


def test_the_images_of_one_prompt_are_those_of_all_that_are_kept(scored):
    assert pairs(mix(scored, k=2, r_img=25, prompt=("a", 0))) == list(zip("aa", stems(0, 3)))
    assert pairs(mix(scored, k=2, r_img=25, prompt=("a", 1))) == [("a", "seed-004")]
    assert mix(scored, k=2, r_img=50, prompt=("b", 0)).empty


def left_out(pool="a", drop=(), exclude=()):
    """Return what a review leaves out of one pool."""
    return {pool: {"drop": [*drop], "exclude": [*exclude]}}


@pytest.mark.parametrize("prompts", [[1], ["a, 1"]])
def test_prompts_that_a_review_names_by_number_or_text_are_left_out(scored, prompts):
    fake = mix(scored, k=2, reviewed=left_out(drop=prompts))
    assert pairs(fake) == list(zip("aaaabbbbbb", stems(0, 2, 3, 5, *range(6))))


def test_all_prompts_of_one_text_are_left_out(scored):
    for block in scored[:2]:
        rows = read_manifest(block.manifest)
        text = rows["prompt"].where(rows["prompt_number"] != 2, "a, 0")  # as captions can be
        write_manifest(block.manifest, rows.assign(prompt=text).to_dict("records"))
    fake = mix(scored[:2], k=2, reviewed=left_out(drop=["a, 0"]))
    assert fake["stem"].tolist() == stems(1, 4)


def test_images_that_a_review_names_by_seed_are_left_out_and_no_others_take_their_place(scored):
    fake = mix(scored, k=1, reviewed=left_out(exclude=[0, 4]))
    assert pairs(fake) == list(zip("aabbb", stems(1, 2, 0, 1, 2)))


def test_reviews_of_several_pools_count_together(scored):
    reviewed = left_out("a", drop=[0, "a, 2"], exclude=[1]) | left_out("b", drop=["b, 1", 2])
    assert pairs(mix(scored, k=2, reviewed=reviewed)) == list(zip("abb", stems(4, 0, 3)))


def test_images_are_reviewed_before_a_share_of_them_is_kept(scored):
    fake = mix(scored, k=2, r_img=25, reviewed=left_out(exclude=[4]))
    assert pairs(fake) == list(zip("aaa", stems(0, 2, 3)))  # a quarter of 11, rounded up
    fake = mix(scored, k=2, r_img=25, prompt=("a", 0), reviewed=left_out(drop=[1, 2]))
    assert pairs(fake) == list(zip("aa", stems(0, 3)))  # of 8 images


def test_dropped_prompts_need_not_be_kept(scored):
    rows = [(pool, i, 1) for pool in "ab" for i in range(3) if (pool, i) != ("a", 1)]
    fake = mix(scored, k=2, kept=kept(*rows), reviewed=left_out(drop=[1]))
    assert pairs(fake) == list(zip("aaaabbbbbb", stems(0, 2, 3, 5, *range(6))))


def test_all_images_can_be_left_out(scored):
    assert mix(scored[:2], k=2, r_img=50, reviewed=left_out(drop=[0, 1], exclude=[2, 5])).empty


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("a, 7", r"reviewed\.a: 'a, 7' is not one of its 3 prompts\. Did you mean 'a, \d'\? .*prompts/a\.csv"),
        ("b, 1", r"reviewed\.a: 'b, 1' is not one of its 3 prompts"),
        (3, r"reviewed\.a: 3 is not one of its 3 prompts\. .*numbers count from 0"),
    ],
)
def test_a_review_of_a_prompt_that_there_is_not_is_an_error(scored, prompt, message):
    with pytest.raises(InputError, match=message):
        mix(scored, k=2, reviewed=left_out(drop=[prompt]))


def test_scores_are_needed_to_keep_a_share(blocks):
    with pytest.raises(ValueError, match=r"the filter of images needs scores, and there are none of .*block-003$"):
        mix([blocks[0], blocks[1]._replace(scores=None)], k=2, r_img=50)
    QUALITY.write(blocks[1].scores, [{"stem": "seed-003", "q": 0.1}])
    with pytest.raises(InputError, match=r"q/p/block-003: no score of seed-004, seed-005, .*snakemake"):
        mix(blocks, k=2, r_img=50)


# --- Filters beyond the paper's ---

PHASH = dict(zip(stems(*range(6)), ["0", "1", "ff", "3", "f", "fe"]))
CLIP = dict(zip(stems(*range(6)), [0.3, 0.9, 0.1, 0.2, 0.25, 0.5]))


@pytest.fixture
def compared(scored, tmp_path):
    """The blocks of two pools, with perceptual hashes and CLIP scores, those of the second pool a little higher."""
    found = []
    for i, block in enumerate(scored):
        names, more = read_manifest(block.manifest)["stem"], i // 2
        hashes, scores = tmp_path / f"{i}-phash.csv", tmp_path / f"{i}-clip.csv"
        rows = [{"stem": stem, "phash": f"{'8' * more}{PHASH[stem]:0>{16 - more}}"} for stem in names]
        HASHES.write(hashes, rows[::-1])
        CLIP_SCORES.write(scores, [{"stem": stem, "clip_score": CLIP[stem] + more / 100} for stem in names][::-1])
        found.append(block._replace(hashes=hashes, clip_scores=scores))
    return found


def filtered(blocks, **choices):
    return pairs(mix(blocks, k=2, **choices))


def test_of_images_that_are_alike_the_first_is_kept_also_in_another_pool(compared):
    assert filtered(compared, filters={"near_duplicates": {"distance": 0}}) == list(
        zip("a" * 6 + "b" * 6, stems(*range(6)) * 2)
    )
    within = filtered(compared, filters={"near_duplicates": {"distance": 1}})
    assert within == list(zip("aaaabb", stems(0, 2, 3, 4, 1, 5)))  # hashes of b differ from those of a by one bit
    assert filtered(compared[:2], filters={"near_duplicates": {"distance": 1}}) == list(zip("aaaa", stems(0, 2, 3, 4)))
    assert filtered(compared[:2], filters={"near_duplicates": {"distance": 2}}) == list(zip("aaa", stems(0, 2, 4)))
    assert filtered(compared, filters={"near_duplicates": {"distance": 63}}) == [("a", "seed-000")]


def test_images_that_fit_their_prompts_are_kept(compared):
    assert filtered(compared[:2], filters={"clip_score": {"at_least": 0.25}}) == list(zip("aaaa", stems(0, 1, 4, 5)))
    assert filtered(compared[:2], filters={"clip_score": {"at_least": 0.91}}) == []
    assert filtered(compared[:2], filters={"clip_score": {"keep": 33}}) == list(zip("aa", stems(1, 5)))
    assert filtered(compared, filters={"clip_score": {"keep": 25}}) == list(zip("abb", stems(1, 1, 5)))


def test_the_order_is_review_near_duplicates_clip_score_r_img_prompts(compared):
    filters = {"clip_score": {"keep": 50}, "near_duplicates": {"distance": 2}}
    images = sift(compared[:2], 2, 50, reviewed=left_out(exclude=[0]), filters=filters, prompt=("a", 1))
    by = dict(zip(images["stem"], images["left_out_by"]))
    # Without 0, of the alike 1 and 3 the first is left, and of 2 and 5; half of 1, 2, 4 by CLIP, rounded up, and half of these.
    assert by == dict(
        zip(
            stems(*range(6)),
            [
                *("review", "filter of images", "filter of CLIP scores"),
                *("filter of near-duplicates", "", "filter of near-duplicates"),
            ],
        )
    )
    assert images["clip_score"].tolist() == list(CLIP.values()) and images["q"].tolist() == list(Q.values())


def test_without_filters_nothing_is_read_of_them(compared, scored):
    pd.testing.assert_frame_equal(mix(compared, k=2), mix(scored, k=2))
    assert sift(scored, 2)["clip_score"].isna().all()


def test_what_filters_look_at_has_to_be_there(compared):
    for filters, needed in (
        ({"near_duplicates": {"distance": 6}}, "hashes"),
        ({"clip_score": {"keep": 9}}, "clip_scores"),
    ):
        with pytest.raises(ValueError, match=f"needs {needed}, and there are none of the images of .*block-003$"):
            mix([compared[0], compared[1]._replace(**{needed: None})], k=2, filters=filters)
    CLIP_SCORES.write(compared[0].clip_scores, [{"stem": "seed-001", "clip_score": 0.3}])
    with pytest.raises(InputError, match=r"0-clip\.csv: no score of seed-000, seed-002, .*snakemake"):
        mix(compared, k=2, filters={"clip_score": {"keep": 9}})
    CLIP_SCORES.write(compared[0].clip_scores, [{"stem": stem, "clip_score": np.nan} for stem in stems(0, 1, 2)])
    for limit in ({"keep": 9}, {"at_least": 0}):
        with pytest.raises(InputError, match=r"image 1 of 12 has the quality score -?nan"):
            mix(compared, k=2, filters={"clip_score": limit})


def test_too_few_images_are_an_error_that_says_which_filter_left_out_how_many(compared):
    filters = {"clip_score": {"at_least": 0.25, "model": "clip"}, "near_duplicates": {"distance": 2}}
    images = sift(compared[:2], 2, filters=filters)
    assert check_sifted(images, filters, 2) == {
        "images": 6,
        "left_out": {"filter of near-duplicates": 3, "filter of CLIP scores": 1},
    }
    with pytest.raises(InputError) as error:
        check_sifted(images, filters, 3)
    for part in (
        "2 of 6 generated images are left, and each epoch draws 3 different ones (r_mix)",
        "Left out by the filter of near-duplicates 3, the filter of CLIP scores 1",
        "Loosen a filter (clip_score: at_least 0.25, near_duplicates: distance 2, r_img), raise k, or lower r_mix",
    ):
        assert part in str(error.value)


def test_the_leak_guard_lists_or_stops_and_leaves_out_nothing(compared, caplog):
    leaks = pd.DataFrame({"pool": ["a", "a", "b"], "seed": [1, 1, 4], "image": ["x.jpg", "y.jpg", "z.jpg"]})
    images = sift(compared, 2, leaks=leaks, filters={"clip_score": {"at_least": 0.2}})
    like = images.loc[images["like"] != "", ["pool", "seed", "like"]].to_numpy().tolist()
    assert like == [["a", 1, "x.jpg"], ["b", 4, "z.jpg"]]
    assert pairs(chosen(images)) == filtered(compared, filters={"clip_score": {"at_least": 0.2}})
    assert check_sifted(images, {"leak_guard": {"action": "report"}})["like_test_images"] == 2
    assert "2 images of D_fake are like test images: a, seed 1, like x.jpg, b, seed 4" in caplog.text
    with pytest.raises(InputError, match=r"a, seed 1, like x\.jpg.*`exclude` in `reviewed`.*`report`"):
        check_sifted(images, {"leak_guard": {"action": "error"}})
    # What is left out anyway does no harm.
    images = sift(compared, 2, leaks=leaks, reviewed=left_out("a", exclude=[1]) | left_out("b", exclude=[4]))
    assert check_sifted(images, {"leak_guard": {"action": "error"}})["like_test_images"] == 0


def test_a_written_list_moves_with_the_results(blocks, tmp_path):
    write_fake(tmp_path / "fake" / "a.csv", mix(blocks, k=2))
    written = pd.read_csv(tmp_path / "fake" / "a.csv")
    assert written["file"][0] == "../images/p/seed-000.jpg"
    pd.testing.assert_frame_equal(read_fake(tmp_path / "fake" / "a.csv"), mix(blocks, k=2))
    shutil.copytree(tmp_path, moved := tmp_path / "moved")
    assert read_fake(moved / "fake" / "a.csv")["file"][0] == str(moved / "images" / "p" / "seed-000.jpg")


def test_depth_has_no_count(blocks, tmp_path):
    for block in blocks:
        rows = read_manifest(block.manifest)
        maps = [Annotation(stem, np.ones((16, 24), np.float32), 16, 24) for stem in rows["stem"]]
        write_maps(block.annotations, maps, 1, "adabins", "depth")
    write_fake(tmp_path / "fake.csv", mix(blocks, k=2))
    assert read_fake(tmp_path / "fake.csv")["count"].isna().all()


def test_an_image_without_annotation_is_an_error(blocks):
    write_maps(blocks[1].annotations, [Annotation("seed-003", np.zeros((2, 3), np.float32), 16, 24)], 8, "sasnet")
    expected = "block-003: no annotation of seed-004, seed-005; the file holds 1 maps.*snake.*The images are those of "
    with pytest.raises(InputError, match=expected):
        mix(blocks, k=2)


def test_annotations_of_another_size_are_an_error(blocks):
    maps = [Annotation(stem, np.zeros((2, 3), np.float32), 16, 23) for stem in stems(3, 4, 5)]
    write_maps(blocks[1].annotations, maps, 8, "sasnet")
    with pytest.raises(InputError, match="seed-003 was annotated at 23x16 pixels, and .*block-003 says 24x16"):
        mix(blocks, k=2)


def test_too_few_images_are_an_error(blocks, make):
    with pytest.raises(
        InputError, match=r"pool p: k is 3, and of prompt 0 \(from 0\) there are 2 images in .*block-003"
    ):
        mix(blocks, k=3)
    with pytest.raises(InputError, match=r"pool q: k is 1, and of prompt 0 \(from 0\) there are 0 images"):
        mix([*blocks, make("q", prompts=6)[1]], k=1)


def test_an_image_cannot_be_in_two_blocks(blocks):
    with pytest.raises(InputError, match="pool p: the image of seed 3 is in two of the blocks"):
        mix([*blocks, blocks[1]], k=2)


def test_a_missing_file_says_how_to_make_it(blocks, tmp_path):
    for name in Block._fields:
        with pytest.raises(InputError, match=r"none: .*no such .*Make (it|them) with `snakemake"):
            mix([blocks[0]._replace(**{name: tmp_path / "none"})], k=1)
    with pytest.raises(InputError, match="no such file"):
        read_fake(tmp_path / "none.csv")


def test_a_draw_has_no_image_twice_and_depends_on_seed_and_epoch_only():
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


# --- Against real images ---


class Flat(Sample):
    """A sample that is as far away in each pixel as its name says, in metres."""

    has_depth = True

    def measure(self):
        return measure(np.full((16, 24), float(self.name.partition("_")[0])), 1, self.name, "")


def index_of(folder, counts=(), depths=()):
    """Return a prepared dataset of images with these numbers of heads or metres; the last one is a test image."""
    samples = []
    for i, number in enumerate(counts or depths):
        file = folder / f"{number}_{i}.png"
        Image.new("RGB", (24, 16)).save(file)
        split = "train" if i < len(counts or depths) - 1 else "test"
        heads = np.full((number if counts else 0, 2), 4.0)
        samples.append((Sample if counts else Flat)(file.name, file, split, 24, 16, heads))
    prepare(samples, folder / "prepared")
    return Index.open(folder / "prepared/index.csv")


def test_generated_counts_are_compared_with_those_of_real_training_images(make, tmp_path):
    found = compare(mix(make(), k=2), index_of(tmp_path, (10, 20, 30, 999)), "counting")
    assert found["real"] == {"images": 3, "mean": 20, "lowest": 10, "highest": 30}
    assert found["generated"] == {"images": 6, "mean": 15, "lowest": 0, "highest": 30}
    assert found["says"] == "people 20.0 (10.0 to 30.0) against 15.0 (0.0 to 30.0)" and found["doubts"] == []
    write_comparison(tmp_path / "a.json", found)
    assert json.loads((tmp_path / "a.json").read_text()) == found


@pytest.mark.parametrize(
    ("real", "more"), [((1, 8, 0), "more people"), ((40, 60, 0), "less people"), ((0, 0, 5), "more people")]
)
def test_a_factor_of_three_between_the_means_is_doubted(make, tmp_path, real, more):
    (doubt,) = compare(mix(make(), k=2), index_of(tmp_path, real), "counting")["doubts"]
    assert f"{more} than real ones by more than a factor of 3: check the prompts" in doubt
    assert compare(mix(make(), k=2), index_of(tmp_path, (6, 6, 0)), "counting")["doubts"] == []


@pytest.mark.parametrize("number", [0, 7.5])
def test_an_annotator_that_always_says_the_same_is_doubted(make, tmp_path, number):
    fake = mix(make(), k=2).assign(count=float(number))
    first, *_ = compare(fake, index_of(tmp_path, (7, 8, 0)), "counting")["doubts"]
    assert f"all 6 generated images have the same annotation, {number:g}" in first
    sizes = np.array([16, 32] * 3)
    fake = fake.assign(width=sizes, count=(number or 1) * sizes)  # the same in each pixel
    first, *_ = compare(fake, index_of(tmp_path, (7, 8, 0)), "counting")["doubts"]
    assert "the same annotation, per pixel" in first


def test_depths_are_compared_by_the_means_of_what_is_known(make, tmp_path):
    blocks = make()
    for block in blocks:
        stems = read_manifest(block.manifest)["stem"]
        half = np.repeat(np.float32([0, 3]), 8)[:, None] * np.ones((16, 24), np.float32)
        maps = [Annotation(stem, half + (half > 0) * i, 16, 24) for i, stem in enumerate(stems)]
        write_maps(block.annotations, maps, 1, "adabins", "depth")
    fake = mix(blocks, k=2)
    assert fake["depth"].tolist() == [3, 4, 5] * 2
    found = compare(fake, index_of(tmp_path, depths=(2.0, 4.0, 9.0)), "depth")
    assert found["says"] == "mean depth in m 3.00 (2.00 to 4.00) against 4.00 (3.00 to 5.00)" and not found["doubts"]


def test_nothing_is_compared_where_nothing_is_kept(make, tmp_path):
    found = compare(mix(make(), k=2).iloc[:0], index_of(tmp_path, (1, 2, 0)), "counting")
    assert found["generated"] == {"images": 0} and found["says"] == "people 1.5 (1.0 to 2.0) against none"
    assert found["doubts"] == []
