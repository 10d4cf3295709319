"""Version d1: what a flat drawing looks like, however it lies on the sheet.

Points lie evenly along the drawn length; all distributions are taken from distances and from angles
between directions, so turning, shifting or mirroring the drawing changes nothing but rounding.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from cadml.errors import UndefinedFeature
from cadml.features.evidence import Evidence
from cadml.features.points import quantiles
from cadml.features.spec import RIGID, Descriptor, Invariance, Slot
from cadml.geometry.part import Drawing, Floats

PLANAR = RIGID | {Invariance.REFLECTION}
FREE = PLANAR | {Invariance.SCALE}
WELD = 1e-6  # of the drawing's size: ends nearer than this meet
DISTANCE_CLASSES = 4
FOLDS = (2, 4, 6, 8)  # symmetries of the directions: 2 one main direction, 4 right angles, 6 hexagons

KINDS = {
    "line": {"LINE", "MLINE", "RAY", "XLINE"},
    "polyline": {"LWPOLYLINE", "POLYLINE"},
    "arc": {"ARC"},
    "circle": {"CIRCLE"},
    "curve": {"ELLIPSE", "SPLINE", "HELIX"},
    "text": {"TEXT", "MTEXT", "ATTRIB", "ATTDEF"},
    "note": {"DIMENSION", "ARC_DIMENSION", "LEADER", "MULTILEADER", "MLEADER", "TOLERANCE"},
    "filling": {"HATCH", "MPOLYGON", "SOLID", "TRACE", "3DFACE", "MESH", "REGION"},
}
KIND_NAMES = (*KINDS, "other")
_KIND_OF = {entity: index for index, kinds in enumerate(KINDS.values()) for entity in kinds}


def _drawing(evidence: Evidence) -> Drawing:
    drawing = evidence.part.drawing
    if drawing is None:
        raise UndefinedFeature("this part is no drawing")
    return drawing


def _kinds(drawing: Drawing) -> NDArray[np.int64]:
    other = len(KINDS)
    return np.array([_KIND_OF.get(kind, other) for kind in drawing.entity_kind], dtype=np.int64)


def _mix(evidence: Evidence) -> Floats:
    drawing, count = _drawing(evidence), len(KIND_NAMES)
    kinds = _kinds(drawing)
    number = np.bincount(kinds, minlength=count) / max(len(kinds), 1)
    line = evidence.linework
    drawn = np.bincount(kinds[drawing.segment_entity], line.length, count) / line.total
    return np.concatenate([number, drawn])


def _counts(evidence: Evidence) -> Floats:
    drawing = _drawing(evidence)
    amounts = (len(drawing.entity_kind), len(drawing.layers), len(drawing.texts), len(drawing.dimensions))
    return np.log1p(np.array(amounts, dtype=np.float64))


def _proportions(evidence: Evidence) -> Floats:
    line = evidence.linework
    minor, major = np.linalg.eigvalsh(line.position.T @ line.position)
    return np.array([np.sqrt(max(minor, 0.0) / major), np.log(line.total / line.radius)])


def _directions(evidence: Evidence) -> Floats:
    line = evidence.linework
    angle = np.arctan2(line.direction[:, 1], line.direction[:, 0])
    return np.array([abs((line.length * np.exp(1j * fold * angle)).sum()) / line.total for fold in FOLDS])


def _alignment(evidence: Evidence) -> Floats:
    line = evidence.linework
    near_to_far = np.array_split(np.argsort(line.pair_distance, kind="stable"), DISTANCE_CLASSES)
    aligned = line.pair_alignment
    return np.concatenate([quantiles(aligned[chosen], 6) for chosen in near_to_far])


def _lengths(evidence: Evidence) -> Floats:
    drawing, line = _drawing(evidence), evidence.linework
    length = np.bincount(drawing.segment_entity, line.length, len(drawing.entity_kind))
    return quantiles(np.log(length[length > 0] / line.radius), 8)


def _corners(ends: Floats, reach: float) -> NDArray[np.int64]:
    """Return which corner each of ``ends (N, 2)`` belongs to; ends nearer than ``reach`` meet."""
    grid = np.round((ends - ends.mean(axis=0)) / reach)
    _, first, cell = np.unique(grid[:, 0] + 1j * grid[:, 1], return_index=True, return_inverse=True)
    # Rounding parts near ends that lie on both sides of a cell's border; the tree finds them again.
    near = KDTree(ends[first]).query_pairs(reach, output_type="ndarray")
    graph = coo_array((np.ones(len(near), dtype=bool), near.T), shape=(len(first), len(first)))
    corner: NDArray[np.int64] = connected_components(graph, directed=False)[1][cell.ravel()].astype(np.int64)
    return corner


def _meetings(evidence: Evidence) -> Floats:
    line = evidence.linework
    corner = _corners(np.concatenate([line.start, line.end]), WELD * line.radius)
    corners, segments = int(corner.max()) + 1, len(line.length)
    graph = coo_array(
        (np.ones(segments, dtype=bool), (corner[:segments], corner[segments:])), shape=(corners, corners)
    )
    pieces = connected_components(graph, directed=False)[0]
    used = np.bincount(corner)
    loops = segments - corners + pieces
    return np.log1p(np.array([pieces, loops, (used == 1).sum(), (used > 2).sum()], dtype=np.float64))


def _run(name: str, count: int, unit: str, meaning: str, tolerance: float) -> tuple[Slot, ...]:
    return tuple(
        Slot(f"{name}_{i}", unit, meaning.format(i=i, n=count), FREE, tolerance) for i in range(1, count + 1)
    )


def _named(prefix: str, names: tuple[str, ...], unit: str, meaning: str) -> tuple[Slot, ...]:
    return tuple(Slot(f"{prefix}_{name}", unit, meaning.format(name=name), FREE, 1e-3) for name in names)


DRAWING = (
    Descriptor(
        "mix",
        _named("entities", KIND_NAMES, "1", "share of the entities that are of kind {name}")
        + _named("drawn", KIND_NAMES, "1", "share of the drawn length in entities of kind {name}"),
        _mix,
    ),
    Descriptor(
        "counts",
        _named("count", ("entities", "layers", "texts", "dimensions"), "ln(1+n)", "number of {name}"),
        _counts,
    ),
    Descriptor(
        "proportions",
        (
            Slot("slenderness", "1", "lesser over greater spread of the lines", FREE, 0.02),
            Slot("ink", "ln", "drawn length over the radius of gyration", FREE, 0.02),
        ),
        _proportions,
    ),
    Descriptor(
        "size",
        (Slot("size", "ln mm", "logarithm of the lines' radius of gyration", PLANAR, 0.02),),
        lambda e: np.array([np.log(e.linework.radius)]),
    ),
    Descriptor(
        "directions",
        tuple(
            Slot(f"fold_{fold}", "1", f"how far line directions repeat every {360 // fold}°", FREE, 0.02)
            for fold in FOLDS
        ),
        _directions,
    ),
    Descriptor(
        "d1",
        _run(
            "d1", 12, "1", "quantile {i} of {n} of a point's distance to the centre, in gyration radii", 0.05
        ),
        lambda e: quantiles(np.linalg.norm(e.linework.position, axis=1) / e.linework.radius, 12),
        "after Osada et al. 2002",
    ),
    Descriptor(
        "d2",
        _run("d2", 16, "1", "quantile {i} of {n} of the distance of two points, in gyration radii", 0.05),
        lambda e: quantiles(e.linework.pair_distance, 16),
        "after Osada et al. 2002",
    ),
    Descriptor(
        "alignment",
        _run(
            "aligned", 24, "1", "|cosine| between two points' lines; 6 quantiles each, near to far pairs", 0.1
        ),
        _alignment,
    ),
    Descriptor(
        "lengths",
        _run(
            "length", 8, "ln", "quantile {i} of {n} of an entity's length over the radius of gyration", 0.05
        ),
        _lengths,
    ),
    Descriptor(
        "meetings",
        _named("number", ("pieces", "loops", "free_ends", "branchings"), "ln(1+n)", "{name} of the linework"),
        _meetings,
    ),
)
