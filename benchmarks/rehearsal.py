"""Rehearse a config at its own sizes, with networks of random weights and the fewest images that exercise each rule.

    PYTHONPATH=scripts python benchmarks/rehearsal.py                                  # config/paper.yaml
    PYTHONPATH=scripts python benchmarks/rehearsal.py --folder /scratch/rehearsal      # elsewhere than results/rehearsal
    PYTHONPATH=scripts python benchmarks/rehearsal.py --dry-run                        # what would run

All tables and figures are made by the same rules and jobs, of datasets in their authors' formats with images of the true
size, with the published networks, for one step and one epoch. At the end stands what each kind of job used, beside what it
asked for and what `promptmix.preflight.memory` predicts. The numbers in tables and figures mean nothing.

Interrupted, it goes on where it was when the same command is given again. With a GPU, generators compute in their own
precision and batches are as large as the config's, so this shows whether a machine is enough. Without one, what would take
too much memory or time is smaller, and the end says what; it then took 11 GB of memory, 7 GB of disk and two hours of CPU.
"""

import argparse
import copy
import json
import math
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from tabulate import tabulate
from transformers import (
    AutoTokenizer,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
)

from promptmix.config import sources
from promptmix.config.loading import load
from promptmix.config.validation import read, resolve
from promptmix.files import replacing, replacing_folder
from promptmix.miniature.rendering.crowds import render_crowd
from promptmix.miniature.rendering.formats import write_nyu, write_panda, write_shanghaitech, write_ucf_qnrf
from promptmix.miniature.rendering.rooms import render_room
from promptmix.networks.build import build
from promptmix.networks.checkpoints import save_weights
from promptmix.preflight import memory
from promptmix.preflight.jobs import Job, Jobs, Work
from promptmix.running.devices import cores
from promptmix.running.usage import Usage, read_usage
from promptmix.tasks.batching import BATCH_PIXELS

REPOSITORY = Path(__file__).parents[1]
TOKENIZER = REPOSITORY / "resources" / "models" / "clip"
GPU = torch.cuda.is_available()

UPDATED = 1280 * 720
"""Most pixels of an image without a GPU on which a heavyweight network is fine-tuned: SASNet's tensors are 36 GB at 2560x1440."""

AT_ONCE = 2
"""Most images of a batch in training without a GPU."""

SIZES = {
    "shta": [(1024, 768), (600, 450)],
    "shtb": [(1024, 768)],
    "qnrf": [(2902, 2013), (6666, 4444)],
    "panda": [(26382, 14767), (26753, 15052)],
    "nyu": [(640, 480)],
}
"""Sizes of images as they are published, by dataset, drawn one after the other."""

CLIP_VIT_B_32 = CLIPConfig()
"""transformers' default is that model."""


@dataclass(frozen=True)
class Scene:
    """A crowd as `promptmix.miniature.rendering.formats` writes it."""

    image: np.ndarray
    points: np.ndarray
    boxes: np.ndarray
    location: str = "stadium"
    grey: bool = False


# --- The config ---


def refused(config: Mapping[str, Any]) -> str:
    """Return why a config cannot be rehearsed: it has what nothing here stands for; "" if it can be."""
    if others := sorted(set(config.get("datasets", {})) - set(SIZES)):
        return f"datasets.{others[0]}: the sizes of its images are not known here"
    if others := [name for name, each in config.get("captioners", {}).items() if "clip" not in each]:
        return f"captioners.{others[0]}: it is not ClipCap"
    known = sources.load()["checkpoints"]
    if others := sorted({path for path in _weights_of(config) if Path(path).stem not in known}):
        return f"{others[0]}: config/sources.yaml does not know it"
    if unlike := [name for name, each in config.get("generators", {}).items() if "base" in each or "lora" in each]:
        return f"generators.{unlike[0]}: it is not Stable Diffusion v1 alone"
    return ""


