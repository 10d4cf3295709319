"""Descriptors of exact structure, for B-reps alone: what v6 adds to v5."""

from __future__ import annotations

import numpy as np

from cadml.features.amounts import counts, shares, totals
from cadml.features.evidence import Evidence
from cadml.features.points import weighted_quantiles
from cadml.features.recognised import LENGTHS, NO_RADIUS, RADII, SHORTEST
from cadml.features.spec import RIGID, Descriptor, Invariance, Slot
from cadml.geometry.part import Convexity, CurveType, Floats, SurfaceType

EXACT = RIGID | {Invariance.REFLECTION, Invariance.SCALE, Invariance.TESSELLATION}
SURFACES = tuple(kind.name.lower() for kind in SurfaceType)
CURVES = tuple(kind.name.lower() for kind in CurveType)
CONVEXITIES = ("concave", "smooth", "convex", "open", "seam")
# Surfaces that bulge or hollow out; planes do neither.
BENT = (SurfaceType.CYLINDER, SurfaceType.CONE, SurfaceType.SPHERE, SurfaceType.TORUS, SurfaceType.BSPLINE)
SENSES = ((-1, "hollow"), (1, "bulging"))
_SENSED = [3 * kind + sense + 1 for kind in BENT for sense, _ in SENSES]
# For adjacency, surfaces in five classes: plane, cylinder, cone, sphere or torus, free.
CLASSES = ("plane", "cylinder", "cone", "round", "free")
_CLASS_OF = np.array([0, 1, 2, 3, 3, 4, 4, 4, 4, 4, 4])
PAIRS = tuple((i, j) for i in range(len(CLASSES)) for j in range(i, len(CLASSES)))


def _slot(name: str, unit: str, meaning: str) -> Slot:
    return Slot(name, unit, meaning, EXACT, 1e-4)


def _areas(evidence: Evidence) -> Floats:
    brep = evidence.brep
    return shares(totals(brep.face_surface, brep.face_area, len(SURFACES)))


def _senses(evidence: Evidence) -> Floats:
    brep = evidence.brep
    sort = 3 * brep.face_surface.astype(np.intp) + brep.face_bend + 1
    areas = totals(sort, brep.face_area, 3 * len(SURFACES))[_SENSED] / brep.face_area.sum()
    return np.concatenate([areas, np.log1p(counts(sort, 3 * len(SURFACES))[_SENSED])])


def _curves(evidence: Evidence) -> Floats:
    brep = evidence.brep
    length = totals(brep.edge_curve, brep.edge_length, len(CURVES))
    return np.concatenate([shares(length), shares(counts(brep.edge_curve, len(CURVES)))])


def _convexity(evidence: Evidence) -> Floats:
    brep = evidence.brep
    kinds = brep.edge_convexity.astype(np.int64) - Convexity.CONCAVE
    number = counts(kinds, len(CONVEXITIES))
    return np.concatenate([shares(totals(kinds, brep.edge_length, len(CONVEXITIES))), np.log1p(number)])


def _adjacency(evidence: Evidence) -> Floats:
    brep = evidence.brep
    one, two = brep.edge_faces.T
    inner = np.flatnonzero((np.minimum(one, two) >= 0) & (one != two))
    sort = _CLASS_OF[brep.face_surface]
    one, two = sort[one[inner]], sort[two[inner]]
    number = counts(np.minimum(one, two) * len(CLASSES) + np.maximum(one, two), len(CLASSES) ** 2)
    return shares(number[[i * len(CLASSES) + j for i, j in PAIRS]])


def _edge_lengths(evidence: Evidence) -> Floats:
    brep = evidence.brep
    if not len(brep.edge_length):
        return np.full(LENGTHS, np.log(SHORTEST))
    scale = np.sqrt(brep.face_area.sum())
    return weighted_quantiles(
        np.log(brep.edge_length / scale + SHORTEST), np.ones(len(brep.edge_length)), LENGTHS
    )


