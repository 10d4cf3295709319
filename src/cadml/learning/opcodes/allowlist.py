"""The reviewed list: exact (module, name) pairs, and exactly how an honest model uses each.

``scripts/derive_allowlist.py`` writes a file per scikit-learn and numpy release line from the
estimators that are accepted; a person reads the difference before it is committed. A use is one of

- ``value``: named only, as a dtype or a function in an attribute;
- ``new:N``, ``call:N``: made by ``__new__`` or called, with N arguments;
- ``base:M.N``: made by ``copyreg._reconstructor`` on this base;
- ``build:dict``, ``build:tupleN``, ``build:other``: then given a state of this kind;
- ``items``, ``append``: then filled like a dict or a list;
- ``takes:M.N``: called with this class or function as an argument.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import metadata
from importlib.resources import files

from cadml.learning.opcodes.names import Pair

Allowlist = dict[Pair, frozenset[str]]
PACKAGES = ("scikit-learn", "numpy")


def release_line() -> str:
    """Return which scikit-learn and numpy are installed, as the name of their list."""
    versions = (metadata.version(name).split(".")[:2] for name in PACKAGES)
    return "-".join(f"{name}-{'.'.join(each)}" for name, each in zip(PACKAGES, versions, strict=True))


@cache
def allowlist() -> Allowlist:
    """Return the list for what is installed; empty, so that nothing passes, if nobody reviewed one."""
    source = files("cadml.learning.opcodes") / "allowlists" / f"{release_line()}.json"
    if not source.is_file():
        return {}
    raw: dict[str, dict[str, list[str]]] = json.loads(source.read_text(encoding="utf-8"))
    return {(module, name): frozenset(uses) for module, names in raw.items() for name, uses in names.items()}
