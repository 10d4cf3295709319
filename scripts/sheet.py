"""Write docs/parts.png: thumbnails of sample parts as cadml itself draws them (`make docs`)."""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

from cadml.bench import samples
from cadml.geometry.display import png
from cadml.geometry.formats import read, recognise

TARGET = Path(__file__).parents[1] / "docs" / "parts.png"
COLUMNS, ROWS, SIDE = 7, 3, 128
COLOURS = 96  # a palette keeps the file small


def main() -> int:
    """Draw parts of as many families as there is room for."""
    with tempfile.TemporaryDirectory(prefix="cadml-sheet-") as folder:
        files = sorted(samples(Path(folder)))
        sheet = Image.new("RGB", (COLUMNS * SIDE, ROWS * SIDE), "white")
        for index, path in enumerate(_one_of_each(files)[: COLUMNS * ROWS]):
            picture = Image.open(io.BytesIO(png(read(path, recognise(path, path.name)), SIDE)))
            sheet.paste(picture, (index % COLUMNS * SIDE, index // COLUMNS * SIDE), picture)
    sheet.quantize(COLOURS).save(TARGET, optimize=True)
    return 0


def _one_of_each(files: list[Path]) -> list[Path]:
    """Return the middle part of each family; files of a family share their folder."""
    families: dict[Path, list[Path]] = {}
    for path in files:
        families.setdefault(path.parent, []).append(path)
    middle = [family[len(family) // 2] for family in families.values()]
    return [middle[i * len(middle) // (COLUMNS * ROWS)] for i in range(COLUMNS * ROWS)]


if __name__ == "__main__":
    sys.exit(main())
