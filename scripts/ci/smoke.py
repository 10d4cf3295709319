"""The checks of the staging smoke, against a service that listens: `docker_staging_smoke.sh` calls this.

Each step prints one line; the first that fails prints its reason and ends with exit 1. What was
answered is kept as artifacts, also where a step failed.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from cadml.observability.table import METRICS
from cadml.source import fingerprint

ROOT = Path(__file__).parents[2]
API = "/api/v1"
TUNING = {"hit_rate": 0.32, "capacity": 1200, "ttl": 3600, "window_hours": 6}
ADVICE = {"recommended_capacity": 1800, "recommended_ttl": 3600, "confidence": 0.75}
LOOK_EVERY_S = 0.5
SAMPLE = """
import sys
from pathlib import Path
from cadml.geometry.samples import recipes
from cadml.geometry.samples.writing import write_step
recipe = next(each for each in recipes() if each.label == "spur_gear")
write_step(recipe.build(), Path(sys.argv[1]), "SMOKE-1", recipe.material)
"""


class SmokeError(Exception):
    """A step did not end as it should; the sentence says what was found."""


class Smoke:
    """One run against the service at ``url``."""

    def __init__(self, url: str, key: str, artifacts: Path, patience_s: float) -> None:
        self.client = httpx.Client(base_url=url, headers={"X-API-Key": key} if key else {}, timeout=120)
        self.url = url
        self.artifacts = artifacts
        self.patience_s = patience_s

    def keep(self, name: str, content: bytes) -> None:
        """Write an artifact."""
        self.artifacts.mkdir(parents=True, exist_ok=True)
        (self.artifacts / name).write_bytes(content)

    def health(self) -> str:
        """Wait until the service is alive; it must export metrics and run what lies in this checkout."""
        answer = self._awaited("/health", lambda found: found.status_code == 200)
        self.keep("health.json", answer.content)
        try:
            told = answer.json()
        except ValueError as error:
            raise SmokeError(f"{self.url}/health is no JSON; does something else listen there?") from error
        if told.get("runtime", {}).get("metrics_enabled") is not True:
            raise SmokeError("runtime.metrics_enabled is not true: the service runs without metrics")
        version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
        ours = (version, fingerprint(ROOT / "src" / "cadml"))
        theirs = (told.get("version"), told.get("source"))
        if theirs != ours:
            raise SmokeError(
                f"stale: version {theirs[0]} of source {theirs[1]} runs, this checkout is version {ours[0]}, "
                f"source {ours[1]}; build again, without SKIP_BUILD"
            )
        return f"version {version}, source {ours[1]}, metrics on"

    def ready(self) -> str:
        """Wait until the service can work."""
        answer = self._awaited("/ready", lambda found: found.status_code in {200, 503} and _is_ready(found))
        self.keep("ready.json", answer.content)
        return ", ".join(answer.json()["checks"])

    def upload(self) -> str:
        """Send a real STEP file, and find it by its own look."""
        path = self.artifacts / "smoke.step"
        write_step_file(path)
        file = {"file": (path.name, path.read_bytes())}
        part = self._json(self.client.post(f"{API}/analyze", files=file, data={"part_number": "SMOKE-1"}))
        found = self._json(self.client.post(f"{API}/search", files=file, data={"query": '{"k": 3}'}))
        if not found["neighbours"]:
            raise SmokeError("the search finds nothing, though the file was stored a moment ago")
        nearest = found["neighbours"][0]
        if nearest["id"] != part["id"] or nearest["distance"] > 1e-3:
            raise SmokeError(
                f"the search finds {nearest['name']} at {nearest['distance']}, not the file itself"
            )
        return f"{part['geometry']['faces']} faces read, found at distance {nearest['distance']:g}"

    def tuning(self) -> str:
        """Ask for the contract's advice on a cache of stated numbers."""
        answer = self.client.post(f"{API}/features/cache/tuning", json=TUNING)
        self.keep("cache_tuning.json", answer.content)
        told = self._json(answer)
        wrong = {name: told.get(name) for name, value in ADVICE.items() if told.get(name) != value}
        if wrong:
            raise SmokeError(f"the advice is {wrong}, and must be {ADVICE}")
        return ", ".join(f"{name} {value}" for name, value in ADVICE.items())

    def metrics(self) -> str:
        """Scrape: every row of the metric table is exported, and this run has moved what it should."""
        answer = self.client.get("/metrics")
        self.keep("metrics.txt", answer.content)
        exported = set(re.findall(r"^# TYPE (\S+)", answer.text, re.MULTILINE))
        missing = sorted(name for name in METRICS if name not in exported)
        if missing:
            raise SmokeError(f"not exported: {', '.join(missing)}")
        for series, least in (
            ('feature_cache_tuning_requests_total{status="ok"}', 1),
            ("feature_cache_tuning_recommended_capacity", ADVICE["recommended_capacity"]),
            ("feature_cache_tuning_recommended_ttl_seconds", ADVICE["recommended_ttl"]),
            ('vector_store_vectors{version="v5"}', 1),
            ('vector_query_latency_seconds_count{kind="file"}', 1),
            ("model_opcode_mode", 0),
            ("model_rollback_level", 0),
        ):
            value = sample(answer.text, series)
            if value is None or value < least:
                raise SmokeError(f"{series} is {value}, and must be at least {least}")
        series = sum(not line.startswith("#") for line in answer.text.splitlines())
        return f"{len(METRICS)} metrics, {series} series"

    def dashboards(self) -> str:
        """Compare every panel and rule with what cadml exports."""
        words = [sys.executable, str(ROOT / "scripts" / "validate_dashboard_metrics.py")]
        ran = subprocess.run(words, capture_output=True, text=True, check=False)
        if ran.returncode:
            raise SmokeError((ran.stderr.strip() or ran.stdout.strip()).splitlines()[0])
        return ran.stdout.strip()

    def _awaited(self, path: str, good: Callable[[httpx.Response], bool]) -> httpx.Response:
        deadline = time.monotonic() + self.patience_s
        last = "nothing listens there"
        while time.monotonic() < deadline:
            try:
                answer = self.client.get(path, timeout=10)
            except httpx.HTTPError as error:
                last = str(error) or type(error).__name__
            else:
                if good(answer):
                    return answer
                last = f"{answer.status_code} {answer.text[:300]}"
            time.sleep(LOOK_EVERY_S)
        raise SmokeError(f"{self.url}{path} gives no good answer within {self.patience_s:g} s: {last}")

    def _json(self, answer: httpx.Response) -> dict[str, Any]:
        if answer.is_error:
            raise SmokeError(f"{answer.request.url.path} answers {answer.status_code}: {answer.text[:500]}")
        told: dict[str, Any] = answer.json()
        return told


