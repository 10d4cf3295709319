"""How fast models answer, and what a storm of reloads costs those who ask meanwhile.

    python benchmarks/models.py

Prints JSON: the median time of one classification and of a batch of 1,000 by the active-size model
that training makes (100 trees and a logistic model over v5), and the 99th percentile of searches
with a class by eight clients, quiet and during 200 switches without pause: reloads of good, bad, huge
and hostile files, and rollbacks. Times are wall clock; quote their ratio where other load runs beside.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path

import httpx
import numpy as np

from cadml import log
from cadml.features.versions import VERSIONS
from cadml.learning.estimators import ESTIMATORS, fitted
from cadml.learning.graph import convert
from cadml.learning.onnx_predictor import OnnxPredictor

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from made_models import bundle, keep, vectors
from model_service import model_service
from served import API

CLIENTS, QUIET_S, SWITCHES, CLASSES = 8, 10.0, 200, 12


def inference() -> dict[str, float]:
    """Return ms per call for one vector and for 1,000."""
    version = VERSIONS["v5"]
    random = np.random.default_rng(0)
    rows = (version.offset + random.normal(size=(1000, version.length)) / version.scale).astype(np.float32)
    codes = np.arange(1000) % CLASSES
    rows[:, 0] += codes / version.scale[0]
    model = fitted(ESTIMATORS["blend"], version.scaled(rows), codes)
    names = tuple(f"class {k}" for k in range(CLASSES))
    predictor = OnnxPredictor(convert(model, version, 1.0), names, version.length)
    found = {}
    for size, turns in ((1, 300), (1000, 20)):
        times = []
        for _ in range(turns):
            start = time.perf_counter()
            predictor.probabilities(rows[:size])
            times.append(1000 * (time.perf_counter() - start))
        found[f"batch_of_{size}_p50_ms"] = statistics.median(times)
    return found


def storm() -> dict[str, object]:
    """Return the 99th percentile in ms, quiet and in a storm, their ratio, and failures."""
    with tempfile.TemporaryDirectory() as folder, model_service(Path(folder), model_max_mb=1) as service:
        for number in range(8):
            keep(service.engine, bundle(f"good-{number}"), f"good-{number}")
        service.put("bad.cadml", bundle("bad", feature_version="v2"))
        service.put("huge.cadml", bytes(3 << 20))
        service.put("hostile.pkl", b"cos\nsystem\n(S'exit 97'\ntR.")
        service.reload(version="good-0")
        url, row = str(service.client.base_url), vectors()[0][0].tolist()
        calm = threading.Timer(QUIET_S, (ended := threading.Event()).set)
        calm.start()
        quiet, failed = _ask(url, row, ended)
        outcomes: Counter[int] = Counter()
        ended = threading.Event()

        def switch() -> None:
            files = ({"path": name} for name in cycle(("bad.cadml", "huge.cadml", "hostile.pkl")))
            for number in range(SWITCHES // 4):
                for answer in (
                    service.reload(version=f"good-{number % 8}"),
                    service.reload(**next(files)),
                    service.reload(version=f"good-{(number + 1) % 8}"),
                    service.rollback(),
                ):
                    outcomes[answer.status_code] += 1
            ended.set()

        thread = threading.Thread(target=switch)
        thread.start()
        loud, failed_in_storm = _ask(url, row, ended)
        thread.join()
    p99 = [float(np.percentile(times, 99)) for times in (quiet, loud)]
    return {
        "quiet_p99_ms": p99[0],
        "storm_p99_ms": p99[1],
        "ratio": p99[1] / p99[0],
        "switches": dict(outcomes),
        "answers": len(quiet) + len(loud),
        "failed": failed + failed_in_storm,
    }


def _ask(url: str, row: list[float], ended: threading.Event) -> tuple[list[float], int]:
    """Return ms of each answer to eight clients that never pause, and how many failed."""

    def client(_: int) -> tuple[list[float], int]:
        times, failed = [], 0
        with httpx.Client(base_url=url, timeout=60) as session:
            while not ended.is_set():
                start = time.perf_counter()
                query = {"vector": row, "version": "v1", "k": 1, "classify": True}
                answer = session.post(f"{API}/search", json=query)
                times.append(1000 * (time.perf_counter() - start))
                failed += answer.status_code != httpx.codes.OK
        return times, failed

    with ThreadPoolExecutor(CLIENTS) as threads:
        answers = list(threads.map(client, range(CLIENTS)))
    return [each for times, _ in answers for each in times], sum(failed for _, failed in answers)


def main() -> None:
    log.configure("json", "error")  # every request would be a line
    print(json.dumps({"inference": inference(), "storm": storm()}, indent=2))


if __name__ == "__main__":
    main()
