"""The gallery: what its page holds, and, in a browser, that it sorts, ticks and gives a review the workflow takes."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from promptmix.config.validation import read, resolve
from promptmix.datasets.index import Index, prepare
from promptmix.datasets.sample import Sample
from promptmix.datasets.split import Split
from promptmix.errors import InputError
from promptmix.files import sha256
from promptmix.records.likeness import CLIP_SCORES
from promptmix.records.scores import QUALITY
from promptmix.report.gallery import draw_map, write_gallery
from promptmix.synthesis.manifest import write_manifest
from promptmix.synthesis.maps import Annotation, write_maps
from promptmix.synthesis.sifting import Block, mix, sift

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

CONFIG = Path(__file__).parents[2] / "config" / "config.yaml"

LOCATIONS = 10
"""Prompts of the miniature's pool `locations`, whose part the images here play."""

TITLE = {"experiment": "crowd", "scale": "mine", "task": "counting"}
NOTHING = {"drop": [], "edit": [], "exclude": []}


@pytest.fixture
def gallery(tmp_path, request):
    """Return a function that writes the gallery of 20 images of 10 prompts, or of more, and returns its page."""
    number = getattr(request, "param", 2 * LOCATIONS)
    rng = np.random.default_rng(0)
    folder = tmp_path / "images" / "locations"
    folder.mkdir(parents=True)
    rows, maps = [], {"sasnet": [], "dmcount": []}
    for seed in range(number):
        path = folder / f"seed-{seed:06d}.jpg"
        Image.fromarray(rng.integers(0, 255, (20, 36, 3)).astype(np.uint8)).save(path)
        text = "odd </script><b>&\u2028" if seed % LOCATIONS == 3 else f"prompt {seed % LOCATIONS}"
        row = {"file": path, "seed": seed, "pool": "locations", "prompt_number": seed % LOCATIONS, "prompt": text}
        rows.append(row | {"width": 36, "height": 20, "quality": 75, "source": "", "faces": 0, "sha256": sha256(path)})
        for name, found in maps.items():
            people = 7 * seed % 20 + (name == "dmcount")
            found.append(Annotation(path.stem, np.full((3, 5), people / 15, np.float32), 20, 36))
    block = Block(folder / "block-00000-00019.csv", tmp_path / "sasnet.h5", tmp_path / "q.csv")
    write_manifest(block.manifest, rows)
    for name, found in maps.items():
        write_maps(tmp_path / f"{name}.h5", found, 8, name)
    QUALITY.write(block.scores, [{"stem": Path(row["file"]).stem, "q": row["seed"] * 3 % 20 / 20} for row in rows])
    picture = tmp_path / "real.png"
    Image.fromarray(np.full((20, 36, 3), 99, np.uint8)).save(picture)
    real = [
        Sample(name, picture, width=36, height=20, points=np.zeros((n, 2)), split=split)
        for name, n, split in (("many", 9, "train"), ("few", 2, "train"), ("hidden", 5, "test"))
    ]
    prepare(real, tmp_path / "dataset")

    def write(reviewed=NOTHING, kept=None, clip_scores=None, **choices):
        files = {name: str(tmp_path / f"{name}.h5") for name in maps}
        images = sift(
            [block._replace(clip_scores=clip_scores)],
            number // LOCATIONS,
            reviewed={"locations": reviewed},
            kept=kept,
            **choices,
        )
        page = tmp_path / "gallery" / "crowd.html"
        index = Index.open(tmp_path / "dataset" / "index.csv")
        write_gallery(
            page,
            page.with_suffix(""),
            images,
            {str(tmp_path / "sasnet.h5"): files},
            Split(index, "train"),
            {"locations": reviewed},
            TITLE,
            kept,
            2,
        )
        return page

    write.block = block
    return write


def data_of(page):
    text = page.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])


