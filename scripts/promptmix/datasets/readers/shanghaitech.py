"""ShanghaiTech A and B (Zhang et al., CVPR 2016), one part at a time.

Layout: `train_data/` and `test_data/`, each with `images/IMG_<n>.jpg` and `ground_truth/GT_IMG_<n>.mat`. Kaggle's copy,
with `ground-truth/` and parts named `part_A`, is also read. Annotations are 1-based points.
"""

from collections.abc import Mapping
from pathlib import Path

from promptmix.datasets.pictures import open_image
from promptmix.datasets.readers.matlab import read_points
from promptmix.datasets.sample import Sample, check_counts, find_folder, find_member, keep_inside, natural_key
from promptmix.errors import InputError

WHERE = (
    "Expected: part_A_final/ or part_B_final/ with train_data/ and test_data/, each with images/IMG_<n>.jpg and "
    "ground_truth/GT_IMG_<n>.mat. Get ShanghaiTech_Crowd_Counting_Dataset.zip from "
    "https://github.com/desenzhou/ShanghaiTechDataset (no registration) or "
    "https://www.kaggle.com/datasets/tthien/shanghaitech"
)


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
    for split in ("train", "test"):
        folder = find_member(part, [f"{split}_data"], WHERE)
        images = find_member(folder, ["images"], WHERE)
        annotations = find_member(folder, ["ground_truth", "ground-truth"], WHERE)
        files = sorted(images.glob("*.jpg"), key=lambda file: natural_key(file.name))
        _check_pairs(files, images, annotations)
        samples += [_sample(part, split, file, annotations / f"GT_{file.stem}.mat") for file in files]
    check_counts(samples, expected, part, WHERE)
    return samples


def _check_pairs(files: list[Path], images: Path, annotations: Path) -> None:
    """Raise an InputError if an image has no annotation, or an annotation no image."""
    wanted = {f"GT_{file.stem}.mat" for file in files}
    there = {file.name for file in annotations.glob("GT_*.mat")}
    if lost := sorted(wanted - there, key=natural_key):
        raise InputError(
            f"{annotations / lost[0]}: the annotation of an image is missing ({len(lost)} in all). {WHERE}"
        )
    if lost := sorted(there - wanted, key=natural_key):
        image = images / f"{lost[0].removeprefix('GT_').removesuffix('.mat')}.jpg"
        raise InputError(f"{image}: the image of an annotation is missing ({len(lost)} in all). {WHERE}")


def _sample(part: Path, split: str, file: Path, annotation: Path) -> Sample:
    with open_image(file) as image:
        width, height = image.size
    points = read_points(annotation, "image_info", lambda info: info[0, 0][0, 0][0])
    points, outside = keep_inside(points, width, height, annotation)
    return Sample(file.relative_to(part).as_posix(), file, split, width, height, points, outside=outside)
