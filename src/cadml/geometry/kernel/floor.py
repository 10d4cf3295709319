"""What the kernel alone needs for a file: the time below which no reader on this kernel can go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from OCP.Bnd import Bnd_Box
from OCP.BRep import BRep_Builder
from OCP.BRepBndLib import BRepBndLib
from OCP.BRepGProp import BRepGProp
from OCP.BRepMesh import BRepMesh_IncrementalMesh
from OCP.BRepTools import BRepTools
from OCP.GProp import GProp_GProps
from OCP.IGESControl import IGESControl_Reader
from OCP.STEPControl import STEPControl_Reader
from OCP.TopoDS import TopoDS_Shape

from cadml.geometry.kernel.tessellate import ANGULAR, LINEAR


def floor(path: str, format_name: str) -> dict[str, float]:
    """Return the seconds of the kernel's four steps: read, transfer, measure, tessellate.

    No structure is explored, no colour kept, no finding looked for, nothing is described.
    """
    marks = [perf_counter()]
    transfer = _READ[format_name](path)
    marks.append(perf_counter())
    shape = transfer()
    marks.append(perf_counter())
    area, volume, box = GProp_GProps(), GProp_GProps(), Bnd_Box()
    BRepGProp.SurfaceProperties_s(shape, area)
    BRepGProp.VolumeProperties_s(shape, volume)
    BRepBndLib.Add_s(shape, box)
    marks.append(perf_counter())
    size = box.CornerMin().Distance(box.CornerMax())
    BRepMesh_IncrementalMesh(shape, LINEAR * size, False, ANGULAR, False)  # noqa: FBT003 - the kernel's order
    marks.append(perf_counter())
    steps = ("read", "transfer", "measure", "tessellate")
    return {step: marks[i + 1] - marks[i] for i, step in enumerate(steps)}


def _exchange(reader: STEPControl_Reader | IGESControl_Reader, path: str) -> Callable[[], TopoDS_Shape]:
    reader.ReadFile(path)

    def transfer() -> TopoDS_Shape:
        reader.TransferRoots()
        return reader.OneShape()

    return transfer


def _brep(path: str) -> Callable[[], TopoDS_Shape]:
    shape = TopoDS_Shape()
    BRepTools.Read_s(shape, str(Path(path)), BRep_Builder())
    return lambda: shape


_READ: dict[str, Callable[[str], Callable[[], TopoDS_Shape]]] = {
    "step": lambda path: _exchange(STEPControl_Reader(), path),
    "iges": lambda path: _exchange(IGESControl_Reader(), path),
    "brep": _brep,
}
