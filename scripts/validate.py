"""Run the contract's fixed tests with metrics on and off, dashboards, rules and the smoke: `make validate`.

Prints one table: what, passed, skipped and why, seconds. A fixed path that is missing is a failure.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
FIXED = (
    "tests/test_metrics_contract.py",
    "tests/unit/test_cache_tuning.py",
    "tests/unit/test_model_opcode_modes.py",
    "tests/unit/test_v4_feature_performance.py",
    "tests/unit/test_model_security_validation.py",
    "tests/unit/test_model_rollback_health.py",
    "tests/unit/test_model_rollback_level3.py",
    "tests/unit/test_vector_migrate_metrics.py",
    "tests/unit/test_vector_migrate_dimension_histogram.py",
)
NO_TEST = 5  # pytest's exit code
SMOKE = "scripts/ci/docker_staging_smoke.sh"
VALIDATOR = "scripts/validate_dashboard_metrics.py"
WORKFLOW = ".github/workflows/docker-staging-smoke.yml"
RULES = "deploy/prometheus/rules"
UNIT_TESTS_OF_RULES = "tests/observability/test_rules.py"
COUNT = re.compile(r"(\d+) (passed|failed|skipped|error)")
REASON = re.compile(r"^SKIPPED \[\d+\] \S+: (.+)$", re.MULTILINE)
FAULT = re.compile(r"^(?:FAILED|ERROR) (?:\S+::)?(\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; ``bad`` says why it failed."""

    what: str
    passed: int
    skipped: str
    seconds: float
    bad: str = ""


def run(words: list[str], **settings: str) -> tuple[int, str, float]:
    """Return exit code, output and seconds of a program run from the checkout."""
    begin = time.monotonic()
    ran = subprocess.run(
        words, cwd=ROOT, env=os.environ | settings, capture_output=True, text=True, check=False
    )
    return ran.returncode, ran.stdout + ran.stderr, time.monotonic() - begin


def tests(path: str, note: str, **settings: str) -> Row:
    """Return how the tests at a path end."""
    what = f"{path}, {note}"
    if not (ROOT / path).is_file():
        return Row(what, 0, "", 0, "missing")
    words = [sys.executable, "-m", "pytest", path, "-v", "-rfEs", "-p", "no:cacheprovider"]
    code, said, seconds = run(words, **settings)
    counts = {word: int(number) for number, word in COUNT.findall(said.splitlines()[-1])}
    reasons = sorted(set(REASON.findall(said)))
    skipped = f"{counts['skipped']}: {'; '.join(reasons)}" if counts.get("skipped") else ""
    # A module that skips as a whole leaves pytest without a test; one does, where metrics are off.
    off = settings.get("CADML_METRICS_ENABLED") == "false"
    fine = code == 0 or (code == NO_TEST and off and reasons)
    bad = "" if fine else ", ".join(FAULT.findall(said)) or said.strip().splitlines()[-1]
    return Row(what, counts.get("passed", 0), skipped, seconds, bad)


def program(what: str, *words: str, **settings: str) -> Row:
    """Return how a program ends."""
    if not (shutil.which(words[0]) or (ROOT / words[0]).is_file()):
        return Row(what, 0, "", 0, f"{words[0]} is missing")
    code, said, seconds = run(list(words), **settings)
    return Row(what, int(code == 0), "", seconds, "" if code == 0 else said.strip().splitlines()[-1])


def rows() -> Iterator[Row]:
    """Run everything, one after the other."""
    for metrics, word in (("true", "on"), ("false", "off")):
        for path in FIXED:
            yield tests(path, f"metrics {word}", CADML_METRICS_ENABLED=metrics)
    yield program(VALIDATOR, sys.executable, VALIDATOR)
    rules = sorted(str(path.relative_to(ROOT)) for path in (ROOT / RULES).glob("*.yml"))
    yield program("promtool check rules", "promtool", "check", "rules", *rules)
    yield program("promtool check config", "promtool", "check", "config", "deploy/prometheus/prometheus.yml")
    yield tests(UNIT_TESTS_OF_RULES, "promtool test rules")
    yield program(f"{SMOKE}, process", SMOKE, SMOKE_TARGET="process", SKIP_BUILD="1")
    there = (ROOT / WORKFLOW).is_file()
    yield Row(WORKFLOW, int(there), "", 0, "" if there else "missing")


def main() -> int:
    """Print the table; return 0 only if nothing failed."""
    found = []
    for row in rows():
        found.append(row)
        print(f"{row.seconds:6.1f} s  {row.what}{': ' * bool(row.bad)}{row.bad}", file=sys.stderr, flush=True)
    table = Table("what", "passed", "skipped and why", "seconds", "failed", box=None, pad_edge=False)
    for row in found:
        table.add_row(row.what, str(row.passed), row.skipped, f"{row.seconds:.1f}", row.bad)
    Console(width=None if sys.stdout.isatty() else 200, highlight=False).print(table)
    return int(any(row.bad for row in found))


if __name__ == "__main__":
    sys.exit(main())
