"""A varied library of sample parts made by rules, for the demo, the benchmark and the choice of weights.

``parts.csv`` beside the files names label and family of each as `cadml evaluate` reads them, with part
number and material as a library would have them. Files of one family lie in one folder.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path

from cadml.geometry.samples import drawings, fasteners, gears, machinery, sheet_and_pipe, structures
from cadml.geometry.samples.recipe import Recipe
from cadml.geometry.samples.writing import WRITERS

MANIFEST = "parts.csv"
OTHERS = (".igs", ".stl", ".3mf", ".glb")


@dataclass(frozen=True, slots=True)
class Sample:
    """One file of the library."""

    path: str  # below the library's folder
    label: str
    family: str
    part_number: str
    material: str


def recipes() -> Iterator[Recipe]:
    """Yield every three-dimensional part of the library."""
    kinds = (fasteners, gears, machinery, structures, sheet_and_pipe)
    return chain.from_iterable(kind.recipes() for kind in kinds)


def write_library(folder: Path) -> list[Path]:
    """Return the files of the sample library, written below ``folder`` with their manifest."""
    samples = [*_write_parts(folder), *_write_drawings(folder)]
    with (folder / MANIFEST).open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["path", "label", "family", "part_number", "material"])
        rows.writerows([s.path, s.label, s.family, s.part_number, s.material] for s in samples)
    return [folder / sample.path for sample in samples]


def _write_parts(folder: Path) -> Iterator[Sample]:
    families = groupby(sorted(recipes(), key=lambda recipe: recipe.family), key=lambda recipe: recipe.family)
    for order, (family, variants) in enumerate(families):
        members = list(variants)
        (folder / family).mkdir(parents=True, exist_ok=True)
        for index, recipe in enumerate(members):
            # The last of a family comes in another format, so that formats must meet in a search.
            suffix = OTHERS[order % len(OTHERS)] if index == len(members) - 1 > 1 else ".step"
            sample = _sample(recipe.label, family, recipe.size, suffix, recipe.material)
            WRITERS[suffix](recipe.build(), folder / sample.path, sample.part_number, recipe.material)
            yield sample


def _write_drawings(folder: Path) -> Iterator[Sample]:
    for sheet in drawings.sheets():
        (folder / sheet.family).mkdir(parents=True, exist_ok=True)
        sample = _sample(sheet.label, sheet.family, sheet.size, ".dxf", "")
        drawings.write_dxf(sheet, folder / sample.path)
        yield sample


def _sample(label: str, family: str, size: str, suffix: str, material: str) -> Sample:
    number = f"{family}-{size}".upper().replace("_", "-")
    return Sample(f"{family}/{family}_{size}{suffix}", label, family, number, material)