SCRIPT = """
(async () => {
const answers = [];
const answer = () => answers.push({
  seeds: [...document.querySelectorAll("[data-seed]")].map(card => Number(card.dataset.seed)),
  list: decodeURIComponent(element("file").href.replace("data:text/yaml;charset=utf-8,", "")),
  saved_as: element("file").download,
  maps: [...document.querySelectorAll(".map[src]")].map(map => map.getAttribute("src")),
  says: element("summary").textContent + " " + element("status").value,
});
const choose = (id, value) => { element(id).value = value; element(id).dispatchEvent(new Event(id === "find" ? "input" : "change")); };
const click = (seed, what, i = 0) => document.querySelectorAll(`[data-seed='${seed}'] ${what}`)[i].click();
%s
document.title = JSON.stringify(answers);
})().catch(error => { document.title = JSON.stringify(String(error)); });
"""


def browse(page, script, before=""):
    """Return what a browser shows each time that a script, which runs in the page and may wait, calls `answer()`.

    Args:
        before: a script that runs before the page's own.
    """
    tried = page.with_name("tried.html")
    text = page.read_text(encoding="utf-8")
    text = text.replace("<head>", f"<head><script>{before}</script>")
    tried.write_text(text.replace("</body>", f"<script>{SCRIPT % script}</script></body>"), encoding="utf-8")
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", "--virtual-time-budget=60000"]
    profile = f"--user-data-dir={page.parent / 'profile'}"
    done = subprocess.run([*command, profile, tried.as_uri()], capture_output=True, text=True, timeout=300, check=True)
    return json.loads(html.unescape(re.search("<title>(.*?)</title>", done.stdout, re.S)[1]))


needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium here")


def test_each_image_stands_with_its_prompt_counts_score_and_what_leaves_it_out(gallery):
    kept = pd.DataFrame({"pool": "locations", "prompt_number": range(10), "val_error": [1.5] * 9 + [np.nan]})
    kept = kept.assign(prompt="", baseline=1.2, kept=[1] * 8 + [0, 0])
    page = gallery({"drop": [0], "edit": [], "exclude": [11]}, kept, r_img=50)
    data = data_of(page)
    by = {image["seed"]: image["by"] for image in data["images"]}
    assert {seed for seed, reason in by.items() if reason == "review"} == {0, 10, 11}
    left = sorted(set(range(20)) - {0, 10, 11}, key=lambda seed: seed * 3 % 20)
    assert {seed for seed, reason in by.items() if reason == "filter of images"} == set(left[9:])
    assert {seed for seed in left[:9] if by[seed] == "filter of prompts"} == {s for s in left[:9] if s % 10 > 7}
    assert {seed for seed, reason in by.items() if not reason} == {s for s in left[:9] if s % 10 < 8}
    fake = mix([gallery.block], 2, r_img=50, kept=kept, reviewed={"locations": {"drop": [0], "exclude": [11]}})
    assert [f"seed-{seed:06d}" for seed, reason in by.items() if not reason] == fake["stem"].tolist()
    image = data["images"][13]
    assert (image["seed"], image["q"], image["seen"]) == (13, 0.95, [11.0, 12.0])
    assert (page.parent / image["file"]).resolve() == gallery.block.manifest.parent / "seed-000013.jpg"
    assert data["prompts"][image["prompt"]] == {
        **{"pool": "locations", "number": 3, "text": "odd </script><b>&\u2028", "edited": False},
        **{"error": 1.5, "baseline": 1.2},
    }
    assert data["prompts"][9]["error"] is None
    assert data["annotators"] == ["sasnet", "dmcount"]


def test_each_image_has_its_pictures_beside_the_page(gallery):
    page = gallery()
    folder = page.parent / data_of(page)["folder"] / "pools" / "locations"
    assert len(list(folder.iterdir())) == 20 * 3

    def corner(seed, annotator):
        """Return RGB and opacity of a map at a corner."""
        with Image.open(folder / f"seed-{seed:06d}.{annotator}.png") as picture:
            return picture.convert("RGBA").getpixel((0, 0))

    assert corner(0, "sasnet")[3] == 0  # nobody
    # The maps of an image share their scale: 7 people are darker than 8, which are as light as it gets.
    assert corner(1, "sasnet") < corner(1, "dmcount") == corner(5, "dmcount")


