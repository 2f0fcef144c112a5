"""Time the page of a gallery with thousands of images in a headless Chromium, and say how large it is.

    PYTHONPATH=scripts python benchmarks/gallery.py                    # 5 000 images of 96x64
    PYTHONPATH=scripts python benchmarks/gallery.py --size 1024 768 --images 20000

The images are 200 different ones of smooth noise, over and over, in blocks of 400 with maps by two annotators and q; the page is
made of them as the rule `make_gallery` makes it. Times are from a choice in the page, in its own script, until the change has been
painted and the pictures that came into view are there. The browser is asked over a pipe (Chrome's DevTools protocol).
"""

import argparse
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from promptmix.datasets.index import Index, prepare
from promptmix.datasets.sample import Sample
from promptmix.datasets.split import Split
from promptmix.files import sha256
from promptmix.records.scores import QUALITY
from promptmix.report.gallery import write_gallery
from promptmix.synthesis.manifest import write_manifest
from promptmix.synthesis.maps import Annotation, write_maps
from promptmix.synthesis.sifting import Block, sift

DIFFERENT, BLOCK, PROMPTS, STRIDE = 200, 400, 400, 8
PATIENCE = 120
"""Seconds to wait for the browser's answer."""

ANNOTATORS = ("sasnet", "dmcount")

WAIT = """
const places = n => [...Array(n).keys()].map(i => (i + 0.5) / n);
const cards = () => new Set(places(8).flatMap(x => places(8).map(y =>
  document.elementFromPoint(x * innerWidth, y * innerHeight)?.closest("#images li"))).filter(card => card));
const loading = () => [...cards()].some(card => [...card.querySelectorAll("img:not([hidden])")].some(img => !img.complete));
const painted = async () => { do await new Promise(done => requestAnimationFrame(() => setTimeout(done))); while (loading()); };
const timed = async change => { const begin = performance.now(); change(); await painted(); return performance.now() - begin; };
const choose = (id, value) => timed(() => {
  element(id).value = value; element(id).dispatchEvent(new Event(id === "find" ? "input" : "change")); });
const leaveOut = i => timed(() => element("images").children[i].querySelector(".of-image input").click());
"""

STEPS = {
    "sort by q": 'choose("sort", "q")',
    "sort by count": 'choose("sort", "count")',
    "find a prompt": 'choose("find", "prompt 77")',
    "all again": 'choose("find", "")',
    "tick an image": "leaveOut(3)",
    "scroll to the end": """timed(() => 0).then(async () => {
        const begin = performance.now();
        while (!element("more").hidden) { scrollTo(0, document.body.scrollHeight); await painted(); }
        scrollTo(0, document.body.scrollHeight); await painted(); scrollTo(0, 0); await painted();
        return performance.now() - begin; })""",
    "tick an image, all shown": "leaveOut(5)",
    "maps of an annotator, all shown": 'choose("overlay", "sasnet")',
    "no maps, all shown": 'choose("overlay", "")',
    "sort by q, all shown": 'choose("sort", "q")',
}
"""What is done in the page, one after the other, each a promise of its milliseconds."""


