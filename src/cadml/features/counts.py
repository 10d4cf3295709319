"""Versions v1 to v4: counts, extents and kinds, each version the former and a tail.

An **element** is what a part is counted by: a face of a B-rep, an entity of a drawing, a facet
group of a mesh. Kinds are surface types, entity types, and planar or curved.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from cadml.features.evidence import Evidence
from cadml.features.spec import Descriptor, Invariance, Slot
from cadml.geometry.part import Floats, Kind

MANY = 500  # more elements than this set complexity_high_flag
FLAT = 1e-9  # of the largest extent: thinner than this is flat, and a ratio to it says nothing
KINDS_KEPT = 5

MOVED = frozenset({Invariance.TRANSLATION})
TURNED = MOVED | {Invariance.ROTATION, Invariance.REFLECTION}
FREE = TURNED | {Invariance.SCALE}
STRETCHED = MOVED | {Invariance.REFLECTION, Invariance.SCALE}


def _count(evidence: Evidence) -> int:
    return evidence.elements.total()


def _basic(evidence: Evidence) -> Floats:
    drawing = evidence.part.drawing
    count = _count(evidence)
    extents = evidence.part.box.extents
    layers = 0 if drawing is None else len(drawing.layers)
    return np.array([count, *extents, extents.prod(), layers, float(count > MANY)])


def _ratio(numerator: float, denominator: float, largest: float) -> float:
    return numerator / denominator if denominator > FLAT * largest else 0.0


def _proportions(evidence: Evidence) -> Floats:
    width, height, depth = map(float, evidence.part.box.extents)
    most = max(width, height, depth)
    normed = [_ratio(extent, most, most) for extent in (width, height, depth)]
    return np.array([*normed, _ratio(width, height, most), _ratio(width, depth, most)])


def _solids(evidence: Evidence) -> int:
    if evidence.part.brep is not None:
        return evidence.part.brep.solids
    return evidence.facets.closed_bodies if evidence.part.kind is Kind.MESH else 0


def _facets(evidence: Evidence) -> int:
    part = evidence.part
    if part.brep is not None:
        return len(part.brep.face_surface)
    return len(part.tessellation.triangles) if part.kind is Kind.MESH and part.tessellation is not None else 0


def _composition(evidence: Evidence) -> Floats:
    kinds = evidence.elements
    count = kinds.total()
    per = 1.0 / count if count else 0.0
    solids, facets = _solids(evidence), _facets(evidence)
    shares = [number * per for _, number in kinds.most_common(KINDS_KEPT)]
    shares += [0.0] * (KINDS_KEPT - len(shares))  # a sixth kind's share is left out; a missing one's is zero
    volume = float(evidence.part.box.extents.prod())
    return np.array([solids, facets, volume * per, solids * per, facets * per, *shares])


def shape_entropy(kinds: Counter[str]) -> float:
    """Return the Laplace-smoothed Shannon entropy of ``kinds`` over ln K, in [0, 1]; 0 for K < 2."""
    if len(kinds) < 2:
        return 0.0
    share = (np.fromiter(kinds.values(), dtype=np.float64) + 1) / (kinds.total() + len(kinds))
    # Rounding may pass 1 by an ulp where all kinds are equally frequent.
    return min(1.0, float(-(share * np.log(share)).sum() / np.log(len(kinds))))


def _surfaces(evidence: Evidence) -> Floats:
    drawing = evidence.part.drawing
    surfaces = _count(evidence) if drawing is None else drawing.surface_entities
    return np.array([surfaces, shape_entropy(evidence.elements)])


def _extent(name: str, axis: str) -> Slot:
    return Slot(name, "mm", f"extent along {axis}", MOVED | {Invariance.REFLECTION})


BASIC = Descriptor(
    "basic",
    (
        Slot("entity_count", "1", "faces of a B-rep, entities of a drawing, facet groups of a mesh", FREE),
        _extent("bbox_width", "x"),
        _extent("bbox_height", "y"),
        _extent("bbox_depth", "z; 0 in a drawing"),
        Slot("bbox_volume_estimate", "mm³", "width · height · depth of the axis-parallel box", MOVED),
        Slot("layer_count", "1", "layers of a drawing; 0 otherwise", FREE),
        Slot("complexity_high_flag", "1", f"1 if entity_count exceeds {MANY}, else 0", FREE),
    ),
    _basic,
)
PROPORTIONS = Descriptor(
    "proportions",
    (
        Slot("norm_width", "1", "width over the largest extent", STRETCHED),
        Slot("norm_height", "1", "height over the largest extent", STRETCHED),
        Slot("norm_depth", "1", "depth over the largest extent", STRETCHED),
        Slot("width_height_ratio", "1", "width over height; 0 where the height is 0", STRETCHED),
        Slot("width_depth_ratio", "1", "width over depth; 0 where the depth is 0", STRETCHED),
    ),
    _proportions,
)
COMPOSITION = Descriptor(
    "composition",
    (
        Slot("solids_count", "1", "solids of a B-rep, closed bodies of a mesh; 0 in a drawing", FREE),
        Slot("facets_count", "1", "faces of a B-rep, triangles of a mesh; 0 in a drawing", FREE),
        Slot(
            "avg_volume_per_entity",
            "mm³",
            "bbox_volume_estimate over entity_count; 0 for no entity",
            MOVED,
        ),
        Slot("solids_ratio", "1", "solids_count over entity_count; 0 without entities", FREE),
        Slot("facets_ratio", "1", "facets_count over entity_count; 0 without entities", FREE),
        *(
            Slot(
                f"top_kind_freq_{rank}",
                "1",
                f"share of kind number {rank} by frequency; 0 for none",
                FREE,
            )
            for rank in range(1, KINDS_KEPT + 1)
        ),
    ),
    _composition,
)
SURFACES = Descriptor(
    "surfaces",
    (
        Slot("surface_count", "1", "faces, facet groups, or surface-like entities of a drawing", FREE),
        Slot(
            "shape_entropy",
            "1",
            "Laplace-smoothed entropy of kinds over ln K; 0 for one kind or none",
            FREE,
        ),
    ),
    _surfaces,
    source="Shannon, A Mathematical Theory of Communication, 1948",
)
