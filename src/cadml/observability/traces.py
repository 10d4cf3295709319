"""Spans of what requests and jobs do, sent to an OpenTelemetry collector where one is configured.

The environment says where to and how (``OTEL_EXPORTER_OTLP_ENDPOINT`` and its companions, as
OpenTelemetry specifies them). Without it nothing is imported and every span is an empty block.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from cadml import __version__
from cadml.errors import CadmlError

SERVICE = "cadml"
LAST_SPANS_S = 3.0
NS = 1_000_000_000


class Traces:
    """The spans of one service. ``attributes`` are few, plain, and hold no name or content of a file."""

    def __init__(self, *, enabled: bool) -> None:
        self.enabled = enabled
        if enabled:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - only where asked for
                OTLPSpanExporter,
            )
            from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415
            from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
            from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

            ours = Resource({"service.name": SERVICE, "service.version": __version__})
            # What the environment states about the service goes before our own words.
            resource = ours.merge(OTELResourceDetector().detect())
            self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
            self._exporter = OTLPSpanExporter()
            self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
            self._tracer = self._provider.get_tracer(SERVICE, __version__)

    def span(
        self, name: str, origin: Mapping[str, str] | None = None, **attributes: Any
    ) -> AbstractContextManager[Any]:
        """Return a block that is a span, within the present one or that of ``origin``.

        Its value is OpenTelemetry's span, or None where traces are off.
        """
        return self._span(name, origin, attributes) if self.enabled else nullcontext()

    @contextmanager
    def _span(
        self, name: str, origin: Mapping[str, str] | None, attributes: Mapping[str, Any]
    ) -> Iterator[Any]:
        from opentelemetry.propagate import extract  # noqa: PLC0415 - imported with the tracer
        from opentelemetry.trace import StatusCode  # noqa: PLC0415

        within = extract(origin) if origin else None
        # An exception's words and frames may quote a file; its code says enough.
        with self._tracer.start_as_current_span(
            name, within, attributes=_named(attributes), record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield span
            except Exception as error:
                span.set_attribute("error.type", _code(error))
                span.set_status(StatusCode.ERROR)
                raise

    def past(self, name: str, begin: float, end: float, error: str = "", **attributes: Any) -> None:
        """Make a span of what happened between two times (s since 1970), in another process."""
        if not self.enabled:
            return
        from opentelemetry.trace import StatusCode  # noqa: PLC0415 - imported with the tracer

        span = self._tracer.start_span(name, start_time=int(begin * NS), attributes=_named(attributes))
        if error:
            span.set_attribute("error.type", error)
            span.set_status(StatusCode.ERROR)
        span.end(int(end * NS))

    def carrier(self) -> dict[str, str]:
        """Return what a later :meth:`span` needs as its origin to belong to the present trace."""
        found: dict[str, str] = {}
        if self.enabled:
            from opentelemetry.propagate import inject  # noqa: PLC0415 - imported with the tracer

            inject(found)
        return found

    def close(self) -> None:
        """Send what waits, as far as the collector takes it within a few seconds, and stop."""
        if not self.enabled:
            return
        last = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        last.start()
        last.join(LAST_SPANS_S)
        if last.is_alive():  # the exporter tries again and again; this ends its waiting
            self._exporter.shutdown()  # type: ignore[no-untyped-call]  # its own lack
            last.join(LAST_SPANS_S)


def _named(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes under names of our own; dotted ones are OpenTelemetry's and stay."""
    return {name if "." in name else f"{SERVICE}.{name}": value for name, value in attributes.items()}


def _code(error: Exception) -> str:
    return error.code if isinstance(error, CadmlError) else type(error).__name__
