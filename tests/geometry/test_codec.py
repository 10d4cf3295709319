"""A part survives storage bit for bit, and damage is noticed."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cadml.errors import BlobUnavailable
from cadml.geometry import codec
from cadml.geometry.part import (
    BoundingBox,
    BRep,
    Drawing,
    Finding,
    Kind,
    MassProperties,
    Part,
    Severity,
    Tessellation,
)

ANY_FLOAT = st.floats(width=64)  # with NaN, infinities and -0.0
TEXT = st.text(st.characters(exclude_categories=[]), max_size=20)  # with lone surrogates


def array(dtype: str, *shape: int | None) -> st.SearchStrategy[np.ndarray]:
    sides = [st.integers(0, 4) if side is None else st.just(side) for side in shape]
    return st.tuples(*sides).flatmap(lambda found: arrays.arrays(np.dtype(dtype), found))


BREPS = st.builds(
    BRep,
    *[array(dtype, None) for dtype in ("i1", "f8", "i4", "f8", "i1", "i1", "f8", "i1", "f8")],
    array("i4", None, 2),
    *[st.integers(0, 1000)] * 4,
)
MASSES = st.builds(
    MassProperties, ANY_FLOAT, array("f8", 3), st.none() | ANY_FLOAT, st.none() | array("f8", 3, 3)
)
MESHES = st.builds(
    Tessellation,
    array("f8", None, 3),
    array("i4", None, 3),
    st.none() | array("i4", None),
    st.none() | ANY_FLOAT,
    st.none() | ANY_FLOAT,
    st.none() | array("u1", None, 4),
)
WORDS = st.lists(TEXT, max_size=3).map(tuple)
DRAWINGS = st.builds(
    Drawing, WORDS, array("i4", None), WORDS, array("f8", None, 2, 2), array("i4", None), ANY_FLOAT, WORDS,
    array("f8", None), st.integers(0, 99),
)  # fmt: skip
PARTS = st.builds(
    Part,
    st.sampled_from(Kind),
    TEXT,
    TEXT,
    ANY_FLOAT,
    st.builds(BoundingBox, array("f8", 3), array("f8", 3)),
    st.none() | MASSES,
    st.none() | BREPS,
    st.none() | MESHES,
    st.none() | DRAWINGS,
    WORDS,
    st.integers(0, 2**40),
    st.lists(st.builds(Finding, TEXT, st.sampled_from(Severity), TEXT, TEXT), max_size=3).map(tuple),
    st.dictionaries(st.sampled_from(["read", "transfer", "explore"]), ANY_FLOAT),
)


def assert_same(one: Any, two: Any) -> None:
    assert type(one) is type(two)
    if isinstance(one, np.ndarray):
        assert (one.dtype, one.shape, one.tobytes()) == (two.dtype, two.shape, two.tobytes())
        assert not two.flags.writeable
    elif isinstance(one, float):
        assert np.float64(one).tobytes() == np.float64(two).tobytes() or (one != one and two != two)  # noqa: PLR0124
    elif dataclasses.is_dataclass(one):
        for field in dataclasses.fields(one):
            assert_same(getattr(one, field.name), getattr(two, field.name))
    elif isinstance(one, tuple):
        assert len(one) == len(two)
        for a, b in zip(one, two, strict=True):
            assert_same(a, b)
    elif isinstance(one, dict):
        assert list(one) == list(two)
        for key in one:
            assert_same(one[key], two[key])
    else:
        assert one == two


@settings(max_examples=60, deadline=None)
@given(PARTS)
def test_every_part_comes_back_bit_for_bit(part: Part) -> None:
    assert_same(part, codec.decode(codec.encode(part)))


@pytest.fixture(scope="module")
def stored() -> bytes:
    rng = np.random.default_rng(5)
    mesh = Tessellation(rng.normal(size=(2500, 3)), rng.integers(0, 2500, (5000, 3), np.int32))
    box = BoundingBox.of(mesh.vertices)
    return codec.encode(
        Part(Kind.MESH, "stl", "unstated", 1.0, box, tessellation=mesh, names=("ä\udcff", "@0"))
    )


def test_the_same_part_gives_the_same_bytes(stored: bytes) -> None:
    assert codec.encode(codec.decode(stored)) == stored


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_flipped_bit_never_passes(stored: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(stored) - 1))
    bit = data.draw(st.integers(0, 7))
    damaged = bytearray(stored)
    damaged[at] ^= 1 << bit
    try:
        part = codec.decode(bytes(damaged))
    except BlobUnavailable:
        return
    assert codec.encode(part) == stored, "a change that decodes must be one that changes nothing"


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_a_cut_or_foreign_blob_is_refused(stored: bytes, data: st.DataObject) -> None:
    cut = stored[: data.draw(st.integers(0, len(stored) - 1))]
    with pytest.raises(BlobUnavailable):
        codec.decode(cut)
    with pytest.raises(BlobUnavailable):
        codec.decode(data.draw(st.binary(max_size=200)))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x" * 7,
        (2).to_bytes(8, "little") + b"{}",
        (2**63).to_bytes(8, "little") + b"{}",
        b'\x2c\0\0\0\0\0\0\0{"part":"@0","arrays":[["<f8",[99999999]]]} ',
        b'\x25\0\0\0\0\0\0\0{"part":{"$":"Popen"},"arrays":[]}    ',
        b'\x24\0\0\0\0\0\0\0{"part":{"$":"Part"},"arrays":[]}    ',
        b'\x20\0\0\0\0\0\0\0{"part":"~word","arrays":[]}       ',
    ],
)
def test_a_valid_frame_with_a_wrong_header_is_refused(content: bytes) -> None:
    frame = zstandard.ZstdCompressor(write_checksum=True).compress(content)
    with pytest.raises(BlobUnavailable):
        codec.decode(codec.MAGIC + bytes([codec.LAYOUT]) + frame)


def test_a_later_layout_says_upgrade(stored: bytes) -> None:
    start = len(codec.MAGIC)
    with pytest.raises(BlobUnavailable, match="upgrade"):
        codec.decode(stored[:start] + bytes([codec.LAYOUT + 1]) + stored[start + 1 :])
