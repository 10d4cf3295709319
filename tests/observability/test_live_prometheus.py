"""The proof: a real service, a real Prometheus, every feature used, every query asked."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from drive import SETTINGS, Drive
from live import Prometheus, prometheus

from cadml.observability.generated import GRAFANA, PROMETHEUS
from programs import installed
from served import need_program

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

DEPLOY = Path(__file__).parents[2] / "deploy"
# Panels that must have an answer, but whose answer is rightly 0 after the drive, or none at all.
ZERO = {
    "Not ready": "the database was there all the time",
    "Failed for the database or the files": "likewise",
    "Waiting in the queue": "every job has ended",
    "Queue": "likewise",
    "Share abstained": "the made models are sure of every prism",
}
NONE = {"Server errors by route": "the drive causes none"}
FINE = {"CadmlDown", "CadmlDatabaseDown", "CadmlNoExtractionWorkers", "CadmlMetricsDisabled"}


@pytest.fixture(scope="module")
def driven(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Prometheus, after it watched a service at work."""
    program = need_program("prometheus")
    folder = tmp_path_factory.mktemp("live")
    rules = sorted((DEPLOY / PROMETHEUS).glob("*.yml"))
    with installed(folder / "data", **SETTINGS) as installation:
        target = urlsplit(installation.url).netloc
        with prometheus(program, folder / "prometheus", target, rules) as server:
            server.wait_for_scrapes()  # the zeros come first: a rise is seen only from them
            with closing(Drive(installation, folder / "samples")) as drive:
                drive.everything()
            server.wait_for_scrapes()
            yield server


def panels() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted((DEPLOY / GRAFANA).glob("*.json")):
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            if panel["type"] != "row":
                yield path.stem.removeprefix("cadml-"), panel


def fault(title: str, values: list[float]) -> str:
    """Return what is wrong with a panel's values after the drive, if anything is."""
    if title in NONE:
        return "not empty" if values else ""
    if not values:
        return "empty"
    return "only 0" if title not in ZERO and not any(values) else ""


def test_every_panel_shows_what_happened(driven: Prometheus, capsys: pytest.CaptureFixture[str]) -> None:
    lines, faults = [], []
    for board, panel in panels():
        found = [pair for target in panel["targets"] for pair in driven.values(target["expr"])]
        values = sorted({value for _, value in found}, reverse=True)
        shown = ", ".join(f"{value:.4g}" for value in values[:4])
        lines.append(f"{board:12} {panel['title']:44} {len(found):4}  {shown or '–'}\n")
        if wrong := fault(panel["title"], values):
            faults.append(f"{board}: {panel['title']}: {wrong}")
    with capsys.disabled():
        sys.stdout.writelines(["\n", f"{'dashboard':12} {'panel':44} rows  highest values\n", *lines])
    assert faults == []


def test_every_rule_is_computed(driven: Prometheus) -> None:
    groups = driven.api("rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) > 30
    assert [(rule["name"], rule["lastError"]) for rule in rules if rule["health"] != "ok"] == []
    recorded = [rule["name"] for rule in rules if rule["type"] == "recording"]
    assert [name for name in recorded if not driven.values(name)] == []
    for rule in rules:
        if rule["type"] == "alerting":
            driven.values(rule["query"])  # valid, or it raises


def test_a_healthy_service_is_not_reported_as_down(driven: Prometheus) -> None:
    firing = {labels["alertname"] for labels, _ in driven.values('ALERTS{alertstate="firing"}')}
    assert firing.isdisjoint(FINE)


def test_prometheus_keeps_few_series_and_scrapes_them_quickly(
    driven: Prometheus, capsys: pytest.CaptureFixture[str]
) -> None:
    """The time is told, not judged: it is the machine's, with whatever else it does."""
    [(_, samples)] = driven.values('scrape_samples_scraped{job="cadml"}')
    [(_, seconds)] = driven.values('quantile_over_time(0.5, scrape_duration_seconds{job="cadml"}[30m])')
    with capsys.disabled():
        sys.stdout.write(
            f"\n{samples:.0f} series; median scrape of the busy service {seconds * 1e3:.0f} ms\n"
        )
    assert samples <= 2000