def rehearsed(config: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a config with the fewest images, steps and epochs, and what of it is smaller than it should be."""
    found, smaller = copy.deepcopy(dict(config)), []
    found |= {"scale": "rehearsal"}
    for name, dataset in found["datasets"].items():
        batch = config["training"].get(name, {}).get("batch_size", config["training"]["default"]["batch_size"])
        if not GPU and batch > AT_ONCE:
            smaller.append(f"training on {name} in batches of {AT_ONCE}, and not of {batch}")
        train = batch if GPU else min(batch, AT_ONCE)
        counts = {"train": train, "val": 1, "test": 1}
        whole = "test" not in dataset["images"]
        dataset["images"] = {"all": train + 2} if whole else {"train": train + 1, "test": 1}
        dataset["split"] = counts if whole else {"val": 1}
        dataset.pop("facts", None)
        exact = (dataset.get("resize") or {}).get("exact")
        if exact and not GPU and math.prod(exact) > UPDATED:
            side = math.sqrt(UPDATED / math.prod(exact))
            dataset["resize"] = {"exact": [round(length * side / 16) * 16 for length in exact]}
            smaller.append("{}: images of {}x{}, and not of {}x{}".format(name, *dataset["resize"]["exact"], *exact))
    for pool in found["pools"].values():
        for key in ("prompts", "locations"):
            if key in pool and len(pool[key]) > 3:
                pool[key] = _fewest(pool[key])
    for generator in found["generators"].values():
        generator["steps"] = 1
    for name, training in found["training"].items():
        training |= {"epochs": 1} | ({"learning_rates": config["training"]["default"]["learning_rates"][:1]})
        if not GPU and "batch_size" in training:
            training["batch_size"] = min(AT_ONCE, training["batch_size"])
        if name == "default":
            training["repeats"] = 1
    _shrink(found)
    for captioner in found["captioners"].values():
        captioner["max_tokens"] = 10  # of what random weights say, prompts would be too long
    for figure in found["figures"].values():
        if figure["kind"] in ("colours", "examples"):
            figure["columns"] = 1
    return found, smaller


def _fewest(values: Sequence[str]) -> list[str]:
    """Return a place with a row of its own in Table VII, and another one; of other texts the first two."""
    named = [value for value in values if value in ("mecca", "a train station")]
    return named if len(named) == 2 else list(values[:2])


def _shrink(section: Any) -> None:
    """Make the amounts in a section, and in those in it, as small as the order among them allows."""
    if isinstance(section, list):
        for each in section:
            _shrink(each)
    if not isinstance(section, dict):
        return
    for key, value in section.items():
        if key == "k":
            section[key] = 1 if value < 10_000 else 2
        elif key == "r_mix":
            section[key] = 1
        elif key == "r_img":
            section[key] = max(50, value)
        else:
            _shrink(value)


# --- What stands for what others publish ---


def write_datasets(config: Mapping[str, Any]) -> None:
    """Write images of the published sizes in their authors' formats."""
    for name, dataset in config["datasets"].items():
        path = Path(dataset["path"])
        if path.exists():
            continue
        print(f"writing {path}", flush=True)
        rng, sizes, images = np.random.default_rng(0), SIZES[name], dataset["images"]
        if dataset["format"] == "shanghaitech":
            for split, number in images.items():
                scenes = [_tiled(rng, *sizes[i % len(sizes)]) for i in range(number)]
                write_shanghaitech(path.parent, path.name, split, scenes)
        elif dataset["format"] == "ucf_qnrf":
            for split, number in images.items():
                scenes = [_tiled(rng, *sizes[i % len(sizes)]) for i in range(number)]
                write_ucf_qnrf(path, split, scenes, [90] * number)
        elif dataset["format"] == "panda":
            write_panda(path, (_tiled(rng, *sizes[i % len(sizes)]) for i in range(images["all"])))
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_nyu(path, [render_room(rng, *sizes[0], "bedroom") for _ in range(images["all"])])


def _tiled(rng: np.random.Generator, width: int, height: int) -> Scene:
    """Return a crowd of a size, of one small rendered crowd again and again."""
    small = render_crowd(rng, 320, 240, "stadium", 60)
    across, down = math.ceil(width / 320), math.ceil(height / 240)
    image = np.tile(small.image, (down, across, 1))[:height, :width]
    shifts = np.array([(320 * i, 240 * j) for j in range(down) for i in range(across)], np.float32)
    points = (small.points[None] + shifts[:, None]).reshape(-1, 2)
    boxes = (small.boxes[None] + np.tile(shifts, 2)[:, None]).reshape(-1, 4)
    inside = (boxes[:, 2] <= width) & (boxes[:, 3] <= height)
    return Scene(image, points[inside], boxes[inside])


def write_models(config: Mapping[str, Any]) -> None:
    """Write networks of the published sizes with random weights: as published where the file's hash is not known, else imported."""
    torch.manual_seed(0)
    known = sources.load()["checkpoints"]
    for path in sorted({Path(path) for path in _weights_of(config)}):
        entry = known[path.stem]
        download = Path("resources/downloads", entry["download"])
        if path.exists() or download.exists():
            continue
        print(f"writing random weights for {path}", flush=True)
        network = build(entry["network"])
        if entry["network"] == "retinaface":
            _expect_few_faces(network)
        if entry.get("backbone"):
            keys = network.backbone.keys
            own = {key: tensor for key, tensor in network.state_dict().items() if re.fullmatch(keys, key)}
            save_weights(path, own, {"network": entry["network"], "settings": "{}", "backbone": "true"})
        elif "sha256" in entry:
            save_weights(path, network, {"network": entry["network"], "settings": "{}"})
        else:  # so that it is imported, too
            with replacing(download) as temporary:
                torch.save(network.state_dict(), temporary)
    for captioner in config["captioners"].values():
        _write_clip(Path(captioner["clip"]))
        _write_tokenizer(Path(captioner["tokenizer"]), build("clipcap").gpt.config.vocab_size)
    for generator in config["generators"].values():
        _write_diffusion(Path(generator["model"]))


def _weights_of(section: Any) -> Iterator[str]:
    """Yield the checkpoints that a config names."""
    if isinstance(section, dict):
        section = list(section.values())
    for value in section if isinstance(section, list) else []:
        if isinstance(value, str) and value.startswith("resources/checkpoints/"):
            yield value
        yield from _weights_of(value)


def _expect_few_faces(detector: torch.nn.Module) -> None:
    """Let a network of random weights see a face wherever one of the largest fits, and no others: about twenty in an image."""
    with torch.no_grad():
        for head in (*detector.ClassHead, *detector.BboxHead, *detector.LandmarkHead):
            head.conv1x1.weight.zero_()
            head.conv1x1.bias.zero_()
        for head in detector.ClassHead:
            head.conv1x1.bias.copy_(torch.tensor([8.0, -8.0]).repeat(len(head.conv1x1.bias) // 2))
        detector.ClassHead[-1].conv1x1.bias[-2:] = torch.tensor([-8.0, 8.0])  # of the largest anchor
        # Of eyes, nose and mouth, x and y, in tenths of the anchor.
        places = torch.tensor([-2.0, -2, 2, -2, 0, 0, -1.5, 2, 1.5, 2])
        for head in detector.LandmarkHead:
            head.conv1x1.bias.copy_(places.repeat(len(head.conv1x1.bias) // 10))


def _write_clip(folder: Path) -> None:
    if folder.exists():
        return
    with replacing_folder(folder) as temporary:
        CLIPModel(CLIP_VIT_B_32).save_pretrained(temporary)
        CLIPImageProcessor().save_pretrained(temporary)


def _write_tokenizer(folder: Path, words: int) -> None:
    """Write the miniature's tokeniser, filled up with words that nobody uses."""
    if folder.exists():
        return
    with replacing_folder(folder) as temporary:
        AutoTokenizer.from_pretrained(TOKENIZER).save_pretrained(temporary)
        file = temporary / "tokenizer.json"
        content = json.loads(file.read_text())
        vocabulary = content["model"]["vocab"]
        vocabulary |= {f"word{i}</w>": i for i in range(len(vocabulary), words)}
        file.write_text(json.dumps(content))


def _write_diffusion(folder: Path) -> None:
    """Write Stable Diffusion v1's architecture in float16."""
    if folder.exists():
        return
    print(f"writing random weights for {folder}", flush=True)
    said = memory.STABLE_DIFFUSION
    with tempfile.TemporaryDirectory() as temporary:
        _write_tokenizer(Path(temporary, "clip"), said["text_encoder"]["vocab_size"])
        tokenizer = CLIPTokenizer.from_pretrained(Path(temporary, "clip"), model_max_length=77)
    betas = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    pipeline = StableDiffusionPipeline(
        vae=AutoencoderKL(**said["vae"]),
        text_encoder=CLIPTextModel(CLIPTextConfig(**said["text_encoder"])),
        tokenizer=tokenizer,
        unet=UNet2DConditionModel(**said["unet"]),
        scheduler=PNDMScheduler(**betas, steps_offset=1, skip_prk_steps=True, set_alpha_to_one=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    with replacing_folder(folder) as temporary:
        pipeline.to(torch.float16).save_pretrained(temporary)


# --- What it took ---


def report(config: Mapping[str, Any], smaller: Sequence[str]) -> str:
    """Return a table of what each kind of job used, in Markdown."""
    plan, targets = resolve(config)
    results = Path("results", config["scale"])
    jobs = Jobs(plan, targets, f"{results}/datasets/{{dataset}}/index.csv")
    known = {job for name in targets for job in jobs.of_target(name)}
    logs = {(job.rule, frozenset(value for _, value in job.wildcards)): job for job in known}
    kinds: dict[tuple[str, str], list[tuple[Usage, Job | None]]] = {}
    for log in sorted((results / "logs").rglob("*.log")):
        used = read_usage(log.read_text())
        if used is None:
            continue
        rule, *parts = log.relative_to(results / "logs").with_suffix("").parts
        values = frozenset(re.sub(r"^(lr|repeat|block|rung)-", "", part) for part in parts)
        job = logs.get((rule, values))
        kinds.setdefault((rule, _describe(job)), []).append((used, job))
    rows = []
    for (rule, what), found in sorted(kinds.items()):
        memories = [used.memory for used, _ in found]
        most = found[int(np.argmax(memories))][0]
        asked = f"{most.asked / 1e9:.0f}" if most.asked else "–"
        job = found[0][1]
        predicted = _predict(job, config) if job else None
        rows.append(
            (
                *(rule, what, len(found), f"{sum(used.cpu for used, _ in found) / len(found):.0f}"),
                *(f"{most.memory / 1e9:.2f}", asked, f"{predicted / 1e9:.2f}" if predicted else "–"),
                f"{max(used.gpu for used, _ in found) / 1e9:.2f}" if GPU else "–",
                _bytes_per_image(job, results) if job else "–",
            )
        )
    heads = (
        *("rule", "of what", "jobs", "CPU s each", "memory, GB", "asked, GB"),
        *("tensors predicted, GB", "of the GPU, GB", "on disk per image"),
    )
    align = ("left", "left", *("right",) * 7)
    parts = [tabulate(rows, heads, "github", colalign=align, disable_numparse=True)]
    where = torch.cuda.get_device_name() if GPU else "no GPU"
    total = sum(used.cpu for found in kinds.values() for used, _ in found)
    parts.append(f"On {cores()} cores and {where}: {total / 3600:.2f} hours of CPU.")
    if smaller:
        parts.append("Smaller than in the config, as there is no GPU here: " + "; ".join(smaller) + ".")
    return "\n\n".join(parts)


def _describe(job: Job | None) -> str:
    if job is None or not job.work:
        return dict(job.wildcards).get("dataset", "") if job else ""
    work = job.work[0]
    size = f"{work.size[0]}x{work.size[1]}"
    many = f", batch {work.batch}" if work.kind == "train" else ""
    precise = f", {work.precision}" if work.kind == "generate" else ""
    return f"{work.model}, {size}{many}{precise}"


def _predict(job: Job, config: Mapping[str, Any]) -> int | None:
    """Return the bytes of a job's tensors, as preflight predicts them."""
    if not job.work:
        return None
    work: Work = job.work[0]
    settings = json.loads(work.settings)
    if work.kind == "generate":
        if not GPU:
            work = replace(work, precision="float32")
        folder = next(iter(config["generators"].values()))["model"]
        return memory.generation(*work.size, work.precision, None if GPU else 1, folder, overhead=False)
    if work.kind == "predict":
        at_once = min(max(1, BATCH_PIXELS // math.prod(work.size)), math.ceil(work.passes))
        return memory.annotation(work.model, *work.size, settings, at_once, overhead=False)
    if work.kind == "train":
        return memory.training(work.model, *work.size, work.batch, work.precision, settings, overhead=False)
    return None


def _bytes_per_image(job: Job, results: Path) -> str:
    """Return the bytes that a block of images or annotations takes, by image."""
    key = dict(job.wildcards)
    if job.rule in ("generate_images", "restore_faces"):
        files = list((results / "images" / key["pool"] / key["generator"] / f"block-{key['block']}").glob("*.jpg"))
        return f"{sum(file.stat().st_size for file in files) / len(files) / 1000:.0f} KB" if files else "–"
    if job.rule == "annotate_images":
        first, last = map(int, key["block"].split("-"))
        folder = results / "annotations" / key["pool"] / key["generator"] / key["annotator"]
        size = (folder / f"block-{key['block']}.h5").stat().st_size
        return f"{size / (last - first + 1) / 1000:.0f} KB"
    return "–"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default=REPOSITORY / "config" / "paper.yaml", type=Path)
    parser.add_argument("--folder", default=REPOSITORY / "results" / "rehearsal", type=Path)
    parser.add_argument("--cores", default=cores(), type=int)
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("targets", nargs="*", help="files to make; all tables and figures by default")
    arguments = parser.parse_args()
    given = load([arguments.config.resolve()])[0]
    if problem := refused(given):
        parser.error(f"{arguments.config}: {problem}. It rehearses config/paper.yaml and configs that extend it")
    config, smaller = rehearsed(given)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    os.chdir(arguments.folder)
    Path("rehearsal.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    checked = read(["rehearsal.yaml"], {})
    if arguments.dry_run:
        print(
            "A dry run writes no stand-ins for datasets and checkpoints. Where the rehearsal has not begun, they are said to be "
            "missing, and jobs are counted that would fetch them.",
            file=sys.stderr,
        )
    else:
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:  # whose memory is free again afterwards
            pool.submit(write_datasets, config).result()
            pool.submit(write_models, config).result()
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile"), "--directory", "."]
    command += ["--configfile", "rehearsal.yaml", "--cores", str(arguments.cores), "--resources", "gpu=1"]
    command += ["--keep-going", *(["--dry-run", "--quiet", "rules"] if arguments.dry_run else []), *arguments.targets]
    done = subprocess.run(command, check=False)
    if not arguments.dry_run:
        text = report(checked, smaller)
        Path("rehearsal.md").write_text(f"{text}\n")
        print(f"\n{text}")
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
