"""How fast this machine is: extraction beside the kernel's own floor, searches, the HTTP interface."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from cadml.config import Settings
from cadml.errors import InvalidRequest

SAMPLES_TIMEOUT_S, SAMPLES_MEMORY_MB = 600.0, 8192

What = Literal["extract", "search", "api"]


def run(what: What, settings: Settings, data: Path | None) -> dict[str, Any]:
    """Return what was measured, ready for JSON; everything happens in a temporary folder.

    ``data`` is a folder of CAD files (all below it count), or one file; None: cadml's own samples.

    Raises
    ------
    InvalidRequest
        ``data`` holds nothing to measure.
    """
    with tempfile.TemporaryDirectory(prefix="cadml-bench-") as name:
        folder = Path(name)
        if what == "search":
            from cadml.bench import search  # noqa: PLC0415 - each measure loads much of its own

            return search.run(folder, settings.feature_version)
        files = _files(data) if data else samples(folder / "samples")
        if what == "api":
            from cadml.bench import api  # noqa: PLC0415 - as above

            return api.run(folder, files, settings.extract_workers)
        from cadml.bench import extract  # noqa: PLC0415 - as above

        return extract.run(files, settings.extract_workers)


def rows(report: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the report as lines for a table: ``described files per s``, 12.3."""
    for key, value in report.items():
        name = key.replace("_", " ")
        if isinstance(value, dict):
            yield from ((f"{name}: {inner}", number) for inner, number in rows(value))
        elif isinstance(value, list):
            yield name, len(value)
        else:
            yield name, value


def _files(data: Path) -> list[Path]:
    files = [data] if data.is_file() else sorted(path for path in data.rglob("*") if path.is_file())
    if not files:
        raise InvalidRequest(f"there is no file in {data}")
    return files


def samples(folder: Path) -> list[Path]:
    """Return the files of the sample library, written below ``folder``."""
    from cadml.geometry.isolate import Workers  # noqa: PLC0415 - as above

    # In a process of its own: the kernel chatters on standard output, and our memory is measured.
    with Workers(1, SAMPLES_TIMEOUT_S, SAMPLES_MEMORY_MB) as worker:
        return worker.run(_write_samples, folder)


def _write_samples(folder: Path) -> list[Path]:
    from cadml.geometry.samples import write_library  # noqa: PLC0415 - only a worker loads the kernel

    return write_library(folder)
