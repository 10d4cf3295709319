"""All that Open CASCADE can raise.

The bindings give its exceptions no common base but :class:`Exception`, so they are gathered from the
modules that define them.
"""

from __future__ import annotations

from types import ModuleType

from OCP import Geom, Geom2d, Interface, LProp, Standard, StdFail, Storage, TopoDS, Transfer, gp, math


def _exceptions(module: ModuleType) -> list[type[Exception]]:
    return [item for item in vars(module).values() if isinstance(item, type) and issubclass(item, Exception)]


_MODULES = (Standard, StdFail, Storage, Geom, Geom2d, gp, math, LProp, TopoDS, Transfer, Interface)
FAILURES: tuple[type[Exception], ...] = tuple(
    dict.fromkeys(failure for module in _MODULES for failure in _exceptions(module))
)
