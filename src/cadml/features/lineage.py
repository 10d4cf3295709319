"""How feature versions relate: which begins with which, and which searches parts of a kind."""

from __future__ import annotations

from collections.abc import Collection

from cadml.errors import VersionNotKept
from cadml.features.versions import VERSIONS, version
from cadml.geometry.part import Kind

DRAWING_VERSION = "d1"
COUNTS = ("v1", "v2", "v3", "v4")  # a few numbers each, for every kind of part


def is_head(shorter: str, longer: str) -> bool:
    """Whether the vector of ``shorter`` is, bit for bit, the beginning of that of ``longer``."""
    head, whole = version(shorter).descriptors, version(longer).descriptors
    return len(head) < len(whole) and whole[: len(head)] == head


def search_version(kind: Kind, active: str, kept: Collection[str]) -> str:
    """Return the version that parts of ``kind`` are searched with unless asked otherwise.

    It is the active one where that describes them; drawings have one of their own, and what the
    active version does not describe is searched with the latest kept one that does.

    Raises
    ------
    VersionNotKept
        None that the library keeps describes this kind.
    """
    for name in (DRAWING_VERSION, active) if kind is Kind.DRAWING else (active,):
        if kind in version(name).kinds and name in kept:
            return name
    able = [name for name, row in VERSIONS.items() if kind in row.kinds and name in kept]
    if not able:
        raise VersionNotKept(f"the library keeps no version that describes a {kind}", kind=kind)
    return able[-1]


def needed(active: str) -> frozenset[str]:
    """Return the versions that a library searched with ``active`` keeps from its first part on."""
    kept = {*COUNTS, DRAWING_VERSION, active}
    if not {Kind.BREP, Kind.MESH} <= version(active).kinds:
        kept.add("v5")  # the shape of every solid, or a mesh would be searched by counts
    return frozenset(kept)


def replaces(target: str, origin: str) -> bool:
    """Whether ``target`` describes whatever searches need ``origin`` for (drawings have their own)."""
    return version(origin).kinds - {Kind.DRAWING} <= version(target).kinds
