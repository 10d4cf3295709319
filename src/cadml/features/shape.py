"""Descriptors of the whole shape: proportions, size, compactness, shape distributions, walls.

All of them are free of any frame: where two principal axes are alike (a cube, every shaft), axes
say nothing that stays the same when the part is turned, so no descriptor uses them.
"""

from __future__ import annotations

import numpy as np

from cadml.features.evidence import Evidence
from cadml.features.harmonics import harmonic_power
from cadml.features.points import DISTANCE_CLASSES, quantiles
from cadml.features.spec import RIGID, Descriptor, Invariance, Slot
from cadml.features.walls import walls
from cadml.geometry.part import Floats
from cadml.geometry.vectors import lengths

SHAPE = RIGID | {Invariance.REFLECTION, Invariance.SCALE, Invariance.TESSELLATION}
# What a slot drawn from points may change by when the points fall otherwise, over the larger of 1 and its
# value: small where the distribution is smooth, large where it has a step, as on flat and turned parts.
DRAWN, STEPPED = 0.15, 0.4
FLAT = 1e-3  # added before logarithms: proportions below a thousandth are all "flat"
DEGREES = 8  # of the spherical harmonics that the map of normals is expanded in


def _slots(name: str, count: int, unit: str, meaning: str, tolerance: float = DRAWN) -> tuple[Slot, ...]:
    return tuple(
        Slot(f"{name}_{i + 1}", unit, meaning.format(i=i + 1, n=count), SHAPE, tolerance)
        for i in range(count)
    )


def _spread(evidence: Evidence) -> Floats:
    moments = np.linalg.eigvalsh(evidence.surface.spread)[::-1]
    spread: Floats = np.sqrt(np.maximum(moments, 0) / moments.sum())
    return spread


def _widths(evidence: Evidence) -> Floats:
    hull = evidence.hull
    return np.log(np.array([hull.width, np.cbrt(hull.volume)]) / hull.diameter + FLAT)


def _size(evidence: Evidence) -> Floats:
    return np.array([np.log(evidence.points.gyration_radius)])


def _volume(evidence: Evidence) -> Floats:
    edge = np.cbrt(evidence.surface.enclosed_volume)
    return np.array([np.log(edge + FLAT * evidence.points.gyration_radius)])


def _compactness(evidence: Evidence) -> Floats:
    hull, area = evidence.hull, float(evidence.surface.area.sum())
    volume = evidence.surface.enclosed_volume
    filled = min(volume / hull.volume, 1.0) if hull.volume > 0 else 0.0
    wrapped = area / hull.area if hull.area > 0 else 1.0
    return np.array([np.log(np.cbrt(volume) ** 2 / area + FLAT), filled, wrapped])


def _by_distance(evidence: Evidence, values: Floats, count: int) -> Floats:
    """Return quantiles of ``values`` of near to far pairs, class by class."""
    return quantiles(values[evidence.points.near_to_far].reshape(DISTANCE_CLASSES, -1), count).ravel()


def _normal_map(evidence: Evidence) -> Floats:
    """Return the power of the normals' distribution on the sphere, per degree.

    A hexagonal prism, a square one and a shaft differ in it, however their faces are cut into triangles.
    """
    return harmonic_power(evidence.surface.normal, evidence.surface.area, DEGREES)


SPREAD = Descriptor(
    "spread",
    _slots("spread", 3, "1", "share of the surface's spread along its {i}. principal direction"),
    _spread,
)
WIDTHS = Descriptor(
    "widths",
    (
        Slot("width", "ln", "least width over diameter, of the convex hull", SHAPE, 0.02),
        Slot("girth", "ln", "cube root of the hull's volume over its diameter", SHAPE, 0.02),
    ),
    _widths,
)
SIZE = Descriptor(
    "size",
    (
        Slot(
            "size",
            "ln mm",
            "logarithm of the surface's radius of gyration",
            SHAPE - {Invariance.SCALE},
            0.02,
        ),
    ),
    _size,
)
VOLUME = Descriptor(
    "volume",
    (
        Slot(
            "volume",
            "ln mm",
            "logarithm of the edge of a cube of the same enclosed volume",
            SHAPE - {Invariance.SCALE},
            0.02,
        ),
    ),
    _volume,
)
COMPACTNESS = Descriptor(
    "compactness",
    (
        Slot("roundness", "ln", "volume^(2/3) over area", SHAPE, 0.02),
        Slot("fill", "1", "volume over that of the convex hull", SHAPE, 0.02),
        Slot("wrap", "1", "area over that of the convex hull", SHAPE, 0.02),
    ),
    _compactness,
)
D1 = Descriptor(
    "d1",
    _slots(
        "d1", 8, "1", "quantile {i} of {n} of a surface point's distance to the centre, in gyration radii"
    ),
    lambda e: quantiles(lengths(e.points.position) / e.points.gyration_radius, 8),
    "Osada, Funkhouser, Chazelle, Dobkin: Shape Distributions, 2002",
)
D2 = Descriptor(
    "d2",
    _slots("d2", 12, "1", "quantile {i} of {n} of the distance of two surface points, in gyration radii"),
    lambda e: quantiles(e.points.pair_distance[e.points.near_to_far], 12),
    "Osada et al. 2002",
)
NORMALS = Descriptor(
    "normals",
    _slots(
        "normals",
        16,
        "1",
        "quantiles of the cosine between two normals; 4 each, near to far",
        STEPPED,
    ),
    lambda e: _by_distance(e, e.points.pair_normals, 4),
    "after Wahl, Hillenbrand, Hirzinger: Surflet-Pair-Relation Histograms, 2003",
)
INCIDENCE = Descriptor(
    "incidence",
    _slots(
        "incidence",
        16,
        "1",
        "quantiles of the cosine between a normal and the way to another point; 4 each, near to far",
    ),
    lambda e: _by_distance(e, e.points.pair_incidence, 4),
    "after Wahl et al. 2003",
)
WALLS = Descriptor(
    "walls",
    _slots(
        "wall", 8, "1", "quantile {i} of {n} of the thickness of the material, in gyration radii", STEPPED
    ),
    lambda e: quantiles(walls(e.surface, e.points), 8),
    "after Shapira, Shamir, Cohen-Or: Shape Diameter Function, 2008",
)
NORMAL_MAP = Descriptor(
    "normal_map",
    tuple(
        Slot(f"normal_map_{i + 1}", "1", f"strength of degree {i + 1} in the map of normals", SHAPE, 0.1)
        for i in range(DEGREES)
    ),
    _normal_map,
    "Horn: Extended Gaussian Images, 1984; Kazhdan, Funkhouser, Rusinkiewicz: Spherical Harmonics, 2003",
)
WHOLE = (SPREAD, WIDTHS, SIZE, VOLUME, COMPACTNESS, D1, D2, NORMALS, INCIDENCE, NORMAL_MAP, WALLS)
