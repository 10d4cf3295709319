"""A real service: engine, embedded PostgreSQL, a free loopback port, and real files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import ezdxf
import httpx
import pytest
import trimesh

from cadml.config import Settings
from cadml.engine import Engine
from served import API, serving, upload


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Boxes of three sizes, a ball, a drawing: their numbers are known without reading them."""
    folder = tmp_path_factory.mktemp("files")
    shapes = {
        "box": trimesh.creation.box((10, 20, 30)),
        "longer": trimesh.creation.box((10, 20, 33)),
        "flat": trimesh.creation.box((2, 40, 60)),
        "ball": trimesh.creation.icosphere(subdivisions=2, radius=9),
    }
    paths = {name: folder / f"{name}.stl" for name in shapes}
    for name, shape in shapes.items():
        paths[name].write_bytes(shape.export(file_type="stl"))
    drawing = ezdxf.new("R2010", units=4)
    drawing.modelspace().add_lwpolyline([(0, 0), (80, 0), (80, 50), (0, 50)], close=True)
    drawing.modelspace().add_circle((40, 25), 10)
    paths["drawing"] = folder / "drawing.dxf"
    drawing.saveas(paths["drawing"])
    return paths


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("installation"),
        extract_workers=1,
        max_upload_mb=2,
        extract_timeout_s=120,
    )
    with Engine(settings) as opened:
        yield opened


@pytest.fixture(scope="session")
def client(engine: Engine) -> Iterator[httpx.Client]:
    with serving(engine) as opened:
        yield opened


@pytest.fixture(scope="session")
def library(client: httpx.Client, files: dict[str, Path]) -> dict[str, str]:
    """Ids of the files by name, each stored once with material and a number."""
    ids = {}
    for index, (name, path) in enumerate(files.items()):
        data = {
            "material": "steel" if index % 2 else "brass",
            "part_number": f"N-{index}",
            "metadata": f'{{"rank": {index}}}',
        }
        answer = client.post(f"{API}/parts", files=upload(path), data=data)
        assert answer.status_code in {200, 201}, answer.text
        ids[name] = answer.json()["id"]
    return ids
