"""ShanghaiTech A and B (Zhang et al., CVPR 2016), one part at a time.

Layout: `train_data/` and `test_data/`, each with `images/IMG_<n>.jpg` and `ground_truth/GT_IMG_<n>.mat`. Kaggle's copy,
with `ground-truth/` and parts named `part_A`, is also read, and so are images that end in .JPG, .jpeg or .png.
Annotations are 1-based points: the variable `image_info` is a structure with `location` and `number`.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from promptmix.datasets.pictures import measure
from promptmix.datasets.readers.folders import IMAGES, VALIDATED, report_left_out
from promptmix.datasets.readers.matlab import as_points, read_field, read_variable
from promptmix.datasets.sample import Sample, check_counts, find_folder, find_member, match_pairs
from promptmix.errors import InputError

WHERE = (
    "Expected: part_A_final/ or part_B_final/ with train_data/ and test_data/, each with images/IMG_<n>.jpg and "
    "ground_truth/GT_IMG_<n>.mat. Get ShanghaiTech_Crowd_Counting_Dataset.zip from "
    "https://github.com/desenzhou/ShanghaiTechDataset (no registration) or "
    "https://www.kaggle.com/datasets/tthien/shanghaitech"
)

PARTS = ("train_data", "test_data")


def read(path: str | Path, expected: Mapping[str, int] | None = None) -> list[Sample]:
    """Return the samples of one part: first training, then test images, each sorted by number.

    Args:
        path: the part's folder; `part_A_final` also finds `part_A` beside it, and the other way round.
        expected: images per split, see `check_counts`. A has 300 and 182, B 400 and 316.

    Raises:
        InputError: folders, images or annotations are missing or damaged, or the number of images is not the expected
            one.
    """
    path = Path(path)
    name = path.name
    part = find_folder(path, WHERE, [name.removesuffix("_final") if name.endswith("_final") else f"{name}_final"])
    samples = []
    for split, folder_name in zip(("train", "test"), PARTS, strict=True):
        folder = find_member(part, [folder_name], WHERE)
        images = find_member(folder, ["images"], WHERE)
        annotations = find_member(folder, ["ground_truth", "ground-truth"], WHERE)
        pairs = match_pairs(images, IMAGES, annotations, "GT_{}.mat", WHERE)
        samples += [_sample(part, split, file, annotation) for file, annotation in pairs]
    report_left_out(part, PARTS, f"A part has train_data/ and test_data/; {VALIDATED}")
    check_counts(samples, expected, part, WHERE)
    return samples


def _sample(part: Path, split: str, file: Path, annotation: Path) -> Sample:
    size, orientation = measure(file)
    name = file.relative_to(part).as_posix()
    return Sample(name, file, split, *size, _read_points(annotation), annotation=annotation, orientation=orientation)


def _read_points(file: Path) -> np.ndarray:
    info = read_variable(file, "image_info")
    points = as_points(file, "image_info.location", read_field(file, "image_info", info, "location"))
    if "number" in info.dtype.names:
        number = np.ravel(read_field(file, "image_info", info, "number"))
        if len(number) == 1 and number[0] != len(points):
            raise InputError(
                f"{file}: 'image_info.number' is {number[0]}, but 'image_info.location' has {len(points)} heads. Expected "
                "as many: correct the one that is wrong, or fetch or copy the file again"
            )
    return points
