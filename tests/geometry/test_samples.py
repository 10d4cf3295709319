"""The sample library: as many, as varied and as sound as it says."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter, defaultdict

import pytest

from cadml.geometry import formats
from cadml.geometry.kernel.bodies import settle
from cadml.geometry.part import Kind
from cadml.geometry.samples import MANIFEST, drawings, recipes, write_library
from cadml.geometry.samples.writing import WRITERS

RECIPES = list(recipes())


def test_the_library_is_varied():
    assert len(RECIPES) >= 120
    designs = defaultdict(set)
    for recipe in RECIPES:
        designs[recipe.label].add(recipe.family)
    assert len(designs) >= 12
    assert sum(len(families) >= 2 for families in designs.values()) >= 10
    assert min(Counter(recipe.family for recipe in RECIPES).values()) >= 3
    assert len({(recipe.family, recipe.size) for recipe in RECIPES}) == len(RECIPES)
    assert len(list(drawings.sheets())) >= 8


@pytest.mark.parametrize("family", sorted({recipe.family for recipe in RECIPES}))
def test_each_design_makes_sound_solids(family):
    recipe = [recipe for recipe in RECIPES if recipe.family == family][1]
    bodies = settle(recipe.build())
    assert bodies.open_faces == []
    assert bodies.turned == 0
    assert bodies.count == 1 or recipe.label == "bearing"
    assert all(volume.Mass() > 0 for volume in bodies.volumes)


@pytest.mark.parametrize("suffix", WRITERS)
def test_the_same_part_gives_the_same_bytes_and_reads_back(suffix, tmp_path):
    recipe = RECIPES[0]
    digests = []
    for name in ("a", "b"):
        path = tmp_path / name / f"bolt{suffix}"
        path.parent.mkdir()
        WRITERS[suffix](recipe.build(), path, "HB-1", recipe.material)
        digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
    assert digests[0] == digests[1]
    part = formats.read(path, formats.recognise(path, path.name))
    volume = settle(recipe.build()).volumes[0].Mass()
    assert part.mass.volume == pytest.approx(volume, rel=1e-6 if part.kind is Kind.BREP else 0.03)


def test_drawings_read_back_with_their_layers(tmp_path):
    for sheet in drawings.sheets():
        path = tmp_path / "sheet.dxf"
        drawings.write_dxf(sheet, path)
        first = path.read_bytes()
        drawings.write_dxf(sheet, path)
        assert path.read_bytes() == first
        part = formats.read(path, formats.recognise(path, path.name))
        assert part.unit == "mm"
        assert set(drawings.LAYERS) <= set(part.drawing.layers)
        assert len(part.drawing.dimensions) >= 3


@pytest.mark.slow
def test_every_file_of_the_library_reads(tmp_path):
    files = write_library(tmp_path)
    with (tmp_path / MANIFEST).open() as file:
        rows = list(csv.DictReader(file))
    assert [tmp_path / row["path"] for row in rows] == files
    assert {path.suffix for path in files} == {".step", ".igs", ".stl", ".3mf", ".glb", ".dxf"}
    for path in files:
        part = formats.read(path, formats.recognise(path, path.name))
        assert part.drawing is not None or part.mass.is_closed, path.name
