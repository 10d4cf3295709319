"""The table of feature versions. A released row never changes; a new computation is a new row."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from cadml.errors import UnknownVersion
from cadml.features.counts import BASIC, COMPOSITION, PROPORTIONS, SURFACES
from cadml.features.drawing import DRAWING
from cadml.features.evidence import Evidence
from cadml.features.exact import STRUCTURE
from cadml.features.recognised import RECOGNISED
from cadml.features.revolution import ROUND_THE_AXIS
from cadml.features.scaling import Scaling
from cadml.features.shape import WHOLE
from cadml.features.spec import Descriptor, FeatureVector, FeatureVersion, Metric, Squash
from cadml.geometry.part import Kind, Part

EVERY_KIND = frozenset(Kind)

VERSIONS: dict[str, FeatureVersion] = {}


def _release(row: FeatureVersion) -> None:
    names = [slot.name for slot in row.slots]
    if row.name in VERSIONS or len(set(names)) != len(names):
        raise ValueError(f"feature version {row.name} is released twice, or a slot name is")
    if row.offset.shape != (row.length,) or row.scale.shape != (row.length,):
        raise ValueError(f"the scaling of feature version {row.name} does not fit its slots")
    VERSIONS[row.name] = row


def _release_counts(name: str, summary: str, descriptors: tuple[Descriptor, ...]) -> None:
    length = sum(len(descriptor.slots) for descriptor in descriptors)
    zero, one = np.zeros(length), np.ones(length)
    _release(FeatureVersion(name, summary, EVERY_KIND, descriptors, Metric.L1, zero, one, one, Squash.ASINH))


_release_counts("v1", "counts and extents", (BASIC,))
_release_counts("v2", "v1 and proportions of the box", (BASIC, PROPORTIONS))
_release_counts("v3", "v2 and what the part is made of", (BASIC, PROPORTIONS, COMPOSITION))
_release_counts("v4", "v3 and the mix of surfaces", (BASIC, PROPORTIONS, COMPOSITION, SURFACES))


def _release_search(
    name: str, summary: str, kinds: frozenset[Kind], descriptors: tuple[Descriptor, ...]
) -> None:
    fixed = Scaling.released(name)
    _release(
        FeatureVersion(
            name,
            summary,
            kinds,
            descriptors,
            Metric.L1,
            fixed.offset,
            fixed.scale,
            fixed.weight,
            Squash.NORMAL,
        )
    )


SOLID_KINDS = frozenset({Kind.BREP, Kind.MESH})
EITHER = WHOLE + ROUND_THE_AXIS + RECOGNISED  # from triangles alone, so a STEP and an STL file meet
_release_search("v5", "shape and recognised faces, for B-reps and meshes alike", SOLID_KINDS, EITHER)
_release_search("v6", "v5 and exact structure, for B-reps", frozenset({Kind.BREP}), EITHER + STRUCTURE)
_release_search("d1", "the linework of drawings", frozenset({Kind.DRAWING}), DRAWING)


def version(name: str) -> FeatureVersion:
    """Return the feature version called ``name``.

    Raises
    ------
    UnknownVersion
        There is none.
    """
    try:
        return VERSIONS[name]
    except KeyError:
        known = ", ".join(VERSIONS)
        raise UnknownVersion(
            f"there is no feature version {name!r}; there are {known}", version=name
        ) from None


def versions_for(kind: Kind) -> tuple[FeatureVersion, ...]:
    """Return the feature versions that describe parts of this kind, oldest first."""
    return tuple(row for row in VERSIONS.values() if kind in row.kinds)


def describe(part: Part, names: Iterable[str] | None = None) -> dict[str, FeatureVector]:
    """Return the part's vectors by version; samples are drawn once for all of them.

    ``names`` keeps those that apply to the part out of the named versions; None takes all.

    Raises
    ------
    UnknownVersion
        A name belongs to no version.
    UndefinedFeature
        A number has no defined value for this part.
    """
    rows = VERSIONS.values() if names is None else [version(name) for name in names]
    evidence = Evidence(part)
    return {row.name: row.describe(part, evidence) for row in rows if part.kind in row.kinds}
