"""Made-up feature versions and contents for the tests of the store."""

from __future__ import annotations

import hashlib

import numpy as np

from cadml.features.spec import Descriptor, FeatureVersion, Metric, Slot, Squash
from cadml.geometry.part import Kind
from cadml.store.parts import NewContent


def made_version(name: str, length: int, metric: Metric) -> FeatureVersion:
    """Return a version that compares asinh(2 (value - 1)); the store never computes descriptors."""
    slots = tuple(Slot(f"slot{i}", "", "made up", frozenset()) for i in range(length))
    one = np.ones(length)
    return FeatureVersion(
        name,
        "made up",
        frozenset(Kind),
        (Descriptor("made", slots, lambda _: one),),
        metric,
        one,
        2 * one,
        one,
        Squash.ASINH,
    )


VERSIONS = {
    "s1": made_version("s1", 7, Metric.L1),  # short: no index
    "m1": made_version("m1", 40, Metric.L1),
    "m2": made_version("m2", 36, Metric.L2),
    "mc": made_version("mc", 48, Metric.COSINE),
}


def sha256_of(name: object) -> str:
    return hashlib.sha256(str(name).encode()).hexdigest()


def new_content(name: object, *, kind: str = "brep", **facts: object) -> NewContent:
    """Return a content with a vector of every version, drawn by its name."""
    random = np.random.default_rng(int(sha256_of(name)[:8], 16))
    vectors = {v.name: random.normal(1, 1, v.length).astype(np.float32) for v in VERSIONS.values()}
    return NewContent(
        sha256_of(name), 10, "step", kind, {"kind": kind, "format": "step", **facts}, [], vectors
    )
