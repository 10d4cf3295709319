"""The unpickler for scanned streams: it imports under the same rules, and reads joblib's arrays itself.

For the confined process only. It is Python's own ``pickle._Unpickler``, whose steps the abstract
machine follows, without the opcodes that the scan refuses anyway.
"""

from __future__ import annotations

import importlib
import io
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cadml.learning.opcodes.machine import Rules
from cadml.learning.opcodes.names import ARRAY_WRAPPER, canonical
from cadml.learning.opcodes.values import Global

_REFUSED = tuple(
    code[0]
    for code in (
        pickle.EXT1,
        pickle.EXT2,
        pickle.EXT4,
        pickle.PERSID,
        pickle.BINPERSID,
        pickle.NEXT_BUFFER,
        pickle.READONLY_BUFFER,
    )
)


class StoredArray:
    """Stands where joblib's own wrapper stood; holds what follows it in the file."""

    subclass: type
    shape: tuple[int, ...]
    order: str
    dtype: np.dtype[Any]
    allow_mmap: bool
    numpy_array_alignment_bytes: int | None = None


# joblib, too, builds on Python's own machine, which alone lets an opcode be replaced.
_PythonUnpickler: Any = vars(pickle)["_Unpickler"]


class _Loader(_PythonUnpickler):  # type: ignore[misc]
    """Loads what the scan has passed, and nothing else."""

    dispatch = {  # noqa: RUF012 - the name that the parent looks under
        code: step for code, step in _PythonUnpickler.dispatch.items() if code not in _REFUSED
    }

    def __init__(self, stream: io.BytesIO, rules: Rules) -> None:
        super().__init__(stream)
        self._stream = stream
        self._rules = rules

    def find_class(self, module: str, name: str) -> Any:
        """Return what the rules let be imported."""
        pair = canonical((module, name))
        objection = self._rules.imported(Global(*pair))
        if objection is not None:
            raise pickle.UnpicklingError(objection)
        if pair == ARRAY_WRAPPER:
            return StoredArray
        return getattr(importlib.import_module(pair[0]), pair[1])

    def load_build(self) -> None:
        """Set a state; where it announces an array, read the array."""
        super().load_build()
        if isinstance(self.stack[-1], StoredArray):
            self.stack[-1] = self._array(self.stack[-1])

    dispatch[pickle.BUILD[0]] = load_build

    def _array(self, stored: StoredArray) -> NDArray[Any]:
        if stored.dtype.hasobject:
            return np.asarray(_Loader(self._stream, self._rules).load())
        if stored.numpy_array_alignment_bytes is not None:
            self._stream.read(self._stream.read(1)[0])
        count = int(np.prod(stored.shape, dtype=np.int64))
        raw = self._stream.read(count * stored.dtype.itemsize)
        array = np.frombuffer(bytearray(raw), dtype=stored.dtype, count=count)
        return array.reshape(stored.shape, order="F" if stored.order == "F" else "C")


def load(stream: bytes, rules: Rules) -> Any:
    """Return the object of a stream that :func:`~cadml.learning.opcodes.scan` has passed.

    Raises
    ------
    Exception
        Whatever the classes raise that the stream makes: the caller is a process that may die.
    """
    reader: Callable[[], Any] = _Loader(io.BytesIO(stream), rules).load
    return reader()