def test_real_training_images_stand_beside_in_order_of_their_counts_and_no_test_image_does(gallery):
    page = gallery()
    assert data_of(page)["real"] == [{"name": "few", "holds": 2}, {"name": "many", "holds": 9}]
    assert len(list((page.with_suffix("") / "real").iterdir())) == 2


def test_what_is_unknown_or_nobody_is_transparent_in_a_map():
    found = np.array([[0, 1], [4, -2], [np.nan, 8]], np.float32)
    assert (np.asarray(draw_map(found, 8)) > 0).tolist() == [[False, True], [True, False], [False, True]]
    assert np.asarray(draw_map(found, 8))[2, 1] == 255
    assert not np.asarray(draw_map(np.zeros((3, 4), np.float32), 0)).any()
    assert draw_map(np.ones((1000, 700), np.float16), 1).size == (175, 250)


def test_a_large_map_of_depth_is_thinned_out_to_the_size_of_the_picture():
    assert max(draw_map(np.ones((1440, 2560), np.float16), 1).size) == 320


def test_the_page_asks_for_nothing_from_elsewhere(gallery):
    text = gallery().read_text(encoding="utf-8")
    assert not re.search(r"https?:|//cdn|@import|<link|src=\"(?!data)", text)


def test_no_generated_images_are_an_error_that_names_the_experiment(tmp_path):
    with pytest.raises(InputError, match="crowd.*no generated images"):
        write_gallery(tmp_path / "a.html", tmp_path / "a", pd.DataFrame(), {}, None, {}, TITLE)
    assert not list(tmp_path.iterdir())


def test_a_prompt_that_the_review_drops_and_there_is_not_is_an_error(gallery):
    with pytest.raises(InputError, match="reviewed.locations.*prompt 9.*Did you mean"):
        gallery({"drop": ["prompt 99"], "edit": [], "exclude": []})


def test_an_image_stands_with_its_clip_score_and_the_test_image_that_it_is_like(gallery, tmp_path):
    scores = [{"stem": f"seed-{seed:06d}", "clip_score": seed / 40} for seed in range(20)]
    CLIP_SCORES.write(tmp_path / "clip.csv", scores)
    leaks = pd.DataFrame({"pool": ["locations"], "seed": [7], "image": ["IMG_3.jpg"]})
    page = gallery(clip_scores=tmp_path / "clip.csv", filters={"clip_score": {"at_least": 0.25}}, leaks=leaks)
    images = data_of(page)["images"]
    assert [image["clip"] for image in images] == [seed / 40 for seed in range(20)]
    assert [image["like"] for image in images] == ["IMG_3.jpg" if seed == 7 else "" for seed in range(20)]
    assert [image["by"] for image in images] == ["filter of CLIP scores"] * 10 + [""] * 10
    assert {image["clip"] for image in data_of(gallery())["images"]} == {None}


@needs_browser
def test_in_a_browser_images_are_sorted_and_found_and_maps_laid_over_them(gallery):
    script = """
      answer(); choose("order", "falling"); choose("sort", "q"); answer();
      choose("order", "rising"); choose("sort", "count"); choose("show", "kept"); answer();
      choose("show", "all"); choose("find", "PROMPT 7"); answer();
      choose("find", ""); click(5, "button", 1); answer();
    """
    first, by_q, by_count, found, pressed = browse(gallery(r_img=50), script)
    assert first["seeds"] == sorted(range(20), key=lambda seed: (seed % 10 != 3, seed % 10))
    assert by_q["seeds"] == sorted(range(20), key=lambda seed: -(seed * 3 % 20))
    kept = [seed for seed in range(20) if seed * 3 % 20 < 10]
    assert by_count["seeds"] == sorted(kept, key=lambda seed: 7 * seed % 20)
    assert sorted(found["seeds"]) == [7, 17]
    assert "20 images of 10 prompts, 10 in D_fake, 10 left out by the filter of images" in first["says"]
    assert first["maps"] == []  # loaded when they are asked for
    assert pressed["maps"] == ["crowd/pools/locations/seed-000005.dmcount.png"]


