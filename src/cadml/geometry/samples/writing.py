"""Sample parts as files: STEP, IGES, STL, 3MF, GLB. The same part gives the same bytes each time."""

from __future__ import annotations

import io
import re
import uuid
import zipfile
from collections.abc import Callable
from pathlib import Path

import trimesh
from OCP.APIHeaderSection import APIHeaderSection_MakeHeader
from OCP.IFSelect import IFSelect_ReturnStatus
from OCP.IGESControl import IGESControl_Writer
from OCP.Quantity import Quantity_Color, Quantity_TypeOfColor
from OCP.STEPCAFControl import STEPCAFControl_Writer
from OCP.TCollection import TCollection_ExtendedString, TCollection_HAsciiString
from OCP.TDataStd import TDataStd_Name
from OCP.TopoDS import TopoDS_Shape
from OCP.XCAFDoc import XCAFDoc_ColorType, XCAFDoc_DocumentTool

from cadml.errors import InternalError
from cadml.geometry.kernel.document import Document
from cadml.geometry.kernel.measure import size_of, surface_of
from cadml.geometry.kernel.tessellate import collect, tessellate
from cadml.geometry.kernel.topology import Topology

_UUID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = "2026-01-01T00:00:00"
COLOURS = {
    "steel": (0.62, 0.65, 0.69),
    "brass": (0.80, 0.66, 0.30),
    "bronze": (0.72, 0.52, 0.30),
    "POM": (0.93, 0.93, 0.90),
    "ABS": (0.20, 0.22, 0.25),
    "Al": (0.80, 0.82, 0.85),
    "cast": (0.35, 0.37, 0.40),
}


def write_step(shape: TopoDS_Shape, path: Path, name: str, material: str) -> None:
    """Write ``shape`` as AP214 with its product name, and its material's colour where it has one."""
    document = Document()
    main = document.handle.Main()
    label = XCAFDoc_DocumentTool.ShapeTool_s(main).AddShape(shape, False)  # noqa: FBT003 — one product
    TDataStd_Name.Set_s(label, TCollection_ExtendedString(name, True))  # noqa: FBT003 — UTF-8
    colour = next((rgb for word, rgb in COLOURS.items() if material.startswith(word)), None)
    if colour:
        paint = Quantity_Color(*colour, Quantity_TypeOfColor.Quantity_TOC_sRGB)
        XCAFDoc_DocumentTool.ColorTool_s(main).SetColor(label, paint, XCAFDoc_ColorType.XCAFDoc_ColorGen)
    writer = STEPCAFControl_Writer()
    writer.Transfer(document.handle)
    header = APIHeaderSection_MakeHeader(writer.ChangeWriter().Model())
    header.SetTimeStamp(TCollection_HAsciiString(TIME))
    header.SetName(TCollection_HAsciiString(path.name))
    if writer.Write(str(path)) != IFSelect_ReturnStatus.IFSelect_RetDone:
        raise InternalError(f"the kernel could not write {path.name}")


def write_iges(shape: TopoDS_Shape, path: Path, name: str, material: str) -> None:
    """Write ``shape`` as trimmed surfaces, the way most IGES files come."""
    del name, material  # the kernel's IGES writer has no place for them
    writer = IGESControl_Writer("MM", 0)
    writer.AddShape(shape)
    writer.ComputeModel()
    if not writer.Write(str(path)):
        raise InternalError(f"the kernel could not write {path.name}")
    stamp = rb"15H\d{8}\.\d{6}"
    path.write_bytes(re.sub(stamp, b"15H20260101.000000", path.read_bytes()))


def write_stl(shape: TopoDS_Shape, path: Path, name: str, material: str) -> None:
    """Write the mesh of ``shape`` as binary STL."""
    del name, material
    path.write_bytes(mesh_of(shape).export(file_type="stl"))


def write_3mf(shape: TopoDS_Shape, path: Path, name: str, material: str) -> None:
    """Write the mesh of ``shape`` as 3MF, in millimetres."""
    del material
    scene = trimesh.Scene()
    scene.add_geometry(mesh_of(shape), geom_name=name)
    # trimesh stamps the archive with the time of day and draws its ids by chance.
    source = zipfile.ZipFile(io.BytesIO(scene.export(file_type="3mf")))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for member in source.namelist():
            entry = zipfile.ZipInfo(member, (2026, 1, 1, 0, 0, 0))
            target.writestr(entry, _fixed_ids(source.read(member)), zipfile.ZIP_DEFLATED)


def _fixed_ids(data: bytes) -> bytes:
    """Return ``data`` with each distinct UUID replaced by its ordinal."""
    found: dict[bytes, bytes] = {}
    return _UUID.sub(lambda hit: found.setdefault(hit[0], str(uuid.UUID(int=len(found) + 1)).encode()), data)


def write_glb(shape: TopoDS_Shape, path: Path, name: str, material: str) -> None:
    """Write the mesh of ``shape`` as GLB, in metres as glTF demands."""
    del material
    mesh = mesh_of(shape)
    mesh.apply_scale(1e-3)
    scene = trimesh.Scene()
    scene.add_geometry(mesh, geom_name=name)
    path.write_bytes(scene.export(file_type="glb"))


def mesh_of(shape: TopoDS_Shape) -> trimesh.Trimesh:
    """Return the watertight mesh of ``shape`` in millimetres."""
    topology = Topology.of(shape)
    found, _ = collect(topology, tessellate(topology, size_of(surface_of(shape))))
    return trimesh.Trimesh(found.vertices, found.triangles)


WRITERS: dict[str, Callable[[TopoDS_Shape, Path, str, str], None]] = {
    ".step": write_step,
    ".igs": write_iges,
    ".stl": write_stl,
    ".3mf": write_3mf,
    ".glb": write_glb,
}
