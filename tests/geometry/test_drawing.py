"""DXF drawings: lengths, units, blocks, limits, and what is told about damage."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import ezdxf
import numpy as np
import pytest

import cad_files as files
from cadml.errors import EmptyFile, FileTooLarge, MalformedFile, NoSurfaceGeometry, TruncatedFile
from cadml.geometry import unfold
from cadml.geometry.drawing import TOLERANCE, read_dxf
from cadml.geometry.part import Part, Severity
from cadml.geometry.units import DXF, MILLIMETRES

VERSIONS = ["R12", "R2000", "R2004", "R2007", "R2010", "R2013", "R2018"]
SHAPE = [(0, 0), (60, 0), (60, 40), (0, 40)]


@pytest.fixture
def read(tmp_path: Path) -> Callable[[bytes], Part]:
    def reading(content: bytes) -> Part:
        path = tmp_path / "upload"
        path.write_bytes(content)
        return read_dxf(path)

    return reading


def length(part: Part) -> float:
    assert part.drawing is not None
    return float(np.linalg.norm(np.diff(part.drawing.segments, axis=1), axis=2).sum())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("fmt", ["asc", "bin"])
def test_every_version_is_read_as_text_and_binary(read: Callable, version: str, fmt: str) -> None:
    document = ezdxf.new(version, units=4)
    space = document.modelspace()
    space.add_line((0, 0), (30, 40), dxfattribs={"layer": "CUT"})
    space.add_circle((5, 5), 10)
    space.add_text("M6 × 20")
    part = read(files.dxf_bytes(document, fmt))
    assert part.drawing.entity_kind == ("LINE", "CIRCLE", "TEXT")
    assert part.drawing.layers == ("CUT", "0")
    assert part.drawing.texts == ("M6 × 20",)
    assert length(part) == pytest.approx(50 + 2 * math.pi * 10, rel=2e-3)
    np.testing.assert_allclose(part.box.extents, (35, 45, 0), atol=2 * part.drawing.segment_tolerance)


@pytest.mark.parametrize("code", sorted(DXF))
def test_units_are_honoured(read: Callable, code: int) -> None:
    document = ezdxf.new("R2018", units=code)
    document.modelspace().add_line((0, 0), (1e-9, 0))
    part = read(files.dxf_bytes(document))
    assert part.unit == DXF[code]
    assert part.box.extents[0] == pytest.approx(1e-9 * MILLIMETRES[DXF[code]], rel=1e-9)


def test_unit_codes_are_those_of_ezdxf() -> None:
    for code in [*range(1, 8), *range(10, 19)]:  # those that it can convert
        assert MILLIMETRES[DXF[code]] == pytest.approx(
            ezdxf.units.conversion_factor(code, ezdxf.units.MM), rel=1e-8
        )


@pytest.mark.parametrize("radius", [0.5, 10, 400])
def test_curves_stay_within_the_stated_tolerance(read: Callable, radius: float) -> None:
    document = ezdxf.new(units=4)
    document.modelspace().add_circle((0, 0), radius)
    document.modelspace().add_line((-500, 0), (500, 0))
    drawing = read(files.dxf_bytes(document)).drawing
    assert drawing.segment_tolerance == pytest.approx(TOLERANCE * math.hypot(1000, 2 * radius), rel=0.05)
    circle = drawing.segments[drawing.segment_entity == 0]
    middles = np.linalg.norm(circle.mean(axis=1), axis=1)
    assert len(circle) >= 4
    assert (radius - middles).max() <= drawing.segment_tolerance


def test_blocks_unfold_with_scale_rotation_arrays_and_layers(read: Callable) -> None:
    document = ezdxf.new(units=4)
    inner = document.blocks.new("INNER")
    inner.add_line((0, 0), (1, 0))
    inner.add_circle((0, 0), 0.5, dxfattribs={"layer": "FIXED"})
    outer = document.blocks.new("OUTER")
    outer.add_blockref("INNER", (10, 0), dxfattribs={"xscale": 2, "yscale": 2, "rotation": 90})
    document.modelspace().add_blockref(
        "OUTER",
        (100, 0),
        dxfattribs={
            "layer": "TOP",
            "row_count": 2,
            "column_count": 3,
            "row_spacing": 50,
            "column_spacing": 20,
        },
    )
    part = read(files.dxf_bytes(document))
    drawing = part.drawing
    assert drawing.entity_kind == ("LINE", "CIRCLE") * 6
    assert [drawing.layers[k] for k in drawing.entity_layer[:2]] == ["TOP", "FIXED"]
    starts = {
        tuple(np.round(s[0], 9)) for s in drawing.segments[np.isin(drawing.segment_entity, range(0, 12, 2))]
    }
    assert starts == {(110 + 20 * i, 50.0 * j) for i in range(3) for j in range(2)}
    assert length(part) == pytest.approx(6 * (2 + 2 * math.pi), rel=0.05)


def test_hidden_things_are_left_out(read: Callable) -> None:
    document = ezdxf.new(units=4)
    for name in ("OFF", "FROZEN"):
        document.layers.add(name)
    document.layers.get("OFF").off()
    document.layers.get("FROZEN").freeze()
    space = document.modelspace()
    space.add_line((0, 0), (1, 0))
    space.add_line((0, 0), (9, 0), dxfattribs={"layer": "OFF"})
    space.add_line((0, 0), (9, 0), dxfattribs={"layer": "FROZEN"})
    space.add_line((0, 0), (9, 0), dxfattribs={"invisible": 1})
    document.paperspace().add_line((0, 0), (99, 0))
    part = read(files.dxf_bytes(document))
    assert part.drawing.entity_kind == ("LINE",)
    assert part.box.extents[0] == 1


def test_dimensions_are_measured_in_mm_and_radians(read: Callable) -> None:
    document = ezdxf.new(setup=True, units=1)  # inches
    space = document.modelspace()
    space.add_line((0, 0), (3, 4))
    space.add_linear_dim(base=(0, -2), p1=(0, 0), p2=(3, 0)).render()
    space.add_aligned_dim(p1=(0, 0), p2=(3, 4), distance=1).render()
    space.add_angular_dim_2l(base=(2, 2), line1=((0, 0), (1, 0)), line2=((0, 0), (0, 1))).render()
    part = read(files.dxf_bytes(document))
    assert part.drawing.entity_kind == ("LINE", "DIMENSION", "DIMENSION", "DIMENSION")
    np.testing.assert_allclose(part.drawing.dimensions, (3 * 25.4, 5 * 25.4, math.pi / 2), rtol=1e-9)
    assert length(part) == pytest.approx(5 * 25.4), "dimension lines are not the part's outline"


def test_surfaces_are_counted(read: Callable) -> None:
    document = ezdxf.new(units=4)
    space = document.modelspace()
    space.add_3dface([(0, 0, 0), (1, 0, 0), (1, 1, 5), (0, 1, 5)])
    space.add_solid([(0, 0), (1, 0), (0, 1)])
    space.add_polymesh((3, 3))
    space.add_line((0, 0), (1, 1))
    part = read(files.dxf_bytes(document))
    assert part.drawing.surface_entities == 3
    assert part.box.extents[2] == 5


def test_a_block_that_contains_itself_is_cut_off_and_told(read: Callable) -> None:
    document = ezdxf.new(units=4)
    block = document.blocks.new("LOOP")
    block.add_line((0, 0), (1, 0))
    other = document.blocks.new("OTHER")
    other.add_blockref("LOOP", (0, 0))
    block.add_blockref("OTHER", (0, 0))
    document.modelspace().add_blockref("LOOP", (0, 0))
    part = read(files.dxf_bytes(document))
    assert part.drawing.entity_kind == ("LINE",)
    assert [(f.code, f.severity) for f in part.findings] == [("CYCLIC_BLOCK", Severity.SUSPECT)]


def test_blocks_that_multiply_are_refused(read: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfold, "MOST_ENTITIES", 5_000)
    document = ezdxf.new(units=4)
    document.blocks.new("B0").add_line((0, 0), (1, 0))
    for level in range(1, 9):
        block = document.blocks.new(f"B{level}")
        for k in range(10):
            block.add_blockref(f"B{level - 1}", (k, 0))
    document.modelspace().add_blockref("B8", (0, 0))
    with pytest.raises(FileTooLarge, match="unfold"):
        read(files.dxf_bytes(document))


def test_an_array_of_billions_is_refused_before_it_is_laid_out(read: Callable) -> None:
    document = ezdxf.new(units=4)
    document.blocks.new("B").add_line((0, 0), (1, 0))
    document.modelspace().add_blockref(
        "B",
        (0, 0),
        dxfattribs={"row_count": 32000, "column_count": 32000, "row_spacing": 1, "column_spacing": 1},
    )
    with pytest.raises(FileTooLarge, match="unfold"):
        read(files.dxf_bytes(document))


def test_blocks_nested_too_deep_are_refused(read: Callable) -> None:
    document = ezdxf.new(units=4)
    document.blocks.new("B0").add_line((0, 0), (1, 0))
    for level in range(1, 60):
        document.blocks.new(f"B{level}").add_blockref(f"B{level - 1}", (0, 0))
    document.modelspace().add_blockref("B59", (0, 0))
    with pytest.raises(FileTooLarge, match="nested deeper"):
        read(files.dxf_bytes(document))


def test_damage_that_can_be_recovered_is_told(read: Callable) -> None:
    content = files.dxf(SHAPE, "R2000").replace(b"AcDbModelSpace", b"AcDbModelSpa\xffce")
    damaged = content.replace(b"  2\nTABLES\n", b"  2\nTABLES\n  0\nENDSEC\n  0\nENDSEC\n", 1)
    part = read(damaged)
    assert length(part) == pytest.approx(200)
    assert part.findings[0].code == "RECOVERED"


def test_coordinates_that_are_no_numbers_are_left_out_and_told(read: Callable) -> None:
    document = ezdxf.new("R2000", units=4)
    document.modelspace().add_line((0, 0), (3, 4))
    document.modelspace().add_line((1, 1), (77.25, 77.25))
    part = read(files.dxf_bytes(document).replace(b"77.25", b"nan"))
    assert length(part) == pytest.approx(5)
    assert [f.code for f in part.findings] == ["NOT_FINITE"]


def test_empty_and_lineless_drawings_are_refused(read: Callable) -> None:
    with pytest.raises(EmptyFile, match="nothing visible"):
        read(files.dxf_bytes(ezdxf.new(units=4)))
    only_points = ezdxf.new(units=4)
    only_points.modelspace().add_point((0, 0))
    with pytest.raises(NoSurfaceGeometry, match="only POINT"):
        read(files.dxf_bytes(only_points))
    dots = ezdxf.new(units=4)
    dots.modelspace().add_line((1, 1), (1, 1))
    with pytest.raises(NoSurfaceGeometry):
        read(files.dxf_bytes(dots))


def test_a_cut_file_is_called_cut(read: Callable) -> None:
    content = files.dxf(SHAPE)
    for tenth in range(1, 10):
        with pytest.raises(TruncatedFile):
            read(content[: len(content) * tenth // 10])


def test_a_missing_end_mark_alone_is_forgiven_and_told(read: Callable) -> None:
    content = files.dxf(SHAPE).rstrip()
    assert content.endswith(b"EOF")
    part = read(content.removesuffix(b"EOF").rstrip().removesuffix(b"0").rstrip(b" "))
    assert length(part) == pytest.approx(200)
    assert part.findings[0].code == "NO_EOF"


def test_nonsense_between_the_marks_is_refused(read: Callable) -> None:
    with pytest.raises((MalformedFile, EmptyFile)):
        read(b"0\nSECTION\n2\nENTITIES\n0\nLINE\nsalad\nsalad\n0\nENDSEC\n0\nEOF\n")
