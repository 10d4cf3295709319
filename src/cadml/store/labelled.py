"""What the library itself knows of classes: labels and families that people wrote into metadata."""

from __future__ import annotations

from dataclasses import dataclass

from cadml.store.contents import Floats, raw_values
from cadml.store.database import Database


@dataclass(frozen=True, slots=True)
class LabelledRow:
    """A stored part with a label; an empty ``family`` is one of its own."""

    sha256: str
    label: str
    family: str
    vector: Floats


def labelled(database: Database, version: str) -> list[LabelledRow]:
    """Return every entry whose metadata has a label and whose content has a vector of ``version``."""
    with database.single() as connection:
        rows = connection.execute(
            "SELECT encode(c.sha256, 'hex'), p.metadata ->> 'label',"
            " coalesce(p.metadata ->> 'family', ''), v.raw"
            " FROM parts p JOIN contents c ON c.key = p.content"
            " JOIN vectors v ON v.content = c.key AND v.version = %s"
            " WHERE p.has_file AND p.metadata ->> 'label' <> '' ORDER BY p.seq",
            (version,),
            binary=True,
        ).fetchall()
    return [LabelledRow(sha256, label, family, raw_values(raw)) for sha256, label, family, raw in rows]
