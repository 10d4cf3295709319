"""Faces and edges of a shape in the fixed order that numbers them everywhere."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from OCP.BRep import BRep_Builder, BRep_Tool
from OCP.collections import (
    IndexedDataMap_TopoDS_Shape_List_TopoDS_Shape_TopTools_ShapeMapHasher as AncestorMap,
)
from OCP.collections import IndexedMap_TopoDS_Shape_TopTools_ShapeMapHasher as ShapeMap
from OCP.collections import List_TopoDS_Shape
from OCP.TopAbs import TopAbs_Orientation, TopAbs_ShapeEnum
from OCP.TopExp import TopExp
from OCP.TopoDS import TopoDS, TopoDS_Compound, TopoDS_Edge, TopoDS_Face, TopoDS_Shape

from cadml.geometry.part import Ints, frozen

FACE = TopAbs_ShapeEnum.TopAbs_FACE
EDGE = TopAbs_ShapeEnum.TopAbs_EDGE

# Numbers are compared: the kernel's enumerations take five times as long to tell whether two are equal.
REVERSED: int = TopAbs_Orientation.TopAbs_REVERSED.value


@dataclass(frozen=True, slots=True)
class Topology:
    """A shape's F distinct faces and E distinct edges; degenerate edges are left out.

    The same body placed twice counts twice. An edge's own orientation is the one it has in the
    first of its faces, so its direction keeps that face's material on the left, seen from outside.
    """

    shape: TopoDS_Shape
    faces: list[TopoDS_Face]
    face_reversed: NDArray[np.bool_]  # (F,) the outward normal opposes the surface's own
    edges: list[TopoDS_Edge]
    edge_reversed: NDArray[np.bool_]  # (E,) in its first face
    edge_faces: Ints  # (E, 2) first and last face; -1 where there is none
    edge_uses: Ints  # (E,) how often faces use the edge: 1 at an open border, 2 inside a shell or at a seam

    @property
    def is_closed(self) -> bool:
        """Whether no edge lies at an open border."""
        return bool((self.edge_uses >= 2).all())

    @classmethod
    def of(cls, shape: TopoDS_Shape) -> Topology:
        """Return the topology of ``shape``."""
        face_map = mapped(shape, FACE)
        faces = [TopoDS.Face(face) for face in keys(face_map)]
        ancestors = AncestorMap()
        TopExp.MapShapesAndAncestors_s(shape, EDGE, FACE, ancestors)
        edges, orientations, uses = [], [], []
        pairs: list[int] = []  # first and last face of each edge
        key, find, number = ancestors.FindKey, ancestors.FindFromKey, face_map.FindIndex
        users = List_TopoDS_Shape()  # a copy for each edge; the map's own lists take longer to hand out
        for i in range(1, ancestors.Extent() + 1):
            edge = TopoDS.Edge(key(i))
            if BRep_Tool.Degenerated_s(edge):
                continue
            find(edge, users)
            count = users.Size()
            if not count:  # a free wire beside the faces
                continue
            edges.append(edge)
            orientations.append(edge.Orientation().value)
            pairs += (number(users.First()) - 1, number(users.Last()) - 1 if count > 1 else -1)
            uses.append(count)
        return cls(
            shape=shape,
            faces=faces,
            face_reversed=np.array([face.Orientation().value for face in faces], dtype=np.int8) == REVERSED,
            edges=edges,
            edge_reversed=np.array(orientations, dtype=np.int8) == REVERSED,
            edge_faces=frozen(np.array(pairs, dtype=np.int32).reshape(-1, 2)),
            edge_uses=frozen(np.array(uses, dtype=np.int32)),
        )


def mapped(shape: TopoDS_Shape, kind: TopAbs_ShapeEnum) -> ShapeMap:
    """Return every distinct part of ``kind``, placed; keys count from 1."""
    found = ShapeMap()
    TopExp.MapShapes_s(shape, kind, found)
    return found


def count(shape: TopoDS_Shape, kind: TopAbs_ShapeEnum) -> int:
    """Return how many distinct parts of ``kind`` the shape has."""
    return int(mapped(shape, kind).Extent())


def keys(found: ShapeMap) -> list[TopoDS_Shape]:
    """Return what the map holds, in order."""
    # Iterating a kernel map from Python costs 150 µs a step, asking it by index 1 µs.
    return [found.FindKey(i) for i in range(1, found.Extent() + 1)]


def bundle(shapes: Iterable[TopoDS_Shape]) -> TopoDS_Compound:
    """Return one shape that holds all of ``shapes``."""
    builder, compound = BRep_Builder(), TopoDS_Compound()
    builder.MakeCompound(compound)
    for shape in shapes:
        builder.Add(compound, shape)
    return compound
