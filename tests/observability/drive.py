"""Use every feature of a running service once, over HTTP, as its users would."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from cadml.geometry.samples import write_library
from made_models import bundle
from programs import API, Installation, extraction_processes, prism, wait_for

BASELINE = 100  # the smallest that CADML_DRIFT_BASELINE_SIZE takes
SETTINGS = {
    "CADML_FEATURE_VERSION": "v4",
    "CADML_DRIFT_BASELINE_SIZE": str(BASELINE),
    "CADML_EXTRACT_TIMEOUT_S": "60",
}


class Hostile:
    """What a loader that trusts pickles would run."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch /tmp/never",)


class Drive:
    """One service, and what was put into it."""

    def __init__(self, installation: Installation, folder: Path) -> None:
        self.installation = installation
        files = sorted(write_library(folder))
        self.samples = [
            *[path for path in files if path.suffix == ".step"][:4],
            *[path for path in files if path.suffix == ".dxf"][:2],
        ]
        self.client = httpx.Client(base_url=installation.url, timeout=120)
        self.parts: list[str] = []

    def call(self, method: str, path: str, *statuses: int, **body: Any) -> httpx.Response:
        """Ask, and insist on one of the statuses (200 unless named)."""
        answer = self.client.request(
            method, path if path in {"/health", "/ready"} else f"{API}{path}", **body
        )
        assert answer.status_code in (statuses or (200,)), f"{method} {path}: {answer.text[:500]}"
        return answer

    def metric(self, line: str) -> float:
        """Return the sum of the samples whose line begins with ``line``."""
        text = self.client.get("/metrics").text
        return sum(float(each.rpartition(" ")[2]) for each in text.splitlines() if each.startswith(line))

    def close(self) -> None:
        self.client.close()

    # -- the features, one after another ---------------------------------------------------------

    def everything(self) -> None:
        self.upload()
        self.refuse()
        self.move()
        self.migrate()
        self.search()
        self.tune()
        self.call("GET", "/health/model", 503, 200)
        for number in (1, 2, 3):
            self.activate(f"made-{number}")
        self.ingest(BASELINE + 10, "steel", 3)
        wait_for(lambda: self.metric("drift_baseline_created_total") >= 3, 120)
        self.ingest(40, "brass", 40)
        for subject in ("material_distribution", "classification_prediction"):
            wait_for(lambda: self.metric(f"{subject}_drift_score_count") > 0, 120)  # noqa: B023
        self.lose_a_reader()
        self.call("POST", "/drift/reset", json={"subject": "material", "source": "recent"})
        self.offer_bad_models()
        self.call("POST", "/model/rollback", json={"levels": 1})
        self.watch()

    def upload(self) -> None:
        """Sample parts of every kind: exact, mesh, drawing."""
        for path in self.samples:
            form = {"file": (path.name, path.read_bytes())}
            answer = self.call("POST", "/analyze", files=form, data={"material": "steel"})
            self.parts.append(answer.json()["id"])
        for size in range(3):
            form = {"file": (f"prism-{size}.stl", prism(5, 10 + size, 4))}
            self.parts.append(self.call("POST", "/parts", 201, files=form).json()["id"])

    def refuse(self) -> None:
        """What no reader takes, what a reader refuses, what nobody knows."""
        wrong = {
            "picture.step": b"\x89PNG\r\n\x1a\n" + bytes(200),
            "cut.stl": prism(5, 10, 4)[:300],
            "unknown.xyz": b"0 0 0",
        }
        for name, content in wrong.items():
            self.call("POST", "/analyze", 415, 422, files={"file": (name, content)})
        self.call("GET", "/parts/nobody", 404)
        self.call("POST", "/search", 422, json={"vector": [1.0], "version": "v1"})

    def move(self) -> None:
        """Single parts down and up again, one that nobody has, and a vector that cannot go up."""
        registered = {"id": "elsewhere", "version": "v1", "vector": [1.0] * 7}
        self.call("POST", "/vectors/register", 201, json=registered)
        ids = [*self.parts[:3], "nobody", "elsewhere"]
        for version, dry_run in (("v2", True), ("v2", False), ("v4", False)):
            body = {"ids": ids, "to_version": version, "dry_run": dry_run}
            self.call("POST", "/vectors/migrate", json=body)
        self.call("DELETE", "/vectors/elsewhere", 204)  # the whole library is to be moved next

    def migrate(self) -> None:
        """The whole library to v5, back, and to v5 again."""
        self.call("POST", "/vectors/migrate/run", 202, json={"to_version": "v5"})
        wait_for(lambda: self.migration()["state"] in {"ready", "failed"}, 180)
        assert self.migration()["state"] == "ready", self.call("GET", "/vectors/migrate/status").text
        for step in ("activate", "rollback", "activate"):
            self.call("POST", f"/vectors/migrate/{step}")
        assert self.migration()["state"] == "active"

    def migration(self) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", "/vectors/migrate/status").json()["migration"]
        return found

    def search(self) -> None:
        """By part, by file, by vector, in batches of each size; features and differences."""
        first, second = self.parts[:2]
        for _ in range(3):
            self.call("GET", f"/parts/{first}/similar")
            self.call("POST", "/search", json={"part_id": second, "k": 3})
            self.call("POST", "/search", json={"vector": [0.0] * 7, "version": "v1"})
            self.call("POST", "/search", files={"file": ("prism-1.stl", prism(6, 11, 4))})
        for count in (2, 10, 30):
            self.call("POST", "/similarity/batch", json={"ids": (self.parts * 5)[:count], "k": 3})
        self.call("GET", "/features/diff", params={"id_a": first, "id_b": second, "version": "v4"})

    def tune(self) -> None:
        """Hits, misses, evictions; advice by bands and from evidence; settings there and back."""
        asked = {"hit_rate": 0.32, "capacity": 1200, "ttl": 3600, "window_hours": 6}
        assert self.call("POST", "/features/cache/tuning", json=asked).json()["recommended_capacity"] == 1800
        self.call("POST", "/features/cache/tuning", 422, json={"hit_rate": 2})
        self.call("GET", "/features/cache/tuning")
        for _ in range(3):
            for part in self.parts:
                self.call("GET", f"/parts/{part}/features", params={"version": "v4"})
        self.call("POST", "/features/cache/apply", json={"capacity": 2})
        self.call("POST", "/features/cache/rollback")
        self.call("POST", "/features/cache/prewarm")

    def model_file(self, name: str, content: bytes, *, trusted: bool = True) -> str:
        """Put a file into the models folder, and trust it as an operator does."""
        path = self.installation.folder / "models" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        if trusted:
            words = ["model", "trust", str(path), "--why", "made for a test", "--version", "v1"]
            subprocess.run(
                [sys.executable, "-m", "cadml", *words],
                env=self.installation.environment,
                check=True,
                capture_output=True,
            )
        return name

    def activate(self, version: str) -> None:
        name = self.model_file(f"{version}.cadml", bundle(version))
        self.call("POST", "/model/reload", json={"path": name})

    def offer_bad_models(self) -> None:
        """A file that runs a command, one that nobody trusts, one that is no classifier, and none at all."""
        hostile = pickle.dumps(Hostile())
        self.refuse_model(403, self.model_file("hostile.pkl", hostile))
        self.refuse_model(403, self.model_file("stranger.cadml", bundle("stranger"), trusted=False))
        self.refuse_model(422, self.model_file("dictionary.pkl", pickle.dumps({"predict": 1})))
        self.refuse_model(404, "nowhere.cadml")

    def refuse_model(self, status: int, name: str) -> None:
        self.call("POST", "/model/reload", status, json={"path": name})

    def ingest(self, count: int, material: str, corners: int) -> None:
        """Queue ``count`` prisms as one durable job, and wait until it has ended."""
        files = [
            ("files", (f"{material}-{index}.stl", prism(corners + index % 9, 5 + index, 3 + index % 7)))
            for index in range(count)
        ]
        job = self.call("POST", "/jobs/ingest", 202, files=files, data={"material": material}).json()["id"]
        wait_for(lambda: self.call("GET", f"/jobs/{job}").json()["finished_at"] is not None, 300)

    def lose_a_reader(self) -> None:
        """Kill reading processes until one dies with a file in its hands."""
        for attempt in range(20):
            files = [
                ("files", (f"lost-{attempt}-{index}.stl", prism(40, 500 + 100 * attempt + index, 9)))
                for index in range(60)
            ]
            job = self.call("POST", "/jobs/ingest", 202, files=files).json()["id"]
            for process in extraction_processes(self.installation):
                with suppress(ProcessLookupError):  # it was replaced meanwhile
                    os.kill(process, signal.SIGKILL)
            wait_for(lambda: self.call("GET", f"/jobs/{job}").json()["finished_at"] is not None, 300)  # noqa: B023
            if self.metric("extraction_worker_failures_total"):
                return
        raise AssertionError("no process died while it read")

    def watch(self) -> None:
        """What load balancers and people ask."""
        for path in ("/health", "/ready"):
            self.client.get(path).raise_for_status()
        for path in ("/health/vectors", "/health/features/cache", "/health/model"):
            self.client.get(f"{API}{path}").raise_for_status()
