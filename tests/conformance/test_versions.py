"""Every feature version keeps what its table promises; parametrised over the table."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest

from cadml.errors import DimensionMismatch, UnknownVersion, VersionNotApplicable
from cadml.features.distance import distances
from cadml.features.spec import Invariance
from cadml.features.versions import VERSIONS, describe, version, versions_for
from cadml.geometry.part import BoundingBox, Kind, frozen
from exact_box import exact_box
from solids import DRAWINGS, SOLIDS, moved, rotation

GOLDEN = Path(__file__).parents[1] / "golden"
EVERY = pytest.mark.parametrize("row", VERSIONS.values(), ids=list(VERSIONS))
PARTS = {Kind.MESH: SOLIDS, Kind.DRAWING: DRAWINGS, Kind.BREP: {"exact box": exact_box(10, 20, 35)}}


def parts_of(row):
    return {f"{kind}/{name}": part for kind in row.kinds for name, part in PARTS[kind].items()}


def changed(part, invariance):
    """Return the part under one change that a slot may declare to ignore."""
    motions = {
        Invariance.TRANSLATION: {"shift": (300.0, -40.0, 7.0)},
        Invariance.ROTATION: {"rotation": rotation(1)},
        Invariance.REFLECTION: {"rotation": np.diag([-1.0, 1.0, 1.0])},
        Invariance.SCALE: {"scale": 25.4},
    }
    motion = motions[invariance]
    if part.kind is not Kind.DRAWING:
        return moved(part, **motion)
    turn = np.array([[0.0, -1.0], [1.0, 0.0]]) if invariance is Invariance.ROTATION else np.eye(2)
    turn = np.diag([-1.0, 1.0]) if invariance is Invariance.REFLECTION else turn
    segments = part.drawing.segments @ turn.T * motion.get("scale", 1.0) + motion.get("shift", (0.0,) * 3)[:2]
    sheet = dataclasses.replace(part.drawing, segments=frozen(segments))
    return dataclasses.replace(part, drawing=sheet, box=BoundingBox.of(segments.reshape(-1, 2)))


@EVERY
def test_it_is_finite_and_the_same_every_time(row):
    for part in parts_of(row).values():
        first, second = row.describe(part), row.describe(part)
        assert first.values.shape == (row.length,)
        assert np.isfinite(first.values).all()
        assert first.values.tobytes() == second.values.tobytes()


@EVERY
def test_sharing_samples_changes_nothing(row):
    for part in parts_of(row).values():
        together = describe(part)[row.name].values
        assert together.tobytes() == row.describe(part).values.tobytes()


@EVERY
def test_slots_are_named_once_and_explained(row):
    assert row.length <= 512
    assert len({slot.name for slot in row.slots}) == row.length
    assert all(slot.meaning and slot.unit for slot in row.slots)


@EVERY
@pytest.mark.parametrize("invariance", [i for i in Invariance if i is not Invariance.TESSELLATION])
def test_declared_invariances_hold(row, invariance):
    for name, part in parts_of(row).items():
        if part.kind is Kind.BREP:
            continue  # moving exact faces takes the kernel: tests/features/test_motion.py
        before = row.describe(part).values.astype(np.float64)
        after = row.describe(changed(part, invariance)).values.astype(np.float64)
        change = np.abs(after - before) / np.maximum(1, np.abs(before))
        broken = [
            (slot.name, value)
            for slot, value in zip(row.slots, change, strict=True)
            if invariance in slot.invariances and value > slot.tolerance
        ]
        assert not broken, (name, broken)


@pytest.mark.parametrize("name", ["v5", "d1"])
def test_a_moved_part_is_its_own_nearest_neighbour(name):
    row = version(name)
    kinds = [part for part in parts_of(row).values() if part.kind is not Kind.BREP]
    here = np.stack([row.describe(part).values for part in kinds])
    for invariance in (Invariance.TRANSLATION, Invariance.ROTATION, Invariance.REFLECTION):
        there = np.stack([row.describe(changed(part, invariance)).values for part in kinds])
        table = distances(row, there, here)
        own = np.diag(table).copy()
        np.fill_diagonal(table, np.inf)
        assert (own < 0.25 * table.min(axis=1)).all(), (invariance, own, table.min(axis=1))


@EVERY
def test_scaled_values_survive_half_precision(row):
    values = np.stack([row.describe(part).values for part in parts_of(row).values()])
    scaled = row.scaled(values)
    halved = scaled.astype(np.float16).astype(np.float32)
    assert np.isfinite(halved).all()
    assert np.abs(halved - scaled).max() <= 2**-10 * np.abs(scaled).max()


@EVERY
def test_golden_vectors_have_not_changed(row):
    path = GOLDEN / f"{row.name}.json"
    found = {name: row.describe(part).values for name, part in sorted(parts_of(row).items())}
    if os.environ.get("CADML_WRITE_GOLDEN") == row.name:  # only for a version that is not released yet
        lines = {name: [round(float(v), 6) for v in vector] for name, vector in found.items()}
        path.write_text(json.dumps(lines, indent=0) + "\n")
    golden = json.loads(path.read_text())
    assert sorted(golden) == sorted(found)
    # Another platform's embree and BLAS may judge a borderline ray or point otherwise: hence the tolerance.
    tolerance = np.array([slot.tolerance for slot in row.slots])
    for name, vector in found.items():
        expected = np.array(golden[name])
        change = np.abs(vector - expected) / np.maximum(1, np.abs(expected))
        assert (change <= tolerance + 1e-5).all(), (row.name, name, np.argmax(change - tolerance))


def test_v1_to_v4_are_cumulative():
    for part in (*SOLIDS.values(), *DRAWINGS.values()):
        v1, v2, v3, v4 = (version(name).describe(part).values.tolist() for name in ("v1", "v2", "v3", "v4"))
        assert (len(v1), len(v2), len(v3), len(v4)) == (7, 12, 22, 24)
        assert v4[:22] == v3
        assert v3[:12] == v2
        assert v2[:7] == v1


def test_v6_begins_with_v5():
    part = exact_box(10, 20, 35)
    vectors = describe(part)
    v5, v6 = vectors["v5"].values, vectors["v6"].values
    assert v6[: len(v5)].tolist() == v5.tolist()


def test_versions_are_kept_apart():
    assert [row.name for row in versions_for(Kind.DRAWING)] == ["v1", "v2", "v3", "v4", "d1"]
    assert [row.name for row in versions_for(Kind.MESH)] == ["v1", "v2", "v3", "v4", "v5"]
    with pytest.raises(UnknownVersion):
        version("v99")
    with pytest.raises(VersionNotApplicable):
        version("v6").describe(SOLIDS["box"])
    with pytest.raises(DimensionMismatch):
        version("v5").scaled(np.zeros(7))
