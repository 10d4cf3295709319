"""Load every reader, so that a worker's first job does not pay for imports."""

from __future__ import annotations

from importlib import import_module

from cadml.geometry.formats import FORMATS


def load_readers() -> None:
    """Import the modules of all readers in ``FORMATS``."""
    for row in FORMATS.values():
        import_module(row.reader.partition(":")[0])
