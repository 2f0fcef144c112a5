"""The sizes of images at training size: as read, or as far as the config tells them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from promptmix.config.experiments import Needs, split_of
from promptmix.config.plan import EDITED
from promptmix.datasets.pictures import training_size
from promptmix.datasets.sample import Sample
from promptmix.preflight.origins import is_made

Size = tuple[int, int]
"""Width and height."""


class ImageSizes:
    """The sizes of the images of datasets and pools.

    Args:
        config: checked, with its defaults.
    """

    def __init__(self, config: Mapping[str, Any]):
        self._config = config
        self._read: dict[str, list[Size]] = {}

    def remember(self, dataset: str, samples: Sequence[Sample]) -> None:
        """Keep the sizes of a dataset that was read."""
        resize = self._config["datasets"][dataset].get("resize")
        self.know(dataset, [training_size(sample.width, sample.height, resize) for sample in samples])

    def know(self, dataset: str, sizes: list[Size]) -> None:
        """Keep the sizes of a dataset's images."""
        self._read[dataset] = sizes

    def of_dataset(self, name: str) -> list[Size]:
        """Return the size of each image of a dataset; where it was not read, as large as they can be.

        Nothing is returned where nothing is known.
        """
        if name in self._read:
            return self._read[name]
        entry = self._config["datasets"][name]
        resize, fact = entry.get("resize"), entry.get("facts", {}).get("size")
        if is_made(self._config, entry["path"]) and name in self._config["render"]:
            known = self._config["render"][name]["sizes"]
        else:
            known = [fact] if fact else list((resize or {}).values())
        sizes = [training_size(width, height, resize) for width, height in known]
        return [max(sizes, key=math.prod)] * sum(split_of(self._config, name).values()) if sizes else []

    def of_pool(self, name: str) -> list[Size]:
        """Return the sizes that a pool's images are generated in: those of its dataset's images, or the pool's own."""
        pools = self._config["pools"]
        entry = pools.get(name) or pools[name.removesuffix(EDITED)]
        return self.of_dataset(entry["dataset"]) if "dataset" in entry else [(entry["width"], entry["height"])]

    def list_unknown(self, needs: Iterable[Needs]) -> list[str]:
        """Return the datasets whose images' sizes cannot be known before they are there."""
        datasets = dict.fromkeys(name for some in needs for name in sorted(some.datasets))
        return [name for name in datasets if not self.of_dataset(name)]
