"""Every dashboard and rule file: where it lies, and whether it is what the code says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cadml.observability.dashboards import DASHBOARDS
from cadml.observability.dashboards.grafana import grafana
from cadml.observability.rules import FILES, rules_text

GRAFANA = Path("grafana", "dashboards")
PROMETHEUS = Path("prometheus", "rules")


def outputs() -> dict[Path, str]:
    """Return the text of every generated file, by its path below the folder of deployments."""
    boards = {GRAFANA / f"{uid}.json": grafana(board) for uid, board in DASHBOARDS.items()}
    return boards | {PROMETHEUS / name: rules_text(name) for name in FILES}


def stale(folder: Path, texts: Mapping[Path, str]) -> list[Path]:
    """Return which files below ``folder`` are missing, differ, or are generated no more."""
    changed = [path for path, text in texts.items() if not _says(folder / path, text)]
    there = {
        path.relative_to(folder) for place in (GRAFANA, PROMETHEUS) for path in (folder / place).glob("*.*")
    }
    return sorted({*changed, *(there - set(texts))})


def write(folder: Path, texts: Mapping[Path, str]) -> list[Path]:
    """Bring the files below ``folder`` in line; return those that were not."""
    changed = stale(folder, texts)
    for path in changed:
        if path not in texts:
            (folder / path).unlink()
            continue
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(texts[path], encoding="utf-8")
    return changed


def _says(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text
