"""What a sample part is before it is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from OCP.TopoDS import TopoDS_Shape


@dataclass(frozen=True, slots=True)
class Recipe:
    """One part: ``design`` names its family within the label, ``size`` its variant."""

    label: str
    design: str
    size: str
    material: str
    build: Callable[[], TopoDS_Shape]

    @property
    def family(self) -> str:
        """The size variants of one design."""
        return f"{self.label}-{self.design}"
