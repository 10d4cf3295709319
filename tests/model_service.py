"""A real service whose models folder, trust list and blobs a test can reach."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import trimesh

from cadml.config import Settings
from cadml.engine import Engine
from made_models import bundle, keep, trust
from served import API, serving


class ModelService:
    """Words for what an operator does."""

    def __init__(self, engine: Engine, client: httpx.Client) -> None:
        self.engine = engine
        self.client = client
        self.folder = engine.settings.data_dir / "models"
        self.folder.mkdir(exist_ok=True)
        self.box = trimesh.creation.box((1, 2, 3)).export(file_type="stl")

    def put(self, name: str, data: bytes, *, trusted: bool = True) -> str:
        """Put a file into the models folder; return its name."""
        (self.folder / name).write_bytes(data)
        if trusted:
            trust(self.engine, data)
        return name

    def reload(self, **query: Any) -> httpx.Response:
        return self.client.post(f"{API}/model/reload", json=query)

    def rollback(self, **query: Any) -> httpx.Response:
        return self.client.post(f"{API}/model/rollback", json=query)

    def activate(self, version: str, **changes: Any) -> None:
        """Keep a made model and let it serve."""
        keep(self.engine, bundle(version, **changes), version, **changes)
        answer = self.reload(version=version)
        assert answer.status_code == 200, answer.text

    def get(self, path: str) -> Any:
        answer = self.client.get(f"{API}{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def classify(self, *, store: bool = False) -> dict[str, Any]:
        """Analyse a box; return what is said of its class."""
        answer = self.client.post(
            f"{API}/analyze",
            files={"file": ("box.stl", self.box)},
            data={"options": json.dumps({"similar": 0, "store": store})},
        )
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()["classification"]
        return found

    def scrape(self) -> str:
        return self.client.get("/metrics").text


@contextmanager
def model_service(folder: Path, **settings: Any) -> Iterator[ModelService]:
    given = {"data_dir": folder, "extract_workers": 1} | settings
    with Engine(Settings(**given)) as engine, serving(engine) as client:
        yield ModelService(engine, client)
