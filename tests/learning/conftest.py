"""One confined process for the tests of this folder, and the honest models, each fitted once."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import honest
import pytest

from cadml.learning.confined.predictor import MEMORY_MB
from cadml.learning.confined.process import ConfinedProcess


@cache
def _model(name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return honest.ESTIMATORS[name]()


@pytest.fixture(scope="session")
def model() -> Callable[[str], Any]:
    return _model


@pytest.fixture(scope="module")
def confined() -> Iterator[ConfinedProcess]:
    process = ConfinedProcess(MEMORY_MB)
    yield process
    process.close()
