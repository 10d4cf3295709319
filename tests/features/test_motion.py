"""Real files, moved by the kernel and tessellated anew, are their own neighbours; units do not matter."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from OCP.BRepBuilderAPI import BRepBuilderAPI_Transform
from OCP.gp import gp_Ax1, gp_Dir, gp_Pnt, gp_Trsf, gp_Vec
from OCP.Interface import Interface_Static
from OCP.STEPControl import STEPControl_AsIs, STEPControl_Reader, STEPControl_Writer

from cadml.features.distance import distances
from cadml.features.versions import describe, version
from cadml.geometry.formats import FORMATS, read


def shape_of(path: Path):
    reader = STEPControl_Reader()
    reader.ReadFile(str(path))
    reader.TransferRoots()
    return reader.OneShape()


def write_step(shape, path: Path, unit: str = "MM") -> None:
    Interface_Static.SetCVal_s("write.step.unit", unit)
    try:
        writer = STEPControl_Writer()
        writer.Transfer(shape, STEPControl_AsIs)
        writer.Write(str(path))
    finally:
        Interface_Static.SetCVal_s("write.step.unit", "MM")


def moved(shape, random: np.random.Generator):
    turn, shift = gp_Trsf(), gp_Trsf()
    axis = gp_Ax1(gp_Pnt(0, 0, 0), gp_Dir(*random.normal(size=3).tolist()))
    turn.SetRotation(axis, float(random.uniform(0, 2 * np.pi)))
    shift.SetTranslation(gp_Vec(*random.uniform(-200, 200, 3).tolist()))
    return BRepBuilderAPI_Transform(shape, shift.Multiplied(turn), True).Shape()


def vectors(path: Path, name: str):
    return describe(read(path, FORMATS["step"]), (name,))[name].values


@pytest.fixture(scope="module")
def chosen(shared_cad) -> list[Path]:
    """Every 32nd of the shared parts, small enough for a test."""
    with (shared_cad / "parts.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if not row["duplicate_of"]]
    small = [row for row in rows if 10_000 < int(row["bytes"]) < 400_000]
    return [shared_cad / row["path"] for row in small[::32]]


@pytest.mark.parametrize("name", ["v5", "v6"])
def test_a_moved_part_finds_itself(name, chosen, tmp_path):
    random = np.random.default_rng(11)
    row = version(name)
    here = np.stack([vectors(path, name) for path in chosen])
    there = []
    for path in chosen:
        write_step(moved(shape_of(path), random), tmp_path / "moved.step")
        there.append(vectors(tmp_path / "moved.step", name))
    table = distances(row, np.stack(there), here)
    own = np.diag(table).copy()
    np.fill_diagonal(table, np.inf)
    assert (own < table.min(axis=1)).all()
    assert np.median(own) < 0.05 * np.median(table[np.isfinite(table)])


def test_inch_and_millimetre_twins_have_one_vector(chosen, tmp_path):
    """The kernel cuts them along other diagonals; no slot may depend on those."""
    for path in chosen:
        shape = shape_of(path)
        write_step(shape, tmp_path / "mm.step")
        write_step(shape, tmp_path / "inch.step", unit="INCH")
        one, other = (describe(read(tmp_path / name, FORMATS["step"])) for name in ("mm.step", "inch.step"))
        for name in one:
            assert other[name].values == pytest.approx(one[name].values, rel=1e-5, abs=1e-5), (path, name)
