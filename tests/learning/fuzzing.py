"""Mutated streams, and the differential check: unpicklers ask for nothing that the scan has not told.

What an unpickler asks for is recorded and answered with an inert stand-in, so no mutated stream ever
runs anything, whatever the scan says of it.
"""

from __future__ import annotations

import contextlib
import io
import pickle
import random
import warnings
from collections.abc import Callable

import joblib
import numpy as np
from honest import ESTIMATORS

from cadml.learning.attacks import recipes
from cadml.learning.opcodes import Scan, Whitelist, allowlist, loader, scan
from cadml.learning.opcodes.names import ARRAY, ARRAY_WRAPPER, DTYPE, canonical

RULES = Whitelist(allowlist())
Pairs = set[tuple[str, str]]
OPCODES = bytes(sorted(pickle._Unpickler.dispatch))
WORDS = (
    b"os",
    b"system",
    b"nt",
    b"__class__",
    b"sklearn.pipeline",
    b"O8",
    b"b",
    b"\x93",
    b"R",
    b"b.",
    b"\xff" * 8,
)


class Inert:
    """Stands for whatever a stream imports: takes every call and state, does nothing."""

    def __new__(cls, *_args, **_named):
        return object.__new__(cls)

    def __init__(self, *_args, **_named):
        pass

    def __call__(self, *_args, **_named):
        return Inert()

    def __setstate__(self, state):
        pass

    def __setitem__(self, key, value):
        pass

    def append(self, item):
        pass

    def extend(self, items):
        pass


class _Recording(pickle.Unpickler):
    """Python's own C machine."""

    def __init__(self, stream: bytes) -> None:
        super().__init__(io.BytesIO(stream))
        self.asked: Pairs = set()

    def find_class(self, module, name):
        self.asked.add(canonical((module, name)))
        return Inert


class _RecordingLoader(loader._Loader):
    """cadml's loader, which reads joblib's arrays; dtypes are real, as they say how much follows."""

    def __init__(self, stream: bytes, asked: Pairs) -> None:
        super().__init__(io.BytesIO(stream), RULES)
        self.asked = asked

    def find_class(self, module, name):
        pair = canonical((module, name))
        self.asked.add(pair)
        if pair == ARRAY_WRAPPER:
            return loader.StoredArray
        return {DTYPE: np.dtype, ARRAY: np.ndarray}.get(pair, Inert)


def seeds() -> list[bytes]:
    """Return honest and hostile streams to begin from."""
    attacks = recipes("true").values()
    found = [data for filename, data in attacks if filename == "model.pkl" and 0 < len(data) < 10_000]
    for name in ("logistic", "tree", "hist_boosting", "neighbours", "extra_trees", "bins", "object_labels"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = ESTIMATORS[name]()
        found += [pickle.dumps(model, protocol) for protocol in range(6)]
        target = io.BytesIO()
        joblib.dump(model, target)
        found.append(target.getvalue())
    return found


def mutated(stream: bytes, others: list[bytes], source: random.Random) -> bytes:
    """Return the stream after one to six cuts, flips, insertions and splices."""
    data = bytearray(stream)
    for _ in range(source.randint(1, 6)):
        at = source.randrange(len(data) + 1)
        match source.randrange(7):
            case 0:
                data[at : at + 1] = bytes([source.randrange(256)])
            case 1:
                data[at : at + 1] = bytes([source.choice(OPCODES)])
            case 2:
                del data[at : at + source.randint(1, 40)]
            case 3:
                data[at:at] = source.choice(WORDS)
            case 4:
                begin = source.randrange(len(data) + 1)
                data[at:at] = data[begin : begin + source.randint(1, 60)]
            case 5:
                other = source.choice(others)
                begin = source.randrange(len(other))
                data[at:at] = other[begin : begin + source.randint(1, 200)]
            case _:
                data[at:at] = bytes([source.choice(OPCODES)])
    return bytes(data)


def check(stream: bytes) -> Scan:
    """Scan a stream and, if it passes, hold what unpicklers ask for against the scan and the list."""
    found = scan(stream, RULES)
    if found.finding is not None:
        return found
    told = {canonical(pair) for pair in found.imports}
    asked: Pairs = set()
    reader: Callable[[], object]
    if found.arrays:
        reader = _RecordingLoader(stream, asked).load
    else:
        recording = _Recording(stream)
        asked, reader = recording.asked, recording.load
    # The stand-ins do not behave as the classes do, so a load may end early; never with more imports.
    with warnings.catch_warnings(), contextlib.suppress(Exception):
        warnings.simplefilter("ignore")
        reader()
    assert asked <= told, (asked - told, stream)
    assert told <= set(allowlist()), (told - set(allowlist()), stream)
    return found
