"""The words of geometry: what a file becomes once it has been read.

Lengths are millimetres, angles radians, areas mm², volumes mm³. Arrays are read-only. A
:class:`Part` holds no kernel handle: it crosses process borders, is stored compressed
(:mod:`cadml.geometry.codec`), and is all that descriptors ever see.

Glossary: a **B-rep** bounds **solids** by **faces** that meet in **edges**; under a face lies a
**surface**, under an edge a **curve**; a **loop** (wire) is a closed chain of edges round a face.
A **tessellation** is the mesh of an exact shape; a **mesh** arrived as triangles.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]


class Kind(StrEnum):
    """What a part is made of."""

    BREP = "brep"
    MESH = "mesh"
    DRAWING = "drawing"


class Severity(StrEnum):
    """How far a finding puts the numbers in doubt."""

    NOTE = "note"
    REPAIRED = "repaired"
    SUSPECT = "suspect"


class SurfaceType(IntEnum):
    """The surface under a face; the values are stored, so they never change."""

    PLANE = 0
    CYLINDER = 1
    CONE = 2
    SPHERE = 3
    TORUS = 4
    BEZIER = 5
    BSPLINE = 6
    REVOLUTION = 7
    EXTRUSION = 8
    OFFSET = 9
    OTHER = 10


class CurveType(IntEnum):
    """The curve under an edge; the values are stored, so they never change."""

    LINE = 0
    CIRCLE = 1
    ELLIPSE = 2
    HYPERBOLA = 3
    PARABOLA = 4
    BEZIER = 5
    BSPLINE = 6
    OFFSET = 7
    OTHER = 8


class Convexity(IntEnum):
    """How two faces meet along an edge, seen from outside the material."""

    CONCAVE = -1
    SMOOTH = 0
    CONVEX = 1
    OPEN = 2  # one face only, or no outside is defined
    SEAM = 3  # a face meets itself, as on a full cylinder


@dataclass(frozen=True, slots=True)
class Finding:
    """Something noteworthy that did not prevent the part from being read."""

    code: str
    severity: Severity
    message: str
    where: str = ""


@dataclass(frozen=True, slots=True)
class BoundingBox:
    """The smallest axis-parallel box round the geometry, ``(3,) float64, mm`` each corner."""

    minimum: Floats
    maximum: Floats

    @classmethod
    def of(cls, points: Floats) -> Self:
        """Return the box round ``points (N, D) float64, mm``, D 2 or 3 (then z = 0)."""
        if not len(points):
            raise ValueError("an empty set of points has no bounding box")
        corners = np.zeros((2, 3))
        corners[0, : points.shape[1]] = points.min(axis=0)
        corners[1, : points.shape[1]] = points.max(axis=0)
        return cls(frozen(corners[0]), frozen(corners[1]))

    @property
    def extents(self) -> Floats:
        """Edge lengths along x, y, z: ``(3,) float64, mm``."""
        return self.maximum - self.minimum

    @property
    def diagonal(self) -> float:
        """Length of the space diagonal, mm."""
        return float(np.linalg.norm(self.extents))


@dataclass(frozen=True, slots=True)
class MassProperties:
    """Integrals over the solid; ``volume`` and ``inertia`` are None unless the surface is closed.

    ``centroid`` and ``inertia`` are those of the volume where it is closed, else the centroid is
    that of the area. Density 1: inertia is ``(3, 3) float64, mm⁵`` about the centroid.
    """

    area: float
    centroid: Floats
    volume: float | None
    inertia: Floats | None

    @property
    def is_closed(self) -> bool:
        """Whether the surface encloses a volume."""
        return self.volume is not None


@dataclass(frozen=True, slots=True)
class BRep:
    """Exact structure: F faces, E edges. Degenerate edges (a cone's apex) are left out."""

    face_surface: NDArray[np.int8]  # (F,) SurfaceType
    face_area: Floats  # (F,) mm²
    face_loops: Ints  # (F,) closed wires bounding the face
    face_radius: Floats  # (F,) mm: cylinder, sphere; torus: minor; cone: at mid-height; else NaN
    face_bend: NDArray[np.int8]  # (F,) +1 bulges out of the material, -1 hollow (a hole), 0 flat or mixed
    edge_curve: NDArray[np.int8]  # (E,) CurveType
    edge_length: Floats  # (E,) mm
    edge_convexity: NDArray[np.int8]  # (E,) Convexity
    edge_angle: Floats  # (E,) rad, between outward normals at the middle: + convex, - concave, else NaN
    edge_faces: Ints  # (E, 2) face indices; -1 where open; both alike on a seam
    solids: int
    shells: int
    wires: int
    vertices: int


@dataclass(frozen=True, slots=True)
class Tessellation:
    """Triangles, outward by the right-hand rule where the part is closed."""

    vertices: Floats  # (V, 3) mm
    triangles: Ints  # (T, 3)
    face_of_triangle: Ints | None = None  # (T,) index into BRep faces
    linear_deflection: float | None = None  # mm; None for a mesh that arrived as triangles
    angular_deflection: float | None = None  # rad
    face_colour: NDArray[np.uint8] | None = None  # (F, 4) RGBA; alpha 0: the file states none


@dataclass(frozen=True, slots=True)
class Drawing:
    """A flat drawing with its blocks unfolded: E entities, S straight segments."""

    entity_kind: tuple[str, ...]  # (E,) DXF entity type of each visible model-space entity
    entity_layer: Ints  # (E,) index into layers
    layers: tuple[str, ...]
    segments: Floats  # (S, 2, 2) mm; curves flattened within segment_tolerance
    segment_entity: Ints  # (S,) index into entities
    segment_tolerance: float  # mm
    texts: tuple[str, ...]
    dimensions: Floats  # (D,) measured values of dimension entities, mm (linear) or rad (angular)
    surface_entities: int  # 3DFACE, MESH, POLYFACE, SURFACE, REGION, 3DSOLID, BODY, SOLID, TRACE


@dataclass(frozen=True, slots=True)
class Part:
    """What one file says, in millimetres; ``structure`` is what only some formats tell."""

    kind: Kind
    format: str
    unit: str  # as declared: "mm", "inch", …; "unstated" where the format cannot say or the file does not
    unit_in_mm: float  # what one declared unit was multiplied by
    box: BoundingBox
    mass: MassProperties | None = None
    brep: BRep | None = None
    tessellation: Tessellation | None = None
    drawing: Drawing | None = None
    names: tuple[str, ...] = ()  # product or body names the file states
    instances: int = 1  # placed bodies or meshes
    findings: tuple[Finding, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)  # where time went: read, transfer, measure, …


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """Return ``array``, contiguous and read-only."""
    array = np.ascontiguousarray(array)
    array.setflags(write=False)
    return array
