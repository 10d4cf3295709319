"""A real Prometheus beside a real service: started on loopback, asked over its HTTP API."""

from __future__ import annotations

import json
import math
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import yaml

from programs import wait_for

JOB = "cadml"
WINDOW = "30m"  # longer than any drive: everything that happened is in it
VARIABLES = {"$__rate_interval": WINDOW, "$__range": WINDOW, "$job": JOB, "$instance": ".+"}


class Prometheus:
    """Asks one server."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=30)

    def close(self) -> None:
        self._client.close()

    def is_ready(self) -> bool:
        try:
            return self._client.get("/-/ready").status_code == 200
        except httpx.HTTPError:
            return False

    def api(self, path: str, **parameters: str) -> Any:
        """Return the data of a good answer; what Prometheus finds wrong with a query is raised."""
        body = self._client.get(f"/api/v1/{path}", params=parameters).json()
        assert body["status"] == "success", f"{body.get('error')} — {parameters}"
        return body["data"]

    def values(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Return labels and value of each series that ``expression`` has now; a NaN is none."""
        for name, value in VARIABLES.items():
            expression = expression.replace(name, value)
        data = self.api("query", query=expression)
        rows = data["result"] if data["resultType"] == "vector" else [{"metric": {}, "value": data["result"]}]
        found = [(row["metric"], float(row["value"][1])) for row in rows]
        return [(labels, value) for labels, value in found if not math.isnan(value)]

    def wait_for_scrapes(self, seconds: float = 60) -> None:
        """Return once everything up to now was scraped, and every rule was computed after that."""
        moment = time.time()
        for _ in range(2):  # the first scrape may have begun before now
            wait_for(lambda: self._scraped() > moment, seconds)  # noqa: B023 - this turn's
            moment = time.time()
        wait_for(lambda: self._computed() > moment, seconds)

    def _scraped(self) -> float:
        return min((value for _, value in self.values(f'timestamp(up{{job="{JOB}"}})')), default=0)

    def _computed(self) -> float:
        groups = self.api("rules")["groups"]
        return min(datetime.fromisoformat(group["lastEvaluation"]).timestamp() for group in groups)


def _quick(rules: Path, folder: Path) -> Path:
    """Write the rules as they are, but computed every second."""
    document = yaml.safe_load(rules.read_text(encoding="utf-8"))
    for group in document["groups"]:
        group["interval"] = "1s"
    path = folder / rules.name
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


@contextmanager
def prometheus(program: str, folder: Path, target: str, rules: list[Path]) -> Iterator[Prometheus]:
    """Scrape ``target`` every second and compute ``rules`` with ``program`` until the block ends."""
    folder.mkdir()
    configuration = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(_quick(path, folder)) for path in rules],
        "scrape_configs": [{"job_name": JOB, "static_configs": [{"targets": [target]}]}],
    }
    (folder / "prometheus.yml").write_text(json.dumps(configuration), encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={address}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            with closing(Prometheus(f"http://{address}")) as server:
                wait_for(lambda: server.is_ready() or process.poll() is not None, 60)
                assert process.poll() is None, (folder / "log").read_text()[-3000:]
                yield server
        finally:
            process.terminate()
            process.wait(30)
