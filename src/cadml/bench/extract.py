"""Extraction: files and megabytes per second, and whose the time is."""

from __future__ import annotations

import resource
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from cadml import extraction
from cadml.errors import CadmlError, InvalidRequest
from cadml.extraction import Extraction
from cadml.features.versions import VERSIONS
from cadml.geometry.formats import recognise
from cadml.geometry.isolate import Workers

KERNEL_STEPS = ("read", "transfer", "measure", "tessellate")
SUMS = frozenset({"reader", "total"})  # of other steps, as extraction tells them
EXACT_FORMATS = frozenset({"step", "iges", "brep"})
TIMEOUT_S, MEMORY_MB = 300.0, 8192


@dataclass(frozen=True, slots=True)
class Run:
    """One file through a worker, as its caller saw it."""

    path: Path
    seconds: float
    steps: dict[str, float]
    peak_mb: float
    code: str | None  # of the error, where there was one


def run(files: Sequence[Path], workers: int = 2) -> dict[str, Any]:
    """Return the speed of describing ``files`` with everything on, beside the kernel alone.

    Both passes use the same warm worker processes, one after the other. ``kernel`` is Open
    CASCADE's reading, transfer, mass properties and tessellation; ``ours`` is all the rest that a
    caller waits for: recognising, looking a file over, exploring (which includes reading the kernel's
    meshes out and the exact box), describing, encoding, the way between the processes.

    Raises
    ------
    InvalidRequest
        None of the files is of a format with exact geometry.
    """
    exact = [(path, name) for path in files if (name := _format(path)) in EXACT_FORMATS]
    if not exact:
        raise InvalidRequest("give STEP, IGES or BREP files: the floor is measured on exact geometry")
    with Workers(workers, TIMEOUT_S, MEMORY_MB, warm=extraction.warm_up) as pool:
        _pass(pool, exact[: 2 * workers], _describe, workers)  # the first files pay for lazy loading
        full, full_wall = _pass(pool, exact, _describe, workers)
        floor, floor_wall = _pass(pool, exact, _floor, workers)
    return _account(full, full_wall, floor, floor_wall, workers)


def _format(path: Path) -> str | None:
    try:
        return recognise(path, path.name).name
    except CadmlError:
        return None


def _pass(
    pool: Workers, files: Sequence[tuple[Path, str]], function: Callable[..., Any], workers: int
) -> tuple[list[Run], float]:
    def one(file: tuple[Path, str]) -> Run:
        path, name = file
        start = perf_counter()
        try:
            steps, peak_mb = pool.run(function, str(path), name)[:2]
            return Run(path, perf_counter() - start, steps, peak_mb, None)
        except CadmlError as error:
            return Run(path, perf_counter() - start, {}, 0.0, error.code)

    start = perf_counter()
    with ThreadPoolExecutor(workers) as threads:
        return list(threads.map(one, files)), perf_counter() - start


def _describe(path: str, format_name: str) -> tuple[dict[str, float], float, Extraction]:
    """Run in a worker; the extraction comes back too, because the service waits for it as well."""
    done = extraction.extract(path, format_name, tuple(VERSIONS))
    return done.seconds, _peak_mb(), done


def _floor(path: str, format_name: str) -> tuple[dict[str, float], float]:
    from cadml.geometry.kernel.floor import floor  # noqa: PLC0415 - only worker processes may load the kernel

    return floor(path, format_name), _peak_mb()


def _peak_mb() -> float:
    """Return the largest resident set of this process so far, MiB (Linux counts in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _account(
    full: list[Run], full_wall: float, floor: list[Run], floor_wall: float, workers: int
) -> dict[str, Any]:
    described = [run for run in full if run.code is None]
    waited = sum(run.seconds for run in described)
    steps: Counter[str] = Counter()
    for run in described:
        steps.update(run.steps)
    kernel = sum(steps[step] for step in KERNEL_STEPS)
    megabytes = sum(run.path.stat().st_size for run in full) / 1e6
    alone = {run.path: sum(run.steps.values()) for run in floor if run.code is None}
    ratios = [run.seconds / alone[run.path] for run in described if alone.get(run.path, 0) > 0]
    return {
        "files": len(full),
        "megabytes": megabytes,
        "workers": workers,
        "refused": [{"path": str(run.path), "code": run.code} for run in full if run.code],
        "described": _speed(full, full_wall, megabytes),
        "kernel_only": _speed(floor, floor_wall, megabytes),
        "times_the_floor": {
            "wall": full_wall / floor_wall,
            "median_file": median(ratios) if ratios else None,
        },
        "share": {"kernel": kernel / waited, "ours": 1 - kernel / waited} if waited else None,
        "seconds_by_step": {
            step: round(seconds, 4) for step, seconds in steps.most_common() if step not in SUMS
        },
        "peak_mb": {"service": _peak_mb(), "worker": max((run.peak_mb for run in full), default=0.0)},
    }


def _speed(runs: list[Run], wall: float, megabytes: float) -> dict[str, float]:
    return {
        "seconds": wall,
        "files_per_s": len(runs) / wall,
        "mb_per_s": megabytes / wall,
        "median_file_ms": median(run.seconds for run in runs) * 1000,
    }
