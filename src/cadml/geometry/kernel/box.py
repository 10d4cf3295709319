"""The exact axis-parallel box."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from OCP.Bnd import Bnd_Box
from OCP.BRepBndLib import BRepBndLib

from cadml.geometry.kernel.topology import Topology
from cadml.geometry.part import BoundingBox, BRep, CurveType, Floats, SurfaceType, Tessellation, frozen
from cadml.geometry.vectors import run_starts, taken

# Whether the kernel finds the exact box of a surface and of a curve, by their types.
_IS_EXACT_SURFACE = np.zeros(len(SurfaceType), dtype=np.bool_)
_IS_EXACT_SURFACE[
    [SurfaceType.PLANE, SurfaceType.CYLINDER, SurfaceType.CONE, SurfaceType.SPHERE, SurfaceType.TORUS]
] = True
_IS_EXACT_CURVE = np.zeros(len(CurveType), dtype=np.bool_)
_IS_EXACT_CURVE[[CurveType.LINE, CurveType.CIRCLE, CurveType.ELLIPSE]] = True


def box_of(topology: Topology, mesh: Tessellation, brep: BRep) -> BoundingBox:
    """Return the box round all faces: exact, but for free-form faces within twice the mesh's deflection.

    The mesh says which faces can reach furthest; the kernel is asked for those alone, and not for
    free-form ones, whose exact box takes it longer than their mesh. A torus takes it 15 ms: it is asked
    only for one that sticks out of all else, as no fillet does.
    """
    assert mesh.face_of_triangle is not None
    low, high = _mesh_boxes(mesh, len(topology.faces))
    bottom, top = low.min(axis=0), high.max(axis=0)
    reach = 2 * (mesh.linear_deflection or 0.0)
    furthest = ((low <= bottom + reach) | (high >= top - reach)).any(axis=1)
    exact, asked = Bnd_Box(), furthest & _has_exact_box(brep)
    is_torus = brep.face_surface == SurfaceType.TORUS
    for index in np.flatnonzero(asked & ~is_torus):
        BRepBndLib.AddOptimal_s(topology.faces[index], exact, False, False)  # noqa: FBT003 — kernel
    for index in np.flatnonzero(asked & is_torus):
        if exact.IsVoid() or _sticks_out(exact, low[index], high[index], 1e-3 * reach):
            BRepBndLib.AddOptimal_s(topology.faces[index], exact, False, False)  # noqa: FBT003 — kernel
    if not exact.IsVoid():
        exact.SetGap(0.0)
        # Where the kernel's box of a face turns out loose, the mesh knows better.
        bottom = np.clip(exact.CornerMin().Coord(), bottom - reach, bottom)
        top = np.clip(exact.CornerMax().Coord(), top, top + reach)
    return BoundingBox(frozen(bottom), frozen(top))


def _sticks_out(box: Bnd_Box, low: Floats, high: Floats, slack: float) -> bool:
    below = low < np.array(box.CornerMin().Coord()) - slack
    return bool((below | (high > np.array(box.CornerMax().Coord()) + slack)).any())


def _has_exact_box(brep: BRep) -> NDArray[np.bool_]:
    exact = _IS_EXACT_SURFACE[brep.face_surface]
    beside = brep.edge_faces[~_IS_EXACT_CURVE[brep.edge_curve]]
    exact[beside[beside >= 0]] = False
    return exact


def _mesh_boxes(mesh: Tessellation, faces: int) -> tuple[Floats, Floats]:
    """Return the corners ``(F, 3)`` of each face's own box; a face without triangles has none (±inf)."""
    assert mesh.face_of_triangle is not None
    low = np.full((faces, 3), np.inf)
    high = -low
    starts = run_starts(mesh.face_of_triangle)  # triangles lie face by face
    if len(starts):
        corners = taken(mesh.vertices, mesh.triangles).T  # by component, corner and triangle
        owners = mesh.face_of_triangle[starts]
        low[owners] = np.minimum.reduceat(corners.min(axis=1), starts, axis=1).T
        high[owners] = np.maximum.reduceat(corners.max(axis=1), starts, axis=1).T
    return low, high
