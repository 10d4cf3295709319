"""Mutated honest and hostile streams: no crash, no hang, and no import that the scan did not tell."""

from __future__ import annotations

import random
from functools import cache

from fuzzing import RULES, check, mutated, seeds
from hypothesis import given, settings
from hypothesis import strategies as st

from cadml.learning.opcodes import scan

_SEEDS = cache(seeds)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_unpicklers_ask_for_nothing_that_the_scan_has_not_told(data):
    streams = _SEEDS()
    stream = data.draw(st.sampled_from(streams))
    source = random.Random(data.draw(st.integers(0, 1 << 32)))
    check(mutated(stream, streams, source))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_judged_without_an_exception(data):
    check(data)


def test_the_check_sees_streams_that_pass():
    assert sum(check(stream).finding is None for stream in _SEEDS()) >= 40


def test_a_growing_stream_ends_at_the_bound():
    found = scan(b"\x80\x04" + b"]0" * 1_500_000 + b"N.", RULES)
    assert found.finding is not None
    assert "grows beyond" in found.finding.message


def test_the_scan_goes_on_after_a_dtype_that_is_none():
    made = b"\x80\x04cnumpy\ndtype\nX\x01\0\0\0?\x89\x88\x87R"
    state = b"(K\x03X\x01\0\0\0|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb."
    assert scan(made + state, RULES).finding.opcode == "REDUCE"


def test_a_key_that_holds_itself_many_times_over_is_refused():
    heavy = b"N" + b"2\x86" * 40
    for stream in (
        b"}" + heavy + b"Ns.",
        b"(" + heavy + b"Nd.",
        b"(" + heavy + b"\x91.",
        b"\x8f(" + heavy + b"\x90.",
    ):
        finding = scan(b"\x80\x04" + stream, RULES).finding
        assert finding is not None
        assert finding.message == "a key holds too much"
    light = b"\x80\x04}NN\x86Ns."
    assert scan(light, RULES).finding is None
