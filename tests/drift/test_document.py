"""Baselines that travel: what was written is read again, and nothing else is."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cadml.drift.document import MOST_COUNTED, Portable, read, write
from cadml.errors import CadmlError, InvalidRequest, UnknownVersion
from cadml.features.versions import VERSIONS

MADE = datetime(2024, 2, 29, 12, tzinfo=UTC)


def whole() -> list[Portable]:
    vectors = np.random.default_rng(1).normal(size=(40, 7)).astype(np.float32)
    return [
        Portable("material", "", MADE, counts={"steel": 400, "(not stated)": 3}),
        Portable("prediction", "bolts 3", MADE, counts={"bolt": 90}),
        Portable("feature", "v1", MADE, vectors=vectors),
    ]


def document() -> dict[str, Any]:
    return json.loads(json.dumps(write(whole())))


def test_what_was_written_is_read_again() -> None:
    for before, after in zip(whole(), read(document()), strict=True):
        assert (after.subject, after.scope, after.created_at, after.counts) == (
            *(before.subject, before.scope, before.created_at, before.counts),
        )
        if before.vectors is not None:
            np.testing.assert_array_equal(after.vectors, before.vectors)


def changed(number: int, **changes: Any) -> dict[str, Any]:
    found = document()
    found["baselines"][number] |= changes
    return found


VECTOR = [0.0] * 7
HOSTILE = {
    "not an object": [],
    "another format": document() | {"format": "cadml drift baselines 2"},
    "an unknown field": document() | {"more": 1},
    "nothing in it": document() | {"baselines": []},
    "too many": document() | {"baselines": document()["baselines"] * 40},
    "one twice": document() | {"baselines": document()["baselines"][:1] * 2},
    "an unknown subject": changed(0, subject="colour"),
    "a material's scope": changed(0, scope="x"),
    "a prediction's scope": changed(1, scope=""),
    "a control character": changed(1, scope="a\x00b"),
    "too few counted": changed(0, counts={"steel": 29}),
    "a negative count": changed(0, counts={"steel": 400, "brass": -1}),
    "a count that is true": changed(0, counts={"steel": True}),
    "a broken count": changed(0, counts={"steel": 400.5}),
    "too many counted": changed(0, counts={"a": MOST_COUNTED, "b": 1}),
    "too long a name": changed(0, counts={"x" * 201: 400}),
    "an empty name": changed(0, counts={"": 400}),
    "too many names": changed(0, counts={str(n): 1 for n in range(10_001)}),
    "counts of vectors": changed(0, vectors=[VECTOR] * 40),
    "an unknown version": changed(2, scope="v99"),
    "another version's slots": changed(2, scope="v2"),
    "renamed slots": changed(2, slots=list("abcdefg")),
    "too few vectors": changed(2, vectors=[VECTOR] * 29),
    "too many vectors": changed(2, vectors=[VECTOR] * 1001),
    "a short vector": changed(2, vectors=[VECTOR] * 39 + [VECTOR[:6]]),
    "no number": changed(2, vectors=[["x"] * 7] * 40),
    "not finite": changed(2, vectors=[[float("nan")] * 7] * 40),
    "too large": changed(2, vectors=[[1e39] * 7] * 40),
    "no time": changed(2, created_at="yesterday"),
    "a time without a zone": changed(2, created_at="2024-01-01T00:00:00"),
    "the future": changed(2, created_at=(datetime.now(UTC) + timedelta(days=1)).isoformat()),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_cannot_be_a_baseline_is_refused_whole(what: str) -> None:
    with pytest.raises(CadmlError) as caught:
        read(HOSTILE[what])
    assert caught.value.code in {"INVALID_REQUEST", "UNKNOWN_FEATURE_VERSION"}
    assert len(caught.value.message) < 1000


def test_a_clock_a_little_ahead_is_forgiven() -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=60)).isoformat()
    assert read(changed(0, created_at=soon))[0].created_at <= datetime.now(UTC)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
FIELDS = st.sampled_from(["subject", "scope", "created_at", "counts", "slots", "vectors"])


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2), FIELDS, VALUES)
def test_no_field_breaks_the_reader(number: int, field: str, value: Any) -> None:
    with suppress(InvalidRequest, UnknownVersion):
        assert all(
            each.scope in VERSIONS
            for each in read(changed(number, **{field: value}))
            if each.vectors is not None
        )
