"""What a service exports, read without the client library, so that tests run where metrics are off too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from cadml.config import Settings
from cadml.observability.metrics import AVAILABLE

METRICS_ON = AVAILABLE and Settings.load().metrics_enabled
OFF = {"app_metrics_disabled": 1.0}
"""All that is exported where metrics are off."""


def samples(text: str) -> dict[str, float]:
    """Return the samples of a scrape by their series, as in ``name{label="value"}``."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {series: float(value) for series, _, value in (line.rpartition(" ") for line in lines)}


def assert_exported(text: str, expected: Mapping[str, float]) -> None:
    """Each series has its value; where metrics are off, nothing is exported but that."""
    found = samples(text)
    if METRICS_ON:
        assert {series: found.get(series) for series in expected} == dict(expected)
    else:
        assert found == OFF


def growth(before: str, after: str, name: str) -> dict[str, float]:
    """Return by how much each series of a counter with one label grew between two scrapes, if it did.

    The keys are the label's values. Where metrics are off, nothing is exported but that, and none grows.
    """
    former, found = samples(before), samples(after)
    if not METRICS_ON:
        assert former == found == OFF
        return {}
    ours = [series for series in found if series.startswith(name + "{")]
    assert ours
    grown = {series.split('"')[1]: found[series] - former.get(series, 0) for series in ours}
    return {value: more for value, more in grown.items() if more}


@contextmanager
def growing(scrape: Callable[[], str], name: str, by: Mapping[str, float]) -> Iterator[None]:
    """These series of a counter grow by so much in the block, and no other of it does."""
    before = scrape()
    yield
    assert growth(before, scrape(), name) == (dict(by) if METRICS_ON else {})
