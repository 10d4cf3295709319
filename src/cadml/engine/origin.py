"""Where work came from: the request whose id its log lines carry and whose trace its spans join.

Durable work is done later, in other threads, processes and machines. What it came from is queued
with it, and taken up again round the work.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import structlog

from cadml.jobs import queue
from cadml.observability.traces import Traces


class Origins(queue.Origins):
    """Carries the request's id and its trace through the queue."""

    def __init__(self, traces: Traces) -> None:
        self._traces = traces

    def present(self) -> dict[str, str]:
        """Return the present request's id and trace, as far as there are any."""
        bound = structlog.contextvars.get_contextvars()
        known = {"request_id": str(bound["request_id"])} if "request_id" in bound else {}
        return known | self._traces.carrier()

    @contextmanager
    def resumed(self, origin: Mapping[str, str], task: str, arguments: Mapping[str, Any]) -> Iterator[None]:
        """Do work as a part of the request that it came from; its arguments name it in the log."""
        known = {"request_id": origin["request_id"]} if "request_id" in origin else {}
        with (
            structlog.contextvars.bound_contextvars(task=task, **arguments, **known),
            self._traces.span(task, origin, **arguments),
        ):
            yield