def _radii(evidence: Evidence) -> Floats:
    brep = evidence.brep
    curved = np.isfinite(brep.face_radius) & (brep.face_radius > 0)
    if not brep.face_area[curved].sum() > 0:
        return np.full(RADII, NO_RADIUS)
    radius = np.log(brep.face_radius[curved] / np.sqrt(brep.face_area.sum()))
    return weighted_quantiles(np.maximum(radius, NO_RADIUS), brep.face_area[curved], RADII)


def _loops(evidence: Evidence) -> Floats:
    loops = evidence.brep.face_loops
    inner = np.maximum(loops - 1, 0).sum()
    return np.array([(loops == 1).mean(), (loops == 2).mean(), (loops > 2).mean(), np.log1p(inner)])


def _counts(evidence: Evidence) -> Floats:
    brep = evidence.brep
    return np.log1p([len(brep.face_area), len(brep.edge_length), brep.vertices, brep.wires])


STRUCTURE = (
    Descriptor(
        "exact_surfaces",
        tuple(_slot(f"exact_area_{kind}", "1", f"share of the area on a {kind}") for kind in SURFACES),
        _areas,
    ),
    Descriptor(
        "exact_senses",
        (
            *(
                _slot(
                    f"{sense}_{kind.name.lower()}",
                    "1",
                    f"share of the area that is a {sense} {kind.name.lower()}",
                )
                for kind in BENT
                for _, sense in SENSES
            ),
            *(
                _slot(
                    f"{sense}_{kind.name.lower()}_count",
                    "ln(1+n)",
                    f"faces that are a {sense} {kind.name.lower()}",
                )
                for kind in BENT
                for _, sense in SENSES
            ),
        ),
        _senses,
    ),
    Descriptor(
        "exact_curves",
        (
            *(
                _slot(f"curve_length_{kind}", "1", f"share of edge length that is a {kind}")
                for kind in CURVES
            ),
            *(_slot(f"curve_count_{kind}", "1", f"share of edges that are a {kind}") for kind in CURVES),
        ),
        _curves,
    ),
    Descriptor(
        "exact_convexity",
        (
            *(
                _slot(f"exact_length_{kind}", "1", f"share of edge length that is {kind}")
                for kind in CONVEXITIES
            ),
            *(_slot(f"exact_count_{kind}", "ln(1+n)", f"edges that are {kind}") for kind in CONVEXITIES),
        ),
        _convexity,
    ),
    Descriptor(
        "exact_adjacency",
        tuple(
            _slot(
                f"exact_{CLASSES[i]}_{CLASSES[j]}",
                "1",
                f"share of edges between {CLASSES[i]} and {CLASSES[j]}",
            )
            for i, j in PAIRS
        ),
        _adjacency,
    ),
    Descriptor(
        "exact_edge_lengths",
        tuple(
            _slot(f"exact_edge_{i + 1}", "ln", f"quantile {i + 1} of {LENGTHS} of edge length over √area")
            for i in range(LENGTHS)
        ),
        _edge_lengths,
    ),
    Descriptor(
        "exact_radii",
        tuple(
            _slot(f"exact_radius_{i + 1}", "ln", f"quantile {i + 1} of {RADII} by area of radius over √area")
            for i in range(RADII)
        ),
        _radii,
    ),
    Descriptor(
        "exact_loops",
        (
            _slot("loops_one", "1", "share of faces with one loop"),
            _slot("loops_two", "1", "share of faces with two loops"),
            _slot("loops_more", "1", "share of faces with more loops"),
            _slot("loops_inner", "ln(1+n)", "inner loops (holes and bosses) of all faces"),
        ),
        _loops,
    ),
    Descriptor(
        "exact_counts",
        tuple(
            _slot(f"number_of_{name}", "ln(1+n)", name) for name in ("faces", "edges", "vertices", "wires")
        ),
        _counts,
    ),
)
