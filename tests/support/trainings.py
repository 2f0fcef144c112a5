"""Trainings of seconds: noise with bright heads, and generated images of noise."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from safetensors.torch import load_file

from promptmix.files import sha256
from promptmix.networks.registry import map_shape
from promptmix.records.histories import HISTORY
from promptmix.synthesis.manifest import write_manifest
from promptmix.synthesis.maps import Annotation, write_maps
from promptmix.synthesis.mixing import read_fake, write_fake
from promptmix.synthesis.sifting import Block, mix
from promptmix.training.loop import train
from promptmix.training.settings import TrainingSettings

SETTINGS = TrainingSettings(
    network="rescsrnet", network_settings={"width": 0.1}, learning_rate=1e-3, epochs=4, batch_size=4, seed=3
)


class TinyIndex:
    """Noise with bright heads: 10 images to train, 4 to validate, 3 to test; two sizes."""

    def __init__(self, test_seed=0):
        rng, test = np.random.default_rng(1), np.random.default_rng(test_seed)
        splits = ["train"] * 10 + ["val"] * 4 + ["test"] * 3
        self.images, self.points, rows = [], [], []
        for i, split in enumerate(splits):
            source = test if split == "test" else rng
            height, width = (48, 64) if i % 5 else (35, 50)
            points = source.uniform(4, [width - 4, height - 4], size=(source.integers(1, 12), 2))
            image = source.integers(0, 60, (height, width, 3)).astype(np.uint8)
            for x, y in points.astype(int):
                image[y - 2 : y + 3, x - 2 : x + 3] = 250
            self.images.append(image)
            self.points.append(np.concatenate([points, np.zeros_like(points)], axis=1).astype(np.float32))
            rows.append({"image": f"i{i}", "split": split, "width": width, "height": height, "count": len(points)})
        self.frame = pd.DataFrame(rows)
        self.read = []

    def image(self, i):
        self.read.append(int(i))
        return self.images[i]

    def heads(self, i):
        self.read.append(int(i))
        return self.points[i]

    def split(self, name):
        return np.flatnonzero(self.frame["split"] == name)


def make_fake(folder: Path, count: int = 6, stride: int = 8) -> pd.DataFrame:
    """Write `count` generated images with annotations and return D_fake."""
    rng = np.random.default_rng(2)
    images, folder = folder / "images", folder.absolute()
    images.mkdir(parents=True, exist_ok=True)
    rows, maps = [], []
    for i in range(count):
        path = images / f"seed-{i:05d}.jpg"
        Image.fromarray(rng.integers(0, 255, (48, 64, 3)).astype(np.uint8)).save(path, quality=75)
        row = {"file": path, "seed": i, "pool": "p", "prompt_number": 0, "prompt": "large crowd", "source": ""}
        rows.append(row | {"width": 64, "height": 48, "quality": 75, "faces": 0, "sha256": sha256(path)})
        maps.append(Annotation(path.stem, rng.random(map_shape(48, 64, stride)).astype(np.float32), 48, 64))
    write_manifest(images / "block-0.csv", rows)
    write_maps(folder / "block-0.h5", maps, stride, "sasnet")
    write_fake(folder / "fake.csv", mix([Block(images / "block-0.csv", folder / "block-0.h5")], k=count))
    return read_fake(folder / "fake.csv")


def run(folder, settings=SETTINGS, fake=None, index=None, **kwargs):
    checkpoint = train(settings, index or TinyIndex(), fake, folder, "cpu", **kwargs)
    return load_file(checkpoint), HISTORY.read(folder / "history.csv")


def assert_equal_runs(one, other):
    assert one[0].keys() == other[0].keys()
    for name, tensor in one[0].items():
        assert torch.equal(tensor, other[0][name]), name
    pd.testing.assert_frame_equal(one[1].drop(columns="seconds"), other[1].drop(columns="seconds"), check_exact=True)
