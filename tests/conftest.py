"""What all tests share: the real CAD files, and the rule about skipping."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHARED_CAD = ROOT.parent / "shared" / "cad"


def skip_or_fail(reason: str) -> None:
    """Skip for something missing; where CADML_TEST_STRICT=1 (in CI) that is a failure instead."""
    if os.environ.get("CADML_TEST_STRICT") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def shared_cad() -> Path:
    """The folder of real CAD files that lie beside the checkout."""
    if not SHARED_CAD.is_dir():
        skip_or_fail(f"the real CAD files are not at {SHARED_CAD}")
    return SHARED_CAD


@pytest.fixture(autouse=True)
def _log_ends_with_its_test() -> Iterator[None]:
    """Detach what a command run in this process logged to: its stream is closed with the test."""
    yield
    root = logging.getLogger()
    root.handlers[:] = [handler for handler in root.handlers if type(handler) is not logging.StreamHandler]
    root.setLevel(logging.WARNING)
