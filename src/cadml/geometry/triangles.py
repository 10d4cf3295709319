"""Raw triangles from any mesh format become one clean, measured :class:`Part`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cadml.errors import EmptyFile, MalformedFile, NoSurfaceGeometry
from cadml.geometry.orientation import aligned, is_closed, outward
from cadml.geometry.part import (
    BoundingBox,
    Finding,
    Floats,
    Kind,
    MassProperties,
    Part,
    Severity,
    Tessellation,
    frozen,
)
from cadml.geometry.polygons import Indices
from cadml.geometry.units import MILLIMETRES, UNSTATED

_LARGEST = 1e12  # mm; coordinates beyond are damage, and their products would overflow
_LOST = 0.01  # share of triangles that may be dropped as not finite before the file counts as damaged
_WELD = 1e-6  # of the diagonal: float32 coordinates of one corner differ by about 1e-7 of it
_MAX_VERTICES = 2**31 - 1  # what the int32 indices of a Tessellation reach


@dataclass(frozen=True, slots=True)
class Raw:
    """What a mesh reader found: bodies of vertices ``(V, 3)`` and triangles ``(T, 3)``, in file units."""

    format: str
    bodies: Sequence[tuple[Floats, Indices]]
    unit: str = UNSTATED
    names: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    other_geometry: str = (
        ""  # what else the file holds, such as "lines" or "points", should there be no surface
    )
    started: float = field(default_factory=time.perf_counter)  # when reading began


def part_of(raw: Raw) -> Part:
    """Return the part that the bodies of ``raw`` make up together.

    Raises
    ------
    EmptyFile, NoSurfaceGeometry
        There are no triangles.
    MalformedFile
        Indices point beyond the vertices, or coordinates are not numbers.
    """
    read = time.perf_counter()
    findings = list(raw.findings)
    vertices, triangles = _together(raw)
    vertices, triangles = _finite(vertices * MILLIMETRES[raw.unit], triangles, findings)
    vertices, triangles = _welded(vertices, triangles, findings)
    if not len(triangles):
        raise NoSurfaceGeometry("all triangles of the mesh have no area", format=raw.format)
    triangles = _oriented(vertices, triangles, findings)
    measured = time.perf_counter()
    mass = measure(vertices, triangles)
    if mass.area <= 0:
        raise NoSurfaceGeometry("all triangles of the mesh have no area", format=raw.format)
    return Part(
        kind=Kind.MESH,
        format=raw.format,
        unit=raw.unit,
        unit_in_mm=MILLIMETRES[raw.unit],
        box=BoundingBox.of(vertices),
        mass=mass,
        tessellation=Tessellation(frozen(vertices), frozen(triangles.astype(np.int32))),
        names=raw.names,
        instances=len(raw.bodies),
        findings=tuple(findings),
        seconds={
            "read": read - raw.started,
            "explore": measured - read,
            "measure": time.perf_counter() - measured,
        },
    )


def _together(raw: Raw) -> tuple[Floats, Indices]:
    """Return all bodies as one mesh."""
    if not sum(len(t) for _, t in raw.bodies):
        if raw.other_geometry:
            raise NoSurfaceGeometry(
                f"the file holds only {raw.other_geometry}; export a surface or solid model",
                format=raw.format,
            )
        raise EmptyFile("the file is well-formed but holds no triangles", format=raw.format)
    for vertices, triangles in raw.bodies:
        if len(triangles) and (triangles.min() < 0 or triangles.max() >= len(vertices)):
            wrong = int(triangles.min() if triangles.min() < 0 else triangles.max())
            raise MalformedFile(
                f"a triangle refers to vertex {wrong}, but there are {len(vertices)}",
                format=raw.format,
                index=wrong,
            )
    starts = np.cumsum([0] + [len(v) for v, _ in raw.bodies])
    if starts[-1] > _MAX_VERTICES:
        raise MalformedFile("the mesh has more than 2³¹ vertices", format=raw.format)
    vertices = np.concatenate([np.asarray(v, np.float64) for v, _ in raw.bodies])
    triangles = np.concatenate(
        [np.asarray(t, np.int64) + s for s, (_, t) in zip(starts[:-1], raw.bodies, strict=True)]
    )
    return vertices, triangles


def _finite(vertices: Floats, triangles: Indices, findings: list[Finding]) -> tuple[Floats, Indices]:
    """Drop the triangles whose corners are not numbers, if they are few."""
    good: NDArray[np.bool_] = np.all(np.abs(vertices) <= _LARGEST, axis=1)  # False for NaN too
    keep: NDArray[np.bool_] = np.all(good[triangles], axis=1)
    lost = int(len(keep) - keep.sum())
    if lost > _LOST * len(keep):
        raise MalformedFile(
            f"{lost} of {len(keep)} triangles have corners that are no numbers or absurdly far away",
            lost=lost,
        )
    if lost:
        findings.append(
            Finding(
                "NOT_FINITE",
                Severity.SUSPECT,
                f"dropped {lost} triangles whose corners are no usable numbers",
            )
        )
    return vertices, triangles[keep]


def _welded(vertices: Floats, triangles: Indices, findings: list[Finding]) -> tuple[Floats, Indices]:
    """Merge equal vertices, drop triangles that this leaves without area and those given twice."""
    given = len(triangles)
    points, mesh = _merged(vertices, triangles, vertices)
    if not is_closed(mesh):
        # Rounded coordinates can keep a closed surface open: weld coarser, but only if that closes it.
        step = _WELD * BoundingBox.of(points).diagonal
        coarse_points, coarse = _merged(points, mesh, np.round(points / step)) if step > 0 else (points, mesh)
        if is_closed(coarse):
            findings.append(
                Finding(
                    "WELDED",
                    Severity.REPAIRED,
                    f"corners within {step:.2g} mm were joined to close the surface",
                )
            )
            points, mesh = coarse_points, coarse
    mesh = mesh[(mesh[:, 0] != mesh[:, 1]) & (mesh[:, 1] != mesh[:, 2]) & (mesh[:, 2] != mesh[:, 0])]
    if len(mesh) < given:
        findings.append(
            Finding(
                "DEGENERATE", Severity.NOTE, f"dropped {given - len(mesh)} triangles with two equal corners"
            )
        )
    return _without_doubles(points, mesh, findings)


def _merged(vertices: Floats, triangles: Indices, keys: Floats) -> tuple[Floats, Indices]:
    """Merge the vertices in use whose ``keys (V, 3)`` are equal; order and choice follow the file."""
    used = np.zeros(len(vertices), bool)
    used[triangles] = True
    used_keys = keys[used] + 0.0  # -0.0 becomes 0.0
    order = np.lexsort(used_keys.T)  # stable: of equal ones, the first in the file leads
    ordered = used_keys[order]
    leads = np.ones(len(order), bool)
    leads[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    leader = np.empty(len(order), np.int64)
    leader[order] = order[np.flatnonzero(leads)[np.cumsum(leads) - 1]]
    is_leader = leader == np.arange(len(leader))
    number = (np.cumsum(is_leader) - 1)[leader]
    renumber = np.zeros(len(vertices), np.int64)
    renumber[used] = number
    return vertices[used][is_leader], renumber[triangles]


def _without_doubles(vertices: Floats, triangles: Indices, findings: list[Finding]) -> tuple[Floats, Indices]:
    first = triangles.argmin(axis=1)
    turned = triangles[np.arange(len(triangles))[:, None], (first[:, None] + np.arange(3)) % 3]
    _, kept = np.unique(turned, axis=0, return_index=True)
    if len(kept) < len(triangles):
        doubles = len(triangles) - len(kept)
        findings.append(
            Finding(
                "DOUBLE_TRIANGLES",
                Severity.REPAIRED,
                f"dropped {doubles} triangles that the file gives twice",
            )
        )
        return _merged(vertices, triangles[np.sort(kept)], vertices)
    return vertices, triangles


def _oriented(vertices: Floats, triangles: Indices, findings: list[Finding]) -> Indices:
    """Make the triangles look outward where the surface is closed or can be made consistent."""
    if not is_closed(triangles):
        turned = aligned(triangles)
        if not is_closed(turned):
            findings.append(
                Finding("OPEN_SURFACE", Severity.NOTE, "the surface is not closed, so it has no volume")
            )
            return triangles
        changed = min((turned != triangles).any(axis=1).sum(), (turned == triangles).all(axis=1).sum())
        findings.append(
            Finding("WINDING", Severity.REPAIRED, f"turned {changed} triangles that faced the wrong way")
        )
        triangles = turned
    turned = outward(vertices, triangles)
    if (turned != triangles).any():
        findings.append(Finding("INSIDE_OUT", Severity.REPAIRED, "turned bodies that were inside out"))
    return turned


def measure(vertices: Floats, triangles: Indices) -> MassProperties:
    """Return the integrals over ``triangles (T, 3)`` by the divergence theorem, exact for the mesh.

    Volume and inertia are None unless the surface is closed and encloses something.
    """
    middle = (vertices.min(axis=0) + vertices.max(axis=0)) / 2  # near the origin, differences lose least
    a, b, c = (vertices[triangles[:, k]] - middle for k in range(3))
    areas = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    area = float(areas.sum())
    if is_closed(triangles):
        six = np.einsum("ij,ij->i", a, np.cross(b, c))  # six times each tetrahedron's volume
        volume = float(six.sum()) / 6
        if volume > 1e-12 * area**1.5:  # two-sided sheets are closed but enclose nothing
            total = a + b + c
            centre = np.einsum("i,ij->j", six, total) / 24 / volume
            second = np.einsum("i,ij,ik->jk", six, total, total)
            second += sum(np.einsum("i,ij,ik->jk", six, p, p) for p in (a, b, c))
            second = second / 120 - volume * np.outer(centre, centre)
            inertia = np.trace(second) * np.eye(3) - second
            return MassProperties(area, frozen(centre + middle), volume, frozen((inertia + inertia.T) / 2))
    centre = areas @ (a + b + c) / 3 / area if area > 0 else np.zeros(3)
    return MassProperties(area, frozen(centre + middle), None, None)