def make(folder: Path, number: int, size: tuple[int, int]) -> Path:
    """Make the gallery of so many images and return its page."""
    rng = np.random.default_rng(0)
    width, height = size
    drawn = [folder / f"different-{i}.jpg" for i in range(DIFFERENT)]
    for path in drawn:
        coarse = Image.fromarray(rng.integers(0, 255, (16, 24, 3), dtype=np.uint8))
        coarse.resize(size, Image.Resampling.BICUBIC).save(path, quality=75)
    digests = [sha256(path) for path in drawn]
    maps = {name: rng.random((DIFFERENT, -(-height // STRIDE), -(-width // STRIDE))) for name in ANNOTATORS}
    blocks, annotations = [], {}
    for first in range(0, number, BLOCK):
        seeds = range(first, min(first + BLOCK, number))
        name = f"block-{seeds[0]:05d}-{seeds[-1]:05d}"
        images = folder / "images" / "crowd" / name
        images.mkdir(parents=True)
        rows, scores = [], []
        for seed in seeds:
            path = images / f"seed-{seed:06d}.jpg"
            os.link(drawn[seed % DIFFERENT], path)
            row = {
                "file": path,
                "seed": seed,
                "pool": "crowd",
                "prompt_number": seed % PROMPTS,
                "prompt": f"prompt {seed % PROMPTS}",
            }
            row |= {"width": width, "height": height, "quality": 75, "source": "", "faces": 0}
            rows.append(row | {"sha256": digests[seed % DIFFERENT]})
            scores.append({"stem": path.stem, "q": rng.random()})
        write_manifest(images.with_suffix(".csv"), rows)
        QUALITY.write(folder / f"{name}.csv", scores)
        files = {}
        for annotator, found in maps.items():
            files[annotator] = str(folder / f"{name}.{annotator}.h5")
            of_block = [
                Annotation(f"seed-{seed:06d}", found[seed % DIFFERENT] * rng.random(), height, width) for seed in seeds
            ]
            write_maps(files[annotator], of_block, STRIDE, annotator)
        annotations[files[ANNOTATORS[0]]] = files
        blocks.append(Block(images.with_suffix(".csv"), files[ANNOTATORS[0]], folder / f"{name}.csv"))
    points = np.zeros((9, 2))
    prepare(
        [Sample(f"{i}", drawn[i], width=width, height=height, points=points, split="train") for i in range(24)],
        folder / "dataset",
    )
    page = folder / "gallery" / "crowd.html"
    nothing = {"crowd": {"drop": [], "edit": [], "exclude": []}}
    write_gallery(
        page,
        page.with_suffix(""),
        sift(blocks, max(1, number // PROMPTS), r_img=50, reviewed=nothing),
        annotations,
        Split(Index.open(folder / "dataset" / "index.csv"), "train"),
        nothing,
        {"experiment": "crowd", "scale": "large", "task": "counting"},
        workers=2,
    )
    return page


class Browser:
    """A headless Chromium with one page, a context: it ends with it."""

    def __init__(self, profile: Path):
        program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
        assert program, "there is no Chromium here"
        read, self._to = os.pipe()
        self._from, write = os.pipe()
        command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"]
        command += ["--window-size=1400,900", f"--user-data-dir={profile}"]
        # It reads from file 3 and writes to file 4.
        shell = ["sh", "-c", f'exec "$@" 3<&{read} 4>&{write}', "sh"]
        self._process = subprocess.Popen([*shell, *command], pass_fds=(read, write), stderr=subprocess.DEVNULL)
        os.close(read), os.close(write)
        self._number, self._rest, self._session = 0, b"", None
        (target,) = (one for one in self.call("Target.getTargets")["targetInfos"] if one["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._session = None
        self.call("Browser.close")
        self._process.wait(PATIENCE)

    def call(self, method: str, **params):
        """Return what a command of the protocol gives."""
        self._number += 1
        session = {"sessionId": self._session} if self._session else {}
        text = json.dumps({"id": self._number, "method": method, "params": params, **session})
        os.write(self._to, text.encode() + b"\0")
        while True:
            while b"\0" not in self._rest:
                if not select.select([self._from], [], [], PATIENCE)[0]:
                    raise TimeoutError(f"{method}: no answer in {PATIENCE} s")
                if not (read := os.read(self._from, 1 << 20)):
                    raise EOFError(f"{method}: the browser has ended")
                self._rest += read
            message, self._rest = self._rest.split(b"\0", 1)
            found = json.loads(message)
            if found.get("id") == self._number:
                assert "error" not in found, found
                return found["result"]

    def evaluate(self, script: str):
        """Return what a script gives in the page, once that has come."""
        found = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def memory(self) -> int:
        """Return the bytes of all its processes, in which what they share is counted once."""
        total, known = 0, {self._process.pid}
        for status in sorted(Path("/proc").glob("[0-9]*/status"), key=lambda path: int(path.parent.name)):
            try:
                lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
                if int(lines["PPid"]) in known or int(lines["Pid"]) in known:
                    known.add(int(lines["Pid"]))
                    rollup = (status.parent / "smaps_rollup").read_text()
                    total += (
                        int(next(line for line in rollup.splitlines() if line.startswith("Pss:")).split()[1]) * 1024
                    )
            except (OSError, KeyError):
                continue  # it has ended, or is no process of ours
        return total


def megabytes(path: Path) -> float:
    return sum(file.stat().st_size for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file()) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=5000, help="how many (default: 5000)")
    parser.add_argument("--size", type=int, nargs=2, default=(96, 64), metavar=("WIDTH", "HEIGHT"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        page = make(Path(folder), options.images, tuple(options.size))
        print(
            f"{options.images} images of {options.size[0]}x{options.size[1]}: made in {time.perf_counter() - begin:.0f} s"
        )
        print(f"page {megabytes(page):.1f} MB, pictures {megabytes(page.with_suffix('')):.1f} MB")
        with Browser(Path(folder) / "profile") as browser:
            empty = browser.memory()
            browser.call("Page.navigate", url=page.as_uri())
            while not browser.evaluate("typeof element === 'function' && document.readyState === 'complete'"):
                time.sleep(0.01)
            browser.evaluate(WAIT)
            print(
                f"{'open, until rows are there':34}{browser.evaluate('painted().then(() => performance.now())'):8.0f} ms"
            )
            print(f"{'  its memory':34}{browser.memory() / 1e6:8.0f} MB, of an empty page {empty / 1e6:.0f} MB")
            for name, script in STEPS.items():
                print(f"{name:34}{browser.evaluate(script):8.0f} ms", flush=True)
            print(f"{'  its memory':34}{browser.memory() / 1e6:8.0f} MB")


if __name__ == "__main__":
    main()
