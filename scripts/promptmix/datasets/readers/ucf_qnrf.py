"""UCF-QNRF (Idrees et al., ECCV 2018).

Layout: `Train/` and `Test/`, each with `img_<4 digits>.jpg` and `img_<4 digits>_ann.mat` side by side. Annotations are
1-based points; some are outside their image and are dropped.
"""

from collections.abc import Mapping
from pathlib import Path

from promptmix.datasets.pictures import open_image
from promptmix.datasets.readers.matlab import read_points
from promptmix.datasets.sample import Sample, check_counts, find_folder, find_member, keep_inside, natural_key
from promptmix.errors import InputError

WHERE = (
    "Expected: UCF-QNRF_ECCV18/ with Train/ and Test/, each with img_<4 digits>.jpg and img_<4 digits>_ann.mat. "
    "Get https://www.crcv.ucf.edu/data/ucf-qnrf/UCF-QNRF_ECCV18.zip (no registration)"
)


def read(path: str | Path, expected: Mapping[str, int] | None = None) -> list[Sample]:
    """Return the samples: first training, then test images, each sorted by number.

    Args:
        path: the folder with `Train/` and `Test/`.
        expected: images per split, see `check_counts`. The dataset has 1201 and 334.

    Raises:
        InputError: folders, images or annotations are missing or damaged, or the number of images is not the expected
            one.
    """
    folder = find_folder(path, WHERE)
    samples = []
    for split in ("train", "test"):
        part = find_member(folder, [split.capitalize()], WHERE)
        files = sorted(part.glob("*.jpg"), key=lambda file: natural_key(file.name))
        wanted = {f"{file.stem}_ann.mat" for file in files}
        if lost := sorted({file.name for file in part.glob("*_ann.mat")} - wanted):
            image = part / f"{lost[0].removesuffix('_ann.mat')}.jpg"
            raise InputError(f"{image}: the image of an annotation is missing ({len(lost)} in all). {WHERE}")
        samples += [_sample(folder, split, file) for file in files]
    check_counts(samples, expected, folder, WHERE)
    return samples


def _sample(folder: Path, split: str, file: Path) -> Sample:
    with open_image(file) as image:
        width, height = image.size
    annotation = file.with_name(f"{file.stem}_ann.mat")
    if not annotation.exists():
        raise InputError(f"{annotation}: the annotation of an image is missing. {WHERE}")
    points, outside = keep_inside(read_points(annotation, "annPoints"), width, height, annotation)
    return Sample(file.relative_to(folder).as_posix(), file, split, width, height, points, outside=outside)
