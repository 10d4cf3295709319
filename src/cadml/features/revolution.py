"""Descriptors round the part's axis (:mod:`cadml.features.axis`): what tells turned parts apart."""

from __future__ import annotations

import numpy as np

from cadml.features.amounts import counts
from cadml.features.evidence import Evidence
from cadml.features.points import quantiles
from cadml.features.shape import SHAPE
from cadml.features.spec import Descriptor, Slot
from cadml.geometry.part import Floats
from cadml.geometry.vectors import powers

RINGS = np.array([0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9, np.inf])  # of the greatest radius
FACINGS = ("end", "outward", "inward", "slanted")
END_FACE = 0.9  # |cosine| to the axis above which a surface faces along it
ROUND = 0.5  # |cosine| to the way out above which it faces outward or inward
RADII = 8
ORDERS = 12
FADES = "; fades to 0 as no axis stands out"


def _facing(evidence: Evidence) -> Floats:
    axis = evidence.axis
    ring = np.searchsorted(RINGS, axis.radius / axis.radius.max(), side="right") - 1
    sideways = np.where(axis.outward > ROUND, 1, np.where(axis.outward < -ROUND, 2, 3))
    facing = np.where(axis.along > END_FACE, 0, sideways)
    cells = (len(RINGS) - 1) * len(FACINGS)
    return counts(ring * len(FACINGS) + facing, cells) * (axis.distinct / len(ring))


def _radii(evidence: Evidence) -> Floats:
    return evidence.axis.distinct * quantiles(evidence.axis.radius, RADII)


def _harmonics(evidence: Evidence) -> Floats:
    axis = evidence.axis
    sums = np.abs(powers(axis.azimuth, ORDERS, axis.radius).sum(axis=1))
    strength: Floats = axis.distinct * sums[1:] / axis.radius.sum()
    return strength


ROUND_THE_AXIS = (
    Descriptor(
        "axis_facing",
        tuple(
            Slot(
                f"ring_{ring}_{facing}",
                "1",
                f"share of the area {facing} in ring {ring} of 7{FADES}",
                SHAPE,
                0.1,
            )
            for ring in range(1, len(RINGS))
            for facing in FACINGS
        ),
        _facing,
        "axis after Gelfand, Guibas: Shape Segmentation Using Local Slippage Analysis, 2004",
    ),
    Descriptor(
        "axis_radii",
        tuple(
            Slot(
                f"axis_radius_{i}",
                "1",
                f"quantile {i} of {RADII} of distance from the axis{FADES}",
                SHAPE,
                0.05,
            )
            for i in range(1, RADII + 1)
        ),
        _radii,
    ),
    Descriptor(
        "axis_repeats",
        tuple(
            Slot(
                f"repeats_{i}",
                "1",
                f"how strongly the surface repeats {i} times round the axis{FADES}",
                SHAPE,
                0.1,
            )
            for i in range(1, ORDERS + 1)
        ),
        _harmonics,
    ),
)
