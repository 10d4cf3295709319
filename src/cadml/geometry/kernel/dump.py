"""BREP files: the kernel's own dump of a shape, as text or binary."""

from __future__ import annotations

import re
from pathlib import Path
from time import perf_counter

from OCP.BinTools import BinTools
from OCP.BRep import BRep_Builder
from OCP.BRepTools import BRepTools
from OCP.TopoDS import TopoDS_Shape

from cadml.errors import EmptyFile, MalformedFile, TruncatedFile
from cadml.geometry.kernel.exchange import Loaded
from cadml.geometry.kernel.failures import FAILURES
from cadml.geometry.units import UNSTATED

_BINARY = b"Open CASCADE Topology V"
_TEXT = b"CASCADE Topology V"
_SHAPES = re.compile(rb"\nTShapes (\d+)\s")
_ROOT = re.compile(rb"\*\s+[+-]\d+ \d+\s*$")


def load_brep(path: Path) -> Loaded:
    """Return the shape in a BREP file; its numbers are taken as millimetres.

    Raises
    ------
    EmptyFile, TruncatedFile, MalformedFile
    """
    begin = perf_counter()
    data = path.read_bytes()
    if not data.strip():
        raise EmptyFile("the file holds no bytes")
    is_binary = _BINARY in data[:64]
    if not is_binary:
        _require_end(data)
    start = perf_counter()
    shape = TopoDS_Shape()
    try:
        if is_binary:
            read = BinTools.Read_s(shape, str(path))
        else:
            read = BRepTools.Read_s(shape, str(path), BRep_Builder())
    except FAILURES as failure:
        raise MalformedFile("the file breaks the format of BREP, or ends too early") from failure
    if read is False or shape.IsNull():
        raise MalformedFile("the file breaks the format of BREP, or ends too early")
    return Loaded(shape, UNSTATED, 1.0, {"explore": start - begin, "read": perf_counter() - start})


def _require_end(data: bytes) -> None:
    """Refuse a text that ends early: the kernel would wait for more of it for ever."""
    if _TEXT not in data[:256]:
        raise MalformedFile("the file does not begin as a BREP file does")
    shapes = _SHAPES.search(data)
    told = shapes is not None and data.count(b"*", shapes.end()) >= int(shapes[1])
    if not told or not _ROOT.search(data, max(0, len(data) - 200)):
        raise TruncatedFile("the BREP file ends before all its shapes are told")
