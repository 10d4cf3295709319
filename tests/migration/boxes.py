"""Small parts for the tests of migrations: boxes as STL, each of its own bytes, and a drawing."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ezdxf
import trimesh

from cadml.engine import Engine, Options
from cadml.store.parts import NewEntry

AT_WORK = {"planned", "building", "checking"}


def box_bytes(number: int) -> bytes:
    data = trimesh.creation.box((1.0 + number, 2.0, 3.0 + number % 3)).export(file_type="stl")
    assert isinstance(data, bytes)
    return data


def add_box(engine: Engine, folder: Path, number: int) -> str:
    path = folder / f"box-{number}.stl"
    path.write_bytes(box_bytes(number))
    return add(engine, path)


def add_drawing(engine: Engine, folder: Path) -> str:
    document = ezdxf.new()
    document.modelspace().add_lwpolyline([(0, 0), (10, 0), (10, 5), (0, 5)], close=True)
    path = folder / "drawing.dxf"
    document.saveas(path)
    return add(engine, path)


def add(engine: Engine, path: Path) -> str:
    part = engine.analyze(path, NewEntry(path.name), Options(similar=0)).part
    assert part is not None
    return part.id


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def settled(engine: Engine) -> dict[str, Any]:
    """Return the migration once it waits for a person, and nothing of a former one is left."""
    library = engine.migrations.library
    wait_for(lambda: library.records.all()[0].state not in AT_WORK and not library.is_clearing())
    migration: dict[str, Any] = engine.migrations.reports.status()["migration"]
    return migration
