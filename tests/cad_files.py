"""Small files of every mesh and drawing format, written byte by byte or by independent writers."""

from __future__ import annotations

import io
import json
import struct
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import ezdxf
import numpy as np
import trimesh

Mesh = trimesh.Trimesh
CORE = 'xmlns="http://schemas.microsoft.com/3dmanufacturing/core/2015/02"'
PRODUCTION = 'xmlns:p="http://schemas.microsoft.com/3dmanufacturing/production/2015/06"'


def box(x: float = 30, y: float = 20, z: float = 10) -> Mesh:
    """A box that does not sit at the origin."""
    mesh = trimesh.creation.box((x, y, z))
    mesh.apply_translation((7, -3, 11))
    return mesh


def stl(mesh: Mesh) -> bytes:
    return bytes(mesh.export(file_type="stl"))


def stl_text(mesh: Mesh) -> bytes:
    return str(mesh.export(file_type="stl_ascii")).encode()


def obj(mesh: Mesh) -> bytes:
    return str(mesh.export(file_type="obj")).encode()


def off(mesh: Mesh) -> bytes:
    return str(mesh.export(file_type="off")).encode()


def ply(mesh: Mesh, encoding: str = "binary") -> bytes:
    return bytes(mesh.export(file_type="ply", encoding=encoding))


def glb(mesh: Mesh) -> bytes:
    """In metres, as glTF wants."""
    smaller = mesh.copy()
    smaller.apply_scale(1e-3)
    return bytes(smaller.export(file_type="glb"))


def gltf_json(mesh: Mesh) -> bytes:
    smaller = mesh.copy()
    smaller.apply_scale(1e-3)
    return bytes(trimesh.exchange.gltf.export_gltf(trimesh.Scene(smaller), embed_buffers=True)["model.gltf"])


def as_glb(header: dict, binary: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 4)
    binary += b"\0" * (-len(binary) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text
    if binary:
        chunks += struct.pack("<II", len(binary), 0x004E4942) + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def mesh_3mf(mesh: Mesh) -> str:
    vertices = "".join(f'<vertex x="{x!r}" y="{y!r}" z="{z!r}"/>' for x, y, z in mesh.vertices.tolist())
    triangles = "".join(f'<triangle v1="{a}" v2="{b}" v3="{c}"/>' for a, b, c in mesh.faces.tolist())
    return f"<mesh><vertices>{vertices}</vertices><triangles>{triangles}</triangles></mesh>"


def model_3mf(objects: str, items: str, unit: str = "millimeter") -> str:
    return (
        f'<?xml version="1.0"?><model unit="{unit}" {CORE} {PRODUCTION}>'
        f"<resources>{objects}</resources><build>{items}</build></model>"
    )


def package_3mf(parts: dict[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def threemf(mesh: Mesh, unit: str = "millimeter") -> bytes:
    objects = f'<object id="1" name="box">{mesh_3mf(mesh)}</object>'
    return package_3mf({"3D/3dmodel.model": model_3mf(objects, '<item objectid="1"/>', unit)})


def dxf(points: Sequence[tuple[float, float]], version: str = "R2018", units: int = 4) -> bytes:
    """A closed polyline through the points."""
    document = ezdxf.new(version)
    document.units = units
    space = document.modelspace()
    if version == "R12":
        space.add_polyline2d(points, close=True)
    else:
        space.add_lwpolyline(points, close=True)
    return dxf_bytes(document)


def dxf_bytes(document: ezdxf.document.Drawing, fmt: str = "asc") -> bytes:
    if fmt == "bin":
        buffer = io.BytesIO()
        document.write(buffer, fmt="bin")
        return buffer.getvalue()
    text = io.StringIO()
    document.write(text)
    return text.getvalue().encode(document.output_encoding)


def soup(*triangles: Sequence[Sequence[float]]) -> bytes:
    """A binary STL of just these triangles."""
    rows = np.zeros(len(triangles), [("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("spare", "<u2")])
    rows["corners"] = triangles
    return bytes(80) + struct.pack("<I", len(triangles)) + rows.tobytes()


def exact_box(format_name: str, sizes: tuple[float, float, float]) -> bytes:
    """A box as Open CASCADE itself writes it."""
    from OCP.BRepPrimAPI import BRepPrimAPI_MakeBox
    from OCP.BRepTools import BRepTools
    from OCP.IGESControl import IGESControl_Writer
    from OCP.STEPControl import STEPControl_AsIs, STEPControl_Writer

    shape = BRepPrimAPI_MakeBox(*sizes).Shape()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "box"
        if format_name == "brep":
            BRepTools.Write_s(shape, str(path))
        elif format_name == "iges":
            iges = IGESControl_Writer("MM", 1)  # 1: as solids and shells, not as loose faces
            iges.AddShape(shape)
            iges.Write(str(path))
        else:
            step = STEPControl_Writer()
            step.Transfer(shape, STEPControl_AsIs)
            step.Write(str(path))
        return path.read_bytes()