def _is_ready(answer: httpx.Response) -> bool:
    try:
        return answer.json().get("status") == "ready"
    except ValueError:
        return False


def sample(text: str, series: str) -> float | None:
    """Return the value of a series in Prometheus' text format."""
    found = re.search(rf"^{re.escape(series)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else None


def write_step_file(path: Path) -> None:
    """Write one sample part as STEP, in a process of its own: the kernel chatters on standard output."""
    ran = subprocess.run(
        [sys.executable, "-c", SAMPLE, str(path)], capture_output=True, text=True, check=False
    )
    if ran.returncode:
        raise SmokeError(f"no sample could be written: {ran.stderr.strip().splitlines()[-1]}")


def main() -> int:
    """Take every step in order; return 0 only if all of them end well."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--artifacts", type=Path, required=True)
    parser.add_argument("--patience", type=float, default=120, help="seconds to wait for the service")
    arguments = parser.parse_args()
    key = sys.stdin.readline().strip()  # not on the command line, which everyone can read
    smoke = Smoke(arguments.url, key, arguments.artifacts, arguments.patience)
    report = []
    for step in (smoke.health, smoke.ready, smoke.upload, smoke.tuning, smoke.metrics, smoke.dashboards):
        begin = time.monotonic()
        try:
            said = step()
        except (SmokeError, httpx.HTTPError, KeyError) as error:
            print(f"smoke: {step.__name__}: {error}", file=sys.stderr, flush=True)
            return 1
        report.append({"step": step.__name__, "seconds": round(time.monotonic() - begin, 1), "found": said})
        print(f"ok  {step.__name__:<10} {report[-1]['seconds']:>6} s  {said}", flush=True)
    smoke.keep("smoke.json", json.dumps(report, indent=2).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
