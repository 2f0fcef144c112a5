"""Pictures of results."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from promptmix.files import replacing

GAP = 4


def contact_sheet(
    path: str | Path, rows: Sequence[Sequence[np.ndarray]], labels: Sequence[Sequence[str]], width: int = 160
) -> None:
    """Write rows of images as a PNG, each scaled to one width, with its label below it.

    Args:
        rows: (H, W, 3) uint8 images; as many in each row.
        labels: a line of text for each image.
    """
    font = ImageFont.load_default(size=14)
    cells = [[_cell(image, label, width, font) for image, label in zip(*row)] for row in zip(rows, labels, strict=True)]
    heights = [max(cell.height for cell in row) for row in cells]
    sheet = Image.new("RGB", (len(cells[0]) * (width + GAP) - GAP, sum(heights) + GAP * (len(rows) - 1)), "white")
    top = 0
    for row, height in zip(cells, heights, strict=True):
        for column, cell in enumerate(row):
            sheet.paste(cell, (column * (width + GAP), top))
        top += height + GAP
    with replacing(path) as temporary:
        sheet.save(temporary)


def _cell(image: np.ndarray, label: str, width: int, font: ImageFont.FreeTypeFont) -> Image.Image:
    picture = Image.fromarray(image)
    picture = picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.NEAREST)
    cell = Image.new("RGB", (width, picture.height + 20), "white")
    cell.paste(picture, (0, 0))
    ImageDraw.Draw(cell).text((2, picture.height + 1), label, "black", font)
    return cell
