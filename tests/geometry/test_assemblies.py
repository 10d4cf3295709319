"""Assemblies small on disk and large when laid out: placed up to a limit, refused beyond it at once."""

from __future__ import annotations

import re
from time import process_time

import pytest
from exact import SOLIDS, edited, instances, polyline, through_step, write_brep, write_step

from cadml.errors import FileTooLarge, MalformedFile, NoSurfaceGeometry
from cadml.geometry import brep

SECONDS = 10  # of our own work; placing 33 million boxes would take an hour


def nested(shape, levels):
    """Two of two of two …: ``2 ** levels`` instances of ``shape``."""
    for _ in range(levels):
        shape = instances(shape, 2)
    return shape


def levels_added(path, levels):
    """A STEP file whose assembly is used twice by another, that twice by a third, and so on."""
    text = path.read_text()
    whole = re.search(r"#(\d+) = NEXT_ASSEMBLY_USAGE_OCCURRENCE\([^#]*#(\d+),", text)[2]
    like = re.search(rf"#{whole} = PRODUCT_DEFINITION(\([^;]*;)", text)[1]
    lines = []
    for level in range(levels):
        number = 100_000 + 10 * level
        lines.append(f"#{number} = PRODUCT_DEFINITION{like}")
        lines += [
            f"#{number + use} = NEXT_ASSEMBLY_USAGE_OCCURRENCE('{use}','(#1)','',#{number},#{whole},$);"
            for use in (1, 2)
        ]
        whole = number
    path.write_text(text.replace("DATA;", "\n".join(["DATA;", *lines]), 1))
    return path


@pytest.mark.parametrize("read", ["step", "brep"])
def test_nested_instances_all_stand_in_their_place(read, tmp_path):
    shape = nested(SOLIDS["box"](), 5)
    if read == "step":
        part = through_step(shape, tmp_path, assembly=True)
    else:
        part = brep.read_brep(write_brep(shape, tmp_path / "part.brep"))
    assert part.instances == part.brep.solids == 32
    assert len(part.brep.face_area) == 32 * 6
    assert part.box.extents == pytest.approx([510.0, 20.0, 30.0])


def test_two_to_the_25_instances_are_too_large_at_once(tmp_path):
    path = write_brep(nested(SOLIDS["box"](), 25), tmp_path / "part.brep")
    assert path.stat().st_size < 20_000
    start = process_time()
    with pytest.raises(FileTooLarge, match="201,326,592 faces"):
        brep.read_brep(path)
    path = levels_added(write_step(instances(SOLIDS["box"](), 2), tmp_path / "part.step", assembly=True), 24)
    with pytest.raises(FileTooLarge, match="33,554,432 components"):
        brep.read_step(path)
    assert process_time() - start < SECONDS


def test_a_nested_wireframe_is_called_so_at_once(tmp_path):
    curve = nested(polyline([(0, 0, 0), (10, 0, 0), (10, 5, 0)]), 25)
    start = process_time()
    with pytest.raises(NoSurfaceGeometry, match="wireframe"):
        brep.read_brep(write_brep(curve, tmp_path / "part.brep"))
    assert process_time() - start < SECONDS


def test_an_assembly_that_contains_itself_is_refused(tmp_path):
    path = write_step(instances(SOLIDS["box"](), 2), tmp_path / "part.step", assembly=True)
    with pytest.raises(MalformedFile, match="contains itself"):
        brep.read_step(
            edited(
                path,
                r"(NEXT_ASSEMBLY_USAGE_OCCURRENCE\([^#]*)#(\d+),#(\d+),\$\);",
                r"\1#\2,#\3,$);\n#99999 = NEXT_ASSEMBLY_USAGE_OCCURRENCE('','','',#\3,#\2,$);",
            )
        )
