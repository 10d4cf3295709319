"""Block references of a DXF drawing unfolded into the entities that they show, within limits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ezdxf.entities import DXFGraphic, Insert
from ezdxf.lldxf.const import DXFError

from cadml.errors import FileTooLarge
from cadml.geometry.part import Finding, Severity

MOST_ENTITIES = 500_000  # after unfolding; a few blocks that hold each other's arrays reach billions
DEEPEST = 32  # blocks within blocks
# What ezdxf raises on entities whose data make no sense.
DAMAGE = (
    DXFError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    ArithmeticError,
    AssertionError,
)


@dataclass(slots=True)
class Unfolding:
    """Walks entities in drawing order and remembers what went wrong on the way."""

    hidden_layers: frozenset[str]
    texts: list[str] = field(default_factory=list)
    cyclic: set[str] = field(default_factory=set)
    unreadable: int = 0
    _seen: int = 0

    def entities(
        self, source: Iterable[Any], within: tuple[str, ...] = (), layer: str = "0"
    ) -> Iterator[tuple[DXFGraphic, str]]:
        """Yield each visible entity and its layer; an INSERT is replaced by what its block shows.

        Raises
        ------
        FileTooLarge
            More than ``MOST_ENTITIES`` come out, or blocks are nested deeper than ``DEEPEST``.
        """
        for entity in source:
            # In a block, layer 0 means the layer of the reference.
            try:
                own = str(entity.dxf.get("layer", "0"))
                is_hidden = bool(entity.dxf.get("invisible", 0))
            except DAMAGE:
                self.unreadable += 1
                continue
            own = layer if own == "0" and within else own
            if is_hidden or own.lower() in self.hidden_layers:
                continue
            if isinstance(entity, Insert):
                yield from self._references(entity, within, own)
                continue
            self._count(1)
            yield entity, own

    def findings(self) -> list[Finding]:
        """Return what had to be left out."""
        found = []
        if self.cyclic:
            names = ", ".join(sorted(self.cyclic)[:5])
            found.append(
                Finding(
                    "CYCLIC_BLOCK",
                    Severity.SUSPECT,
                    f"blocks that contain themselves were cut off: {names[:200]}",
                )
            )
        if self.unreadable:
            found.append(
                Finding(
                    "UNREADABLE_ENTITY",
                    Severity.SUSPECT,
                    f"{self.unreadable} entities make no sense: left out",
                )
            )
        return found

    def _count(self, number: int) -> None:
        self._seen += number
        if self._seen > MOST_ENTITIES:
            raise FileTooLarge(f"the drawing's blocks unfold to more than {MOST_ENTITIES} entities")

    def _references(
        self, insert: Insert, within: tuple[str, ...], layer: str
    ) -> Iterator[tuple[DXFGraphic, str]]:
        name = str(insert.dxf.get("name", "")).lower()
        if name in within:
            self.cyclic.add(name)
            return
        if len(within) >= DEEPEST:
            raise FileTooLarge(f"the drawing's blocks are nested deeper than {DEEPEST}")
        try:
            rows, columns = max(1, insert.dxf.row_count), max(1, insert.dxf.column_count)
            self._count(rows * columns)  # before the array is laid out
            self._seen -= rows * columns - 1  # what it shows is counted entity by entity
            self.texts += [text for text in (attrib.dxf.get("text", "") for attrib in insert.attribs) if text]
            copies = list(insert.multi_insert()) if rows * columns > 1 else [insert]
        except DAMAGE:
            self.unreadable += 1
            return
        for copy in copies:
            yield from self.entities(self._shown(copy), (*within, name), layer)

    def _shown(self, insert: Insert) -> Iterator[DXFGraphic]:
        """Yield the block's entities where the reference puts them."""
        entities = iter(insert.virtual_entities())
        while True:
            try:
                entity = next(entities)
            except StopIteration:
                return
            except DAMAGE:  # a generator that has raised is over: the rest of this block is lost
                self.unreadable += 1
                return
            yield entity
