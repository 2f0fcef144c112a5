"""UCF-QNRF (Idrees et al., ECCV 2018).

Layout: `Train/` and `Test/`, each with `img_<4 digits>.jpg` and `img_<4 digits>_ann.mat` side by side (images may end
in .JPG, .jpeg or .png too). Annotations are 1-based points; some are outside their image and are dropped.
"""

from collections.abc import Mapping
from pathlib import Path

from promptmix.datasets.pictures import measure
from promptmix.datasets.readers.folders import IMAGES, VALIDATED, report_left_out
from promptmix.datasets.readers.matlab import as_points, read_variable
from promptmix.datasets.sample import Sample, check_counts, find_folder, find_member, match_pairs

WHERE = (
    "Expected: UCF-QNRF_ECCV18/ with Train/ and Test/, each with img_<4 digits>.jpg and img_<4 digits>_ann.mat. "
    "Get https://www.crcv.ucf.edu/data/ucf-qnrf/UCF-QNRF_ECCV18.zip (no registration)"
)

PARTS = ("Train", "Test")


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
    for split, name in zip(("train", "test"), PARTS, strict=True):
        part = find_member(folder, [name], WHERE)
        pairs = match_pairs(part, IMAGES, part, "{}_ann.mat", WHERE)
        samples += [_sample(folder, split, file, annotation) for file, annotation in pairs]
    report_left_out(folder, PARTS, f"UCF-QNRF has Train/ and Test/; {VALIDATED}")
    check_counts(samples, expected, folder, WHERE)
    return samples


def _sample(folder: Path, split: str, file: Path, annotation: Path) -> Sample:
    size, orientation = measure(file)
    points = as_points(annotation, "annPoints", read_variable(annotation, "annPoints"))
    name = file.relative_to(folder).as_posix()
    return Sample(name, file, split, *size, points, annotation=annotation, orientation=orientation)
