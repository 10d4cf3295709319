"""Descriptors of the faces and edges recognised on triangles (see :mod:`cadml.features.recognition`)."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from cadml.features.amounts import counts, shares, totals
from cadml.features.evidence import Evidence
from cadml.features.points import weighted_quantiles
from cadml.features.recognition import TANGENT, Bend, Recognised
from cadml.features.shape import SHAPE
from cadml.features.spec import Descriptor, Slot
from cadml.geometry.part import Floats

BENDS = tuple(bend.name.lower() for bend in Bend)
CONVEXITIES = ("concave", "tangent", "convex")
NO_RADIUS = -6.0  # ln of radius over √area where nothing is curved: smaller than any real one
LARGEST_RADIUS = 3.0
SHORTEST = 1e-3  # of √area: edges below this are all "short"
FACES_SUMMED = 12
RADII = 8
LENGTHS = 12
# Classes of the angle between two faces: finer where CAD parts have their edges (45°, 60°, 90°, 120°).
TURNS = np.array([-np.pi, -2, -1.2, -0.7, -0.4, -0.1, -0.02, 0.02, 0.1, 0.4, 0.7, 1.2, 2, np.pi])


def _slot(name: str, unit: str, meaning: str) -> Slot:
    return Slot(name, unit, meaning, SHAPE, 0.2)


def _surfaces(evidence: Evidence) -> Floats:
    faces = evidence.recognised
    return shares(totals(faces.strip_bend, faces.strip_area, len(Bend)))


def _face_counts(evidence: Evidence) -> Floats:
    return np.log1p(counts(evidence.recognised.face_bend, len(Bend)))


def _radii(evidence: Evidence) -> Floats:
    faces = evidence.recognised
    curved = faces.strip_bend != Bend.PLANE
    if not curved.any():
        return np.full(RADII, NO_RADIUS)
    radius = -np.log(np.abs(faces.strip_curvature[curved]) * faces.scale)
    return weighted_quantiles(np.clip(radius, NO_RADIUS, LARGEST_RADIUS), faces.strip_area[curved], RADII)


def _convexity(faces: Recognised) -> NDArray[np.int64]:
    """Return 0 concave, 1 tangent, 2 convex for each edge."""
    return 1 + np.where(np.abs(faces.edge_angle) < TANGENT, 0, np.sign(faces.edge_angle)).astype(np.int64)


def _edges(evidence: Evidence) -> Floats:
    faces = evidence.recognised
    kinds = _convexity(faces)
    length = totals(kinds, faces.edge_length, 3)
    return np.concatenate([shares(length), np.log1p(length / faces.scale), np.log1p(counts(kinds, 3))])


def _edge_lengths(evidence: Evidence) -> Floats:
    faces = evidence.recognised
    if not len(faces.edge_length):
        return np.full(LENGTHS, np.log(SHORTEST))
    return weighted_quantiles(np.log(faces.edge_length / faces.scale + SHORTEST), faces.edge_length, LENGTHS)


def _face_areas(evidence: Evidence) -> Floats:
    area = np.sort(evidence.recognised.face_area)[::-1][:FACES_SUMMED]
    padded = np.zeros(FACES_SUMMED)  # a face that does not exist adds no area
    padded[: len(area)] = area
    summed: Floats = np.cumsum(padded) / evidence.recognised.face_area.sum()
    return summed


def _turns(evidence: Evidence) -> Floats:
    """Return the integral of mean curvature: over edges by their angle, over curved faces by their sense."""
    faces = evidence.recognised
    kind = np.searchsorted(TURNS[1:-1], faces.edge_angle, side="right")
    turned = np.abs(faces.edge_angle)
    turned[turned > np.pi] = 0  # a mean may pass π by rounding; the released recipe leaves it out
    edges = totals(kind, faces.edge_length * turned, len(TURNS) - 1)
    bent = faces.strip_area * faces.strip_curvature
    curved = [bent[bent > 0].sum(), -bent[bent < 0].sum()]
    return np.log1p(np.concatenate([edges, curved]) / faces.scale)


RECOGNISED = (
    Descriptor(
        "surfaces",
        tuple(_slot(f"area_{bend}", "1", f"share of the area that is {bend}") for bend in BENDS),
        _surfaces,
    ),
    Descriptor(
        "face_counts",
        tuple(_slot(f"faces_{bend}", "ln(1+n)", f"recognised faces that are {bend}") for bend in BENDS),
        _face_counts,
    ),
    Descriptor(
        "radii",
        tuple(
            _slot(f"radius_{i + 1}", "ln", f"quantile {i + 1} of {RADII} by area of radius over √area")
            for i in range(RADII)
        ),
        _radii,
    ),
    Descriptor(
        "edges",
        (
            *(_slot(f"edge_share_{c}", "1", f"share of edge length that is {c}") for c in CONVEXITIES),
            *(_slot(f"edge_length_{c}", "ln(1+x)", f"{c} edge length over √area") for c in CONVEXITIES),
            *(_slot(f"edge_count_{c}", "ln(1+n)", f"{c} pairs of faces that meet") for c in CONVEXITIES),
        ),
        _edges,
    ),
    Descriptor(
        "edge_lengths",
        tuple(
            _slot(
                f"edge_quantile_{i + 1}",
                "ln",
                f"quantile {i + 1} of {LENGTHS} by length of edge length over √area",
            )
            for i in range(LENGTHS)
        ),
        _edge_lengths,
    ),
    Descriptor(
        "face_areas",
        tuple(
            _slot(f"largest_{i + 1}", "1", f"share of the area in the {i + 1} largest faces")
            for i in range(FACES_SUMMED)
        ),
        _face_areas,
    ),
    Descriptor(
        "turns",
        (
            *(
                _slot(
                    f"turn_{i + 1}",
                    "ln(1+x)",
                    f"length × angle over √area of edges turning {low:+.2f} to {high:+.2f} rad",
                )
                for i, (low, high) in enumerate(pairwise(TURNS))
            ),
            _slot("turn_convex", "ln(1+x)", "integral of curvature over √area of convex faces"),
            _slot("turn_concave", "ln(1+x)", "integral of curvature over √area of concave faces"),
        ),
        _turns,
    ),
)
