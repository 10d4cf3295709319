"""How much an assembly comes to once every instance stands at its place, counted without placing any.

Each level of a nested assembly may use the one below several times: 25 levels of two, in 60 KB, are
33 million bodies. The kernel would place them one by one.
"""

from __future__ import annotations

import re
from graphlib import CycleError, TopologicalSorter
from typing import Any

from OCP.TopoDS import TopoDS_Iterator, TopoDS_Shape

from cadml.errors import FileTooLarge, MalformedFile
from cadml.geometry.kernel.bodies import COMPOUND
from cadml.geometry.kernel.topology import FACE, count

# A face of the simplest kind takes 0.16 ms and 4 KB: these fill 50 s of the usual limit of 120 s.
LARGEST = 300_000
_WORD = b"NEXT_ASSEMBLY_USAGE_OCCURRENCE"
_USAGE = re.compile(_WORD + rb"\s*\(([^;]*);")
_STRING = re.compile(rb"'[^']*'")
_REFERENCE = re.compile(rb"#(\d+)")


def require_placeable(data: bytes) -> None:
    """Refuse a STEP text whose assemblies place more components than can be described.

    Raises
    ------
    FileTooLarge, MalformedFile
        There are too many, or an assembly contains itself.
    """
    if _WORD not in data:
        return
    children: dict[bytes, list[bytes]] = {}
    for usage in _USAGE.finditer(data):
        names = _REFERENCE.findall(_STRING.sub(b"", usage[1]))
        if len(names) >= 2:  # the assembly, then the component
            children.setdefault(names[0], []).append(names[1])
    try:
        order = list(TopologicalSorter(children).static_order())  # components before their assemblies
    except CycleError as error:
        raise MalformedFile("an assembly of the STEP file contains itself") from error
    leaves: dict[bytes, int] = {}
    for name in order:
        leaves[name] = sum(leaves[child] for child in children[name]) if name in children else 1
    _judge(max(leaves.values(), default=0), "components")


def placed_faces(shape: TopoDS_Shape) -> int:
    """Return how many faces ``shape`` has, those of each instance counted.

    Raises
    ------
    FileTooLarge
        There are more than can be described.
    """
    faces: dict[Any, int] = {}  # by what all instances of a body share
    pending = [shape]
    while pending:
        whole = pending[-1]
        body = whole.TShape()
        if whole.ShapeType() != COMPOUND:
            faces.setdefault(body, count(whole, FACE))
        parts = _children(whole) if body not in faces else []
        waiting = [part for part in parts if part.TShape() not in faces]
        if waiting:
            pending += waiting
            continue
        faces.setdefault(body, sum(faces[part.TShape()] for part in parts))
        pending.pop()
    _judge(faces[shape.TShape()], "faces")
    return faces[shape.TShape()]


def _children(whole: TopoDS_Shape) -> list[TopoDS_Shape]:
    walk, found = TopoDS_Iterator(whole), []
    while walk.More():
        found.append(walk.Value())
        walk.Next()
    return found


def _judge(number: int, what: str) -> None:
    if number > LARGEST:
        shown = f"{number:,}" if number < 10**15 else "more than 10¹⁵"
        raise FileTooLarge(
            f"the file places {shown} {what}, and {LARGEST:,} can be described; send its parts one by one",
            limit=LARGEST,
        )