@needs_browser
def test_in_a_browser_what_is_ticked_becomes_a_review_that_the_workflow_takes(gallery, tmp_path):
    before = {"drop": [0], "edit": [{"prompt": 2, "to": 'a "new": one'}], "exclude": [11, 500]}
    script = """
      answer(); click(14, ".of-image input"); click(3, ".of-prompt input"); click(11, ".of-image input"); answer();
    """
    untouched, ticked = browse(gallery(before), script)
    assert yaml.safe_load(untouched["list"]) == {"reviewed": {"locations": before}}
    found = yaml.safe_load(ticked["list"])["reviewed"]["locations"]
    assert found == {**before, "drop": [0, 3], "exclude": [14, 500]}
    assert "Ticked: 1 image, 2 prompts" in ticked["says"]  # image 500 is another experiment's, and stays in the list
    assert ticked["saved_as"] == "reviewed-crowd.yaml"

    (tmp_path / "reviewed.yaml").write_text(ticked["list"].replace("      - 500\n", ""), encoding="utf-8")
    experiment = {"dataset": "shtb", "network": "csrnet", "method": "promptmix", "pools": ["locations"]}
    own = {"scale": "mine", "extends": str(CONFIG), "tables": None, "figures": None}
    own |= {"experiments": {"crowd": experiment | {"k": 2, "r_mix": 4}}}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(own))
    plan, _ = resolve(read([str(tmp_path / "mine.yaml"), str(tmp_path / "reviewed.yaml")], {}, "--config"))
    fake = mix([gallery.block], 2, reviewed=plan.experiments["crowd"].fake.reviewed)
    gone = {0, 10, 2, 12, 3, 13, 14}
    assert fake["stem"].tolist() == [f"seed-{seed:06d}" for seed in range(20) if seed not in gone]


@needs_browser
@pytest.mark.parametrize("gallery", [2000], indirect=True)
def test_in_a_browser_thousands_of_images_are_sorted_and_come_as_one_scrolls(gallery):
    script = """
      const end = async () => {
        for (let frame = 0; frame < 600 && !element("more").hidden; frame++) {
          scrollTo(0, document.body.scrollHeight);
          await new Promise(requestAnimationFrame);
        }
      };
      answer(); choose("sort", "q"); answer(); choose("sort", "count"); answer();
      choose("sort", "seed"); await end(); click(1999, ".of-image input"); answer();
    """
    first, by_q, by_count, end = browse(gallery(), script)
    assert len(first["seeds"]) == 120  # others when they are wanted
    assert by_q["seeds"] == sorted(range(2000), key=lambda seed: seed * 3 % 20)[:120]
    assert by_count["seeds"] == sorted(range(2000), key=lambda seed: 7 * seed % 20)[:120]
    assert end["seeds"] == list(range(2000))
    assert "Ticked: 1 image," in end["says"]


@needs_browser
@pytest.mark.parametrize("gallery", [300], indirect=True)
def test_in_a_browser_more_images_come_if_their_place_was_out_of_view_and_is_in_view_when_that_is_told(gallery):
    watch = "window.IntersectionObserver = class { constructor(told) { window.told = told; } observe() {} disconnect() {} };"
    script = """
      answer(); told([{ isIntersecting: true }, { isIntersecting: false }]); answer();
      told([{ isIntersecting: false }, { isIntersecting: true }]); answer();
    """
    assert [len(shown["seeds"]) for shown in browse(gallery(), script, watch)] == [120, 120, 240]
