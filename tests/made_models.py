"""Small real classifiers for tests: boxes told from round parts by their number of faces, over v1."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, replace
from functools import cache
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from cadml.engine import Engine
from cadml.features.versions import VERSIONS
from cadml.learning.artifact import Canary, ModelCard, write_bundle
from cadml.learning.graph import convert
from cadml.store.models import ModelRow

CLASSES = ("box", "round")


@cache
def vectors() -> tuple[np.ndarray, np.ndarray]:
    """60 parts ``(60, 7)`` with few and with many entities, and their class numbers."""
    random = np.random.default_rng(5)
    codes = np.arange(60) % 2
    values = random.uniform(1, 50, size=(60, 7))
    values[:, 0] = np.where(codes == 0, 6, random.integers(200, 900, size=60))
    return values.astype(np.float32), codes


@cache
def graph(weight: float = 1.0) -> bytes:
    """The ONNX graph of a classifier for v1; under a weight near float32's end it answers NaN."""
    version = VERSIONS["v1"]
    values, codes = vectors()
    model = LogisticRegression().fit(version.scaled(values), codes)
    return convert(model, replace(version, weight=np.full(7, weight)), 1.0)


def card(version: str, **changes: Any) -> ModelCard:
    values, codes = vectors()
    known: dict[str, Any] = {
        "name": "made",
        "version": version,
        "feature_version": "v1",
        "length": 7,
        "classes": CLASSES,
        "abstain_below": 0.5,
        "training_sha256": "0" * 64,
        "scores": {"macro_f1": 0.9, "abstained": 0.1},
        "canaries": tuple(Canary(tuple(map(float, values[k])), CLASSES[codes[k]]) for k in (0, 1)),
        "made_by": "a test",
        "created_at": "2026-01-01",
    }
    return ModelCard(**known | changes)


def bundle(version: str, **changes: Any) -> bytes:
    return write_bundle(card(version, **changes), graph())


def broken(version: str) -> bytes:
    """Return a bundle that passes every check and fails on real parts: its card has no canaries."""
    return write_bundle(card(version, canaries=()), graph(3e38))


def trust(engine: Engine, data: bytes) -> str:
    """Trust a file, as `cadml model trust` does; return its SHA-256."""
    sha256 = hashlib.sha256(data).hexdigest()
    engine.models.store.trust(sha256, "v1", "tester", "made for a test")
    return sha256


def keep(engine: Engine, data: bytes, version: str, **changes: Any) -> None:
    """Keep a bundle as `cadml train` does: known and trusted, not active."""
    sha256 = hashlib.sha256(data).hexdigest()
    engine.blobs.put_bytes(f"model/{sha256}", data)
    row = ModelRow(version, sha256, f"{version}.cadml", "bundle", asdict(card(version, **changes)))
    engine.models.store.add_trained(row, "tester", "made for a test")
