"""How far the estimated miss-ratio curve is from exact LRU, and what watching costs.

    python benchmarks/miss_ratio_curve.py [references]

Errors are points of hit ratio over 300 capacities. "2 %": with the capacity allowed to be off by 2 %,
which is what a cliff needs. Memory is compared with an exact tracker (a dictionary of last uses and a
Fenwick tree), time with the cheapest request there is: an empty answer of the same web framework.
"""

from __future__ import annotations

import http.client
import sys
import threading
import time
import tracemalloc
from array import array
from pathlib import Path

import numpy as np
import uvicorn
from fastapi import FastAPI

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "cache"))
from lru_traces import capacities, exact_hit_ratio, hashes, replay, stack_distances, traces

from cadml.cache.curve import Curve
from cadml.cache.feature_cache import CacheCounts
from cadml.cache.reuse import ReuseSample
from cadml.cache.tuning import advise


def exact_tracker_bytes(keys: list[int]) -> int:
    """Return what tracking every key costs: hash → last use, and counts over twice as many places."""
    tracemalloc.start()
    last = {key + 0: place + 0 for place, key in enumerate(keys)}
    tree = array("I", bytes(4 * 2 * len(last)))
    used = tracemalloc.get_traced_memory()[0] + 32 * len(last)  # the hashes existed before
    tracemalloc.stop()
    del last, tree
    return used


def empty_request_seconds(count: int = 1000) -> float:
    app = FastAPI()

    @app.get("/")
    def nothing() -> dict[str, str]:
        return {}

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    connection = http.client.HTTPConnection("127.0.0.1", port)
    taken = []
    for _ in range(count):
        begin = time.perf_counter()
        connection.request("GET", "/")
        connection.getresponse().read()
        taken.append(time.perf_counter() - begin)
    connection.close()
    server.should_exit = True
    thread.join()
    return float(np.median(taken))


def main(count: int) -> None:
    request = empty_request_seconds()
    print(f"cheapest request: {request * 1e6:.0f} µs (median of 1,000 empty answers over loopback)\n")
    print("| trace | keys | max error | max error, 2 % | mean error | bound (95 %) | kB | share of exact "
          "| µs per lookup | share of request | advised | replayed / best |")  # fmt: skip
    print("| --- |" + " --- |" * 11)
    for name, trace in traces(count):
        distances = stack_distances(trace)
        distinct = np.unique(trace)
        grid = capacities(len(distinct))
        exact = exact_hit_ratio(distances, grid)
        keys = hashes(trace)
        sample = ReuseSample()
        begin = time.perf_counter()
        for number, key in enumerate(keys):
            sample.record(key, number * 0.01)
        each = (time.perf_counter() - begin) / count
        curve = Curve(sample.reuse())
        error = np.abs(curve.hit_ratio(grid) - exact)
        below, above = curve.hit_ratio(grid * 0.98) - exact, exact - curve.hit_ratio(grid * 1.02)
        allowed = np.maximum(np.maximum(below, above), 0.0)
        tracker = exact_tracker_bytes(hashes(distinct))
        advice = advise(sample.reuse(), CacheCounts(0, 0, 0, 0, 0, 1000, 2**50, 3600, 2500.0))
        replayed = "not enough re-use"
        if advice.recommended_capacity is not None:
            best = 1 - len(distinct) / count
            replayed = f"{replay(trace, advice.recommended_capacity):.4f} / {best:.4f}"
        print(
            f"| {name} | {len(distinct):,} | {100 * error.max():.2f} | {100 * allowed.max():.2f} | "
            f"{100 * error.mean():.2f} | {100 * curve.error:.2f} | {sample.nbytes / 1e3:.0f} | "
            f"{sample.nbytes / tracker:.2%} | {each * 1e6:.1f} | {each / request:.2%} | "
            f"{advice.recommended_capacity or '–'} | {replayed} |",
            flush=True,
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
