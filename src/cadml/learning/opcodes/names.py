"""Old names of what is still there: what Python 2 and numpy 1 wrote, we import under today's name."""

from __future__ import annotations

Pair = tuple[str, str]

_MODULES = {
    "copy_reg": "copyreg",
    "__builtin__": "builtins",
    "numpy.core.multiarray": "numpy._core.multiarray",
    "numpy.core.numeric": "numpy._core.numeric",
}

RECONSTRUCTOR: Pair = ("copyreg", "_reconstructor")
ENCODE: Pair = ("_codecs", "encode")
ARRAY: Pair = ("numpy", "ndarray")
DTYPE: Pair = ("numpy", "dtype")
EMPTY_ARRAY: Pair = ("numpy._core.multiarray", "_reconstruct")
ARRAY_OF_BUFFER: Pair = ("numpy._core.numeric", "_frombuffer")
SCALAR: Pair = ("numpy._core.multiarray", "scalar")
MASKED_ARRAY: Pair = ("numpy.ma.core", "_mareconstruct")
ARRAY_WRAPPER: Pair = ("joblib.numpy_pickle", "NumpyArrayWrapper")


def canonical(pair: Pair) -> Pair:
    """Return the name under which the import is judged and made."""
    return _MODULES.get(pair[0], pair[0]), pair[1]
