"""The cache against a plain model, its bounds, its counts, its speed and its memory."""

from __future__ import annotations

import gc
import sys
import threading
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from cadml.cache.feature_cache import CAPACITY_RANGE, TTL_RANGE, CacheKey, FeatureCache
from cadml.cache.reuse import ReuseSample
from cadml.errors import InvalidRequest


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def key(number, version="v5", build="b1"):
    return CacheKey(f"{number:064x}", version, build)


def vector(number, length=4):
    return np.full(length, number, np.float32)


class Heard:
    """Counts the events that a cache tells."""

    def __init__(self):
        self.hits = self.misses = self.evictions = 0
        self.lock = threading.Lock()

    def listen(self):
        return {"on_hit": self.hit, "on_miss": self.miss, "on_evict": self.evict}

    def hit(self):
        with self.lock:
            self.hits += 1

    def miss(self):
        with self.lock:
            self.misses += 1

    def evict(self, count):
        with self.lock:
            self.evictions += count


class CacheAgainstModel(RuleBasedStateMachine):
    """A list in order of use is the model; every step must agree with it."""

    @initialize(capacity=st.integers(1, 6), ttl=st.integers(1, 20), entries=st.integers(1, 8))
    def begin(self, capacity, ttl, entries):
        self.clock, self.heard = Clock(), Heard()
        probe = FeatureCache(1, 10, clock=self.clock)
        probe.put(key(0), vector(0))
        self.entry_bytes = probe.counts().bytes
        self.max_bytes = entries * self.entry_bytes
        self.cache = FeatureCache(capacity, ttl, self.max_bytes, clock=self.clock, **self.heard.listen())
        self.capacity, self.ttl = capacity, ttl
        self.model: list[list] = []  # [key, value, used, uses], least recently used first
        self.hits = self.misses = self.evictions = 0

    def trim(self):
        while self.model and (
            len(self.model) > min(self.capacity, self.max_bytes // self.entry_bytes)
            or self.clock.now - self.model[0][2] >= self.ttl
        ):
            self.model.pop(0)
            self.evictions += 1

    @rule(number=st.integers(0, 9))
    def get(self, number):
        found = self.cache.get(key(number))
        row = next((row for row in self.model if row[0] == key(number)), None)
        if row is not None and self.clock.now - row[2] < self.ttl:
            assert found.tolist() == [row[1]] * 4
            self.model.remove(row)
            self.model.append([row[0], row[1], self.clock.now, row[3] + 1])
            self.hits += 1
        else:
            assert found is None
            self.misses += 1
            self.trim()

    @rule(number=st.integers(0, 9), value=st.integers(0, 5))
    def put(self, number, value):
        self.cache.put(key(number), vector(value))
        row = next((row for row in self.model if row[0] == key(number)), None)
        if row is not None:
            self.model.remove(row)
        self.model.append([key(number), value, self.clock.now, row[3] if row else 1])
        self.trim()

    @rule(seconds=st.sampled_from([0.5, 1, 5, 30]))
    def wait(self, seconds):
        self.clock.now += seconds

    @rule(capacity=st.integers(1, 6), ttl=st.integers(1, 20))
    def resize(self, capacity, ttl):
        self.cache.resize(capacity, ttl)
        self.capacity, self.ttl = capacity, ttl
        self.trim()

    @rule(number=st.integers(0, 9))
    def discard(self, number):
        held = [row for row in self.model if row[0] == key(number)]
        assert self.cache.discard(key(number).content) == len(held)
        self.model = [row for row in self.model if row[0] != key(number)]

    @rule()
    def expire(self):
        self.cache.expire()
        self.trim()

    @rule()
    def clear(self):
        self.cache.clear()
        self.model.clear()

    @invariant()
    def agrees(self):
        if not hasattr(self, "cache"):
            return
        counts = self.cache.counts()
        assert (counts.hits, counts.misses, counts.evictions) == (self.hits, self.misses, self.evictions)
        assert (self.heard.hits, self.heard.misses, self.heard.evictions) == (
            self.hits,
            self.misses,
            self.evictions,
        )
        assert counts.size == len(self.model)
        assert counts.bytes == len(self.model) * self.entry_bytes <= self.max_bytes
        assert dict(self.cache.most_used(99)) == {row[0]: row[3] for row in self.model}


CacheAgainstModel.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestCacheAgainstModel = CacheAgainstModel.TestCase


def test_version_and_reader_build_belong_to_the_key():
    cache = FeatureCache(10, 60)
    cache.put(key(1), vector(7))
    assert cache.get(key(1, version="v6")) is None
    assert cache.get(key(1, build="b2")) is None
    assert cache.get(key(1)).tolist() == [7, 7, 7, 7]
    assert cache.discard(key(1).content) == 1


def test_a_caller_cannot_change_what_is_held():
    cache = FeatureCache(10, 60)
    mine = vector(1)
    cache.put(key(1), mine)
    mine[:] = 9
    assert cache.get(key(1)).tolist() == [1, 1, 1, 1]
    with pytest.raises(ValueError, match="read-only"):
        cache.get(key(1))[0] = 5


def test_a_vector_larger_than_the_cache_is_not_held_and_evicts_nothing():
    cache = FeatureCache(10, 60, max_bytes=2000)
    cache.put(key(1), vector(1))
    cache.put(key(2), vector(2, length=1000))
    assert cache.get(key(2)) is None
    assert cache.get(key(1)) is not None
    assert cache.counts().evictions == 0


def test_most_used_come_first():
    cache = FeatureCache(10, 60)
    for number in range(5):
        cache.put(key(number), vector(number))
        for _ in range(number):
            cache.get(key(number))
    assert [(k.content[-1], uses) for k, uses in cache.most_used(3)] == [("4", 5), ("3", 4), ("2", 3)]


def test_warming_fills_and_never_evicts():
    cache = FeatureCache(3, 60)
    cache.put(key(0), vector(0))
    taken = []

    def source():
        for number in range(10):
            taken.append(number)
            yield key(number), vector(number)

    assert cache.warm(source()) == 2
    assert cache.counts().size == 3
    assert cache.counts().evictions == 0
    assert taken == [0, 1, 2, 3]  # the source is not read on when the cache is full


@pytest.mark.parametrize(
    ("capacity", "ttl"),
    [
        (0, 60),
        (-1, 60),
        (CAPACITY_RANGE[1] + 1, 60),
        (10, 0),
        (10, TTL_RANGE[1] + 1),
        (True, 60),
        (10.0, 60),
        ("10", 60),
    ],
)
def test_bounds_out_of_range_are_refused_and_change_nothing(capacity, ttl):
    cache = FeatureCache(10, 60)
    with pytest.raises(InvalidRequest):
        cache.resize(capacity, ttl)
    assert (cache.counts().capacity, cache.counts().ttl) == (10, 60)


def test_shrinking_a_large_cache_counts_each_eviction_once():
    heard = Heard()
    cache = FeatureCache(5000, 60, **heard.listen())
    for number in range(5000):
        cache.put(key(number), vector(number))
    cache.resize(10, 60)
    assert cache.counts().size == 10
    assert cache.counts().evictions == heard.evictions == 4990


def test_threads_lose_and_double_no_event():
    heard, sample = Heard(), ReuseSample()
    cache = FeatureCache(50, 60, on_use=sample.record, **heard.listen())

    def work(seed):
        for number in np.random.default_rng(seed).integers(0, 100, 3000).tolist():
            found = cache.get(key(number))
            if found is None:
                cache.put(key(number), vector(number))
            else:
                assert found[0] == number
            if number == 99:
                cache.resize(30 + seed, 60)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    counts = cache.counts()
    assert counts.hits + counts.misses == 18_000 == sample.reuse().references
    assert (heard.hits, heard.misses, heard.evictions) == (counts.hits, counts.misses, counts.evictions)
    assert counts.size <= counts.capacity
    assert counts.bytes == sum(entry.bytes for entry in cache._entries.values())


@pytest.mark.parametrize("length", [24, 512])
def test_the_bytes_are_those_that_python_uses(length):
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        cache = FeatureCache(100_000, 60, max_bytes=2**40)
        for number in range(5000):
            cache.put(key(number), vector(0, length))
        gc.collect()
        used = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert cache.counts().bytes == pytest.approx(used, rel=0.1)


def test_a_lookup_takes_tens_of_microseconds_at_most():
    sample = ReuseSample()
    cache = FeatureCache(5000, 600, max_bytes=2**40, on_use=sample.record)
    keys = [key(number) for number in range(5000)]
    for each in keys:
        cache.put(each, vector(0, 512))
    taken = []
    for each in keys * 4:
        begin = time.perf_counter()
        cache.get(each)
        taken.append(time.perf_counter() - begin)
    assert float(np.median(taken)) < 50e-6
