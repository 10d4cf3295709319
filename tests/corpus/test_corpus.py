"""Every real and every hostile file is described, or refused for the reason a person would give.

All go through recognise() and a worker process, as in the service.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from cadml.errors import CadmlError
from cadml.geometry import codec
from cadml.geometry.formats import FORMATS, read, recognise
from cadml.geometry.isolate import Workers
from cadml.geometry.warm import load_readers

LIMIT_S = 60.0
# What must never come of a file in these sets: it would be our failure, not the file's.
OURS = {"READER_CRASHED", "EXTRACTION_TIMEOUT", "EXTRACTION_OUT_OF_MEMORY", "INTERNAL_ERROR"}
# What damage to a kernel's own file may end in: the process dies or is stopped, which is what it is for.
THE_KERNELS = {"READER_CRASHED", "EXTRACTION_TIMEOUT", "EXTRACTION_OUT_OF_MEMORY"}
BY_FORMAT = {
    **dict.fromkeys(["3dxml", "amf", "dwg", "fcstd", "zip", "zae", "gz"], "PROPRIETARY_FORMAT"),
}
# Files of a supported format that hold nothing to describe, and why.
REFUSED: dict[str, str] = {
    # points, texts, tables or ACIS solids, but no line or curve
    "points.dxf": "NO_SURFACE_GEOMETRY",
    "points.ply": "NO_SURFACE_GEOMETRY",
    "points_bin.ply": "NO_SURFACE_GEOMETRY",
    "MODEL.dxf": "NO_SURFACE_GEOMETRY",
    "mtext_columns_R2000.dxf": "NO_SURFACE_GEOMETRY",
    "mtext_columns_R2018.dxf": "NO_SURFACE_GEOMETRY",
    "text_in_viewports.dxf": "NO_SURFACE_GEOMETRY",
    "viewport_frozen_layers.dxf": "NO_SURFACE_GEOMETRY",
    "visibility.dxf": "NO_SURFACE_GEOMETRY",
    "text.dxf": "NO_SURFACE_GEOMETRY",
    "caret_encoding.dxf": "NO_SURFACE_GEOMETRY",
    "bin_dxf_r2000.dxf": "NO_SURFACE_GEOMETRY",
    "acad_table_simple.dxf": "NO_SURFACE_GEOMETRY",
    "torus_r2004.dxf": "NO_SURFACE_GEOMETRY",
    "torus_r2010.dxf": "NO_SURFACE_GEOMETRY",
    "3dsolids.dxf": "NO_SURFACE_GEOMETRY",
    "sphere.dxf": "NO_SURFACE_GEOMETRY",
    "face_in_group_name.obj": "NO_SURFACE_GEOMETRY",
    # a valid frame with nothing inside
    "small_r14.dxf": "EMPTY_FILE",
    "layout_missing_block_definition.dxf": "EMPTY_FILE",
    "layout_broken_links_2.dxf": "EMPTY_FILE",
    "r12_blocks_with_no_names.dxf": "EMPTY_FILE",
    "r2000_blocks_with_no_name_and_no_block_record.dxf": "EMPTY_FILE",
    "Minimal_DXF_AC1021.dxf": "EMPTY_FILE",
    "empty.stl": "EMPTY_FILE",
    "stl_empty_ascii.stl": "EMPTY_FILE",
    "stl_empty_bin.stl": "EMPTY_FILE",
    "empty.ply": "EMPTY_FILE",
    "ply_empty_header.ply": "EMPTY_FILE",
    "ply_empty_ascii.ply": "EMPTY_FILE",
    "obj_empty.obj": "EMPTY_FILE",
    # glTF 1.0
    "TwoBoxes.gltf": "UNKNOWN_FORMAT",
    "BoxTextured-glTF-Binary/BoxTextured.glb": "UNKNOWN_FORMAT",
    "CesiumMilkTruck.gltf": "UNKNOWN_FORMAT",
    "BoxTextured-glTF-Embedded/BoxTextured.gltf": "UNKNOWN_FORMAT",
    "BoxTextured-glTF-MaterialsCommon/BoxTextured.gltf": "UNKNOWN_FORMAT",
    "BoxTextured-glTF/BoxTextured.gltf": "UNKNOWN_FORMAT",
    # geometry in a second file
    "Mesh_PrimitiveMode_06.gltf": "MALFORMED_FILE",
    "Mesh_PrimitiveMode_12.gltf": "MALFORMED_FILE",
    "Mesh_PrimitiveMode_00.gltf": "MALFORMED_FILE",
    "SimpleMorph.gltf": "MALFORMED_FILE",
    "Triangle.gltf": "MALFORMED_FILE",
    # an assembly whose parts lie in other files; finite-element models without any shape
    "s1-c5-214.stp": "NO_SURFACE_GEOMETRY",
    "ATS1Mod0-outresult.stp": "NO_SURFACE_GEOMETRY",
    "ATS2-out.stp": "NO_SURFACE_GEOMETRY",
    "ATS2Mod0-out.stp": "NO_SURFACE_GEOMETRY",
    "ATS2Mod0-outresult.stp": "NO_SURFACE_GEOMETRY",
    "ATS3-out.stp": "NO_SURFACE_GEOMETRY",
    "ATS7Mod0-out.stp": "NO_SURFACE_GEOMETRY",
    # entities of a later DXF version without their subclass marks, under an R10 header
    "cycloidal.dxf": "MALFORMED_FILE",
    "spline_1.dxf": "MALFORMED_FILE",
}


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with Workers(1, timeout_s=LIMIT_S, memory_mb=4096, warm=load_readers) as pool:
        yield pool


def judge(message: str) -> None:
    """A refusal is one sentence of a readable length."""
    assert 20 < len(message) < 400, message
    assert "\n" not in message


def outcome(workers: Workers, path: Path, name: str) -> str:
    """Return "described", or the code of the refusal."""
    try:
        part = workers.run(read, path, recognise(path, name))
    except CadmlError as error:
        judge(error.message)
        return error.code
    assert part.box.diagonal > 0
    assert codec.encode(codec.decode(codec.encode(part))) == codec.encode(part)
    return "described"


def expected(row: dict[str, str]) -> str:
    for ending, code in REFUSED.items():
        if row["path"].endswith("/" + ending):
            return code
    return BY_FORMAT.get(row["format"], "described")


@pytest.mark.parametrize("table", ["formats", "hostile"])
def test_every_file_is_described_or_refused_for_its_reason(
    table: str, shared_cad: Path, workers: Workers
) -> None:
    with (shared_cad / f"{table}.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = {row["path"]: outcome(workers, shared_cad / row["path"], Path(row["path"]).name) for row in rows}
    assert not OURS & set(found.values())
    assert found == {row["path"]: expected(row) for row in rows}


def small_files(shared_cad: Path) -> dict[str, Path]:
    """Return one real file of each format, 2 to 60 KB."""
    with (shared_cad / "formats.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if 2_000 < int(row["bytes"]) < 60_000]
    chosen = {row["format"]: shared_cad / row["path"] for row in rows if expected(row) == "described"}
    return {name: path for name, path in chosen.items() if name in FORMATS}


def test_a_real_file_cut_anywhere_is_refused(shared_cad: Path, workers: Workers, tmp_path: Path) -> None:
    answers: dict[str, set[str]] = {}
    for name, path in small_files(shared_cad).items():
        content = path.read_bytes()
        for tenth in range(1, 10):
            cut = tmp_path / "cut"
            cut.write_bytes(content[: len(content) * tenth // 10])
            answers.setdefault(name, set()).add(outcome(workers, cut, path.name))
    for name, codes in answers.items():
        # OBJ has no end: a shorter one can be a smaller surface.
        allowed = {"TRUNCATED_FILE"} | (
            {"described", "MALFORMED_FILE", "NO_SURFACE_GEOMETRY"} if name == "obj" else set()
        )
        assert codes <= allowed, (name, codes)
    assert len(answers) >= 8


def test_a_real_file_with_damage_anywhere_gets_a_typed_answer(
    shared_cad: Path, workers: Workers, tmp_path: Path
) -> None:
    rng = random.Random(11)
    for name, path in small_files(shared_cad).items():
        kernel = FORMATS[name].kind == "brep"
        for _ in range(5 if kernel else 20):
            content = bytearray(path.read_bytes())
            for _ in range(rng.choice([1, 3, 30])):
                content[rng.randrange(len(content))] = rng.randrange(256)
            damaged = tmp_path / "damaged"
            damaged.write_bytes(content)
            answer = outcome(workers, damaged, path.name)
            assert answer not in (OURS - THE_KERNELS if kernel else OURS), (name, answer)
