"""Exact files as they come: real ones, damaged ones, odd ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
from exact import SOLIDS, edited, instances, polyline, through_step, write_brep, write_iges, write_step

from cadml.errors import EmptyFile, FileError, MalformedFile, NoSurfaceGeometry, TruncatedFile
from cadml.geometry import brep
from cadml.geometry.kernel.topology import FACE, bundle, keys, mapped
from cadml.geometry.part import Convexity, Severity
from cadml.geometry.samples.solids import box, cylinder
from cadml.geometry.samples.writing import write_step as write_coloured

READ = {"step": brep.read_step, "iges": brep.read_iges, "brep": brep.read_brep}
WRITE = {"step": write_step, "iges": write_iges, "brep": write_brep}
each_format = pytest.mark.parametrize("name", READ)


def codes(part):
    return {finding.code: finding.severity for finding in part.findings}


@each_format
def test_loose_faces_that_close_become_a_solid(name, tmp_path):
    faces = bundle(keys(mapped(SOLIDS["plate"](), FACE)))
    part = READ[name](WRITE[name](faces, tmp_path / "part"))
    assert part.mass.volume == pytest.approx((6000 - 3 * math.pi * 36) * 8, rel=1e-6)
    assert (part.brep.edge_convexity != Convexity.OPEN).all()
    assert part.brep.solids == part.instances == 1


@each_format
def test_an_open_surface_has_area_and_no_volume(name, tmp_path):
    faces = bundle(keys(mapped(box((10.0, 20.0, 30.0)), FACE))[1:])
    part = READ[name](WRITE[name](faces, tmp_path / "part"))
    assert part.mass.volume is None
    assert part.mass.inertia is None
    assert part.mass.area == pytest.approx(2200 - 600)
    assert codes(part)["OPEN_SHELL"] is Severity.SUSPECT
    assert (part.brep.edge_faces[:, 1] == -1).sum() == 4
    assert (part.brep.edge_convexity == Convexity.OPEN).sum() == 4


def test_a_solid_that_is_inside_out_is_turned(tmp_path):
    part = brep.read_brep(write_brep(SOLIDS["plate"]().Complemented(), tmp_path / "part"))
    assert codes(part) == {"SOLID_REVERSED": Severity.REPAIRED}
    assert part.mass.volume == pytest.approx((6000 - 3 * math.pi * 36) * 8)
    corners = part.tessellation.vertices[part.tessellation.triangles]
    assert np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() > 0
    assert (part.brep.edge_convexity != Convexity.CONCAVE).all()
    assert (part.brep.face_bend <= 0).all()


def test_bodies_that_touch_stay_apart_in_iges(tmp_path):
    pair = bundle([box((10.0, 10.0, 10.0)), box((10.0, 10.0, 10.0), (10.0, 0.0, 0.0))])
    part = brep.read_iges(write_iges(pair, tmp_path / "part"))
    assert (part.instances, part.brep.solids, len(part.brep.face_area)) == (2, 2, 12)
    assert part.mass.volume == pytest.approx(2000.0)


@each_format
def test_a_wireframe_is_refused_as_such(name, tmp_path):
    wire = polyline([(0.0, 0.0, 0.0), (10.0, 0.0, 0.0), (10.0, 10.0, 5.0)])
    with pytest.raises(NoSurfaceGeometry, match="curves only"):
        READ[name](WRITE[name](wire, tmp_path / "part"))


@each_format
@pytest.mark.parametrize("tenth", range(10))
def test_a_cut_file_is_refused(name, tenth, tmp_path):
    data = WRITE[name](SOLIDS["box"](), tmp_path / "whole").read_bytes()
    cut = tmp_path / "cut"
    cut.write_bytes(data[: len(data) * tenth // 10])
    with pytest.raises(TruncatedFile if tenth else EmptyFile):
        READ[name](cut)


def test_an_empty_data_section_is_empty(tmp_path):
    path = edited(write_step(SOLIDS["box"](), tmp_path / "part"), r"DATA;.*ENDSEC;", "DATA;\nENDSEC;")
    with pytest.raises(EmptyFile):
        brep.read_step(path)


@each_format
def test_noise_in_a_valid_frame_is_malformed(name, tmp_path):
    noise = {
        "step": b"ISO-10303-21;\nHEADER;\nENDSEC;\nDATA;\n#1=((((;\nENDSEC;\nEND-ISO-10303-21;\n",
        "iges": b"noise".ljust(72)
        + b"S      1\n"
        + b"S      1G      0D      0P      0".ljust(72)
        + b"T      1\n",
        "brep": b"DBRep_DrawableShape\n\nCASCADE Topology V1\nTShapes 1\n*\n+1 0\n",
    }[name]
    path = tmp_path / "noise"
    path.write_bytes(noise)
    with pytest.raises(FileError):
        READ[name](path)


@pytest.mark.parametrize(
    "replacement",
    [
        r"#\1=OFFSET_SURFACE('',#\1,1.,.F.);",
        r"#\1=RECTANGULAR_TRIMMED_SURFACE('',#\1,0.,1.,0.,1.,.T.,.T.);",
        r"#\1=OFFSET_SURFACE('',#9999,1.,.F.);\n#9999=OFFSET_SURFACE('',#\1,1.,.F.);",
    ],
)
def test_circles_of_references_are_refused(replacement, tmp_path):
    path = write_step(SOLIDS["box"](), tmp_path / "part")
    with pytest.raises(MalformedFile, match="circle"):
        brep.read_step(edited(path, r"#(\d+) = PLANE\([^;]*;", replacement))


def test_a_number_sign_in_a_name_is_no_reference(tmp_path):
    path = edited(
        write_step(SOLIDS["box"](), tmp_path / "part"),
        r"#(\d+) = PLANE\(''",
        r"#9999 = OFFSET_CURVE_3D('#\1',#9998,1.,.F.,#9998);\n"
        r"#9998 = DIRECTION('',(0.,0.,1.));\n#\1 = PLANE('#\1'",
    )
    assert brep.read_step(path).mass.volume == pytest.approx(6000.0)


def test_coordinates_that_overflow_are_malformed(tmp_path):
    path = edited(
        write_step(SOLIDS["box"](), tmp_path / "part"),
        r"CARTESIAN_POINT\('',\(0\.,20\.",
        "CARTESIAN_POINT('',(1.E400,20.",
    )
    with pytest.raises(FileError):
        brep.read_step(path)


def test_a_face_without_borders_is_left_out_and_said(tmp_path):
    # An edge whose curve is no curve: two faces lose their borders and would reach to infinity.
    path = edited(
        write_step(SOLIDS["box"](), tmp_path / "part"), r"(#(\d+) = EDGE_CURVE\('',#\d+,#\d+,)#\d+", r"\1#\2"
    )
    part = brep.read_step(path)
    assert part.mass.volume is None
    assert part.mass.area < 2200.0
    assert {"TRANSFER_FAILED", "OPEN_SHELL"} <= set(codes(part))
    assert part.box.diagonal < 40.0


def test_unstated_and_odd_units(tmp_path):
    path = write_step(SOLIDS["box"](), tmp_path / "part", unit="INCH")
    text = path.read_text()
    assert "'INCH'" in text
    path.write_text(text.replace("'INCH'", "'FATHOM'"))
    part = brep.read_step(path)
    assert (part.unit, part.unit_in_mm) == ("FATHOM", pytest.approx(25.4))
    assert part.mass.volume == pytest.approx(6000.0)


def test_names_and_colours_are_kept(tmp_path):
    path = tmp_path / "part.step"
    write_coloured(SOLIDS["plate"](), path, "Grundplatte Ä", "brass")
    part = brep.read_step(path)
    assert part.names == ("Grundplatte Ä",)
    assert (part.tessellation.face_colour == [204, 168, 76, 255]).all()
    assert through_step(SOLIDS["plate"](), tmp_path).tessellation.face_colour is None


def test_components_in_other_files_are_not_followed(tmp_path, shared_cad):
    path = shared_cad / "formats/step/stepcode/data/ap214e3/s1-c5-214/s1-c5-214.stp"
    copy = tmp_path / "master.stp"
    copy.write_bytes(path.read_bytes())
    for name in ("TAIL", "HEAD", "MAINBODY", "FOOT"):
        write_step(SOLIDS["box"](), tmp_path / f"{name}.stp")
    with pytest.raises(NoSurfaceGeometry, match=r"TAIL\.stp"):
        brep.read_step(copy)


def test_one_assembly_through_three_formats(shared_cad):
    folder = shared_cad / "formats"
    model = "o3dv/website/assets/models/as1_pe_203"
    step = brep.read_step(folder / f"step/{model}.stp")
    iges = brep.read_iges(folder / f"iges/{model}.igs")
    dump = brep.read_brep(folder / f"brep/{model}.brep")
    assert step.unit == "inch"
    for other in (iges, dump):
        assert other.instances == step.instances == 18
        assert other.mass.volume == pytest.approx(step.mass.volume, rel=1e-9)
        assert other.box.extents == pytest.approx(step.box.extents, rel=1e-6)
        assert np.array_equal(np.bincount(other.brep.face_surface), np.bincount(step.brep.face_surface))
        for code in Convexity:
            assert (other.brep.edge_convexity == code).sum() == (step.brep.edge_convexity == code).sum()
    assert "PLATE" in step.names


def test_deeply_nested_assemblies_are_read_or_refused(tmp_path):
    shape = SOLIDS["box"]()
    for _ in range(60):
        shape = instances(shape, 1)
    part = through_step(shape, tmp_path, assembly=True)
    assert part.mass.volume == pytest.approx(6000.0)


def test_sound_parts_have_no_findings_and_say_where_time_went(tmp_path):
    part = through_step(cylinder(5.0, 10.0), tmp_path)
    assert part.findings == ()
    assert set(part.seconds) == {"read", "transfer", "measure", "tessellate", "explore"}
    assert all(value >= 0 for value in part.seconds.values())
