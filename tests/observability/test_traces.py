"""Spans of a real service, received by a real collector's door: OTLP over HTTP on loopback."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from programs import API, installed, prism, wait_for

OURS = "4bf92f3577b34da6a3ce929d0e0e4736"  # the trace that the caller is in, and its span
CALLER = "00f067aa0ba902b7"


@contextmanager
def collector() -> Iterator[tuple[str, list[Any]]]:
    """Yield an address that takes OTLP, and the spans that came in."""
    spans: list[Any] = []

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            told = ExportTraceServiceRequest.FromString(body)
            for resource in told.resource_spans:
                service = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
                spans.extend(
                    (service["service.name"], s) for scope in resource.scope_spans for s in scope.spans
                )
            self.send_response(200 if self.path == "/v1/traces" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", spans
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def spans(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """Return what a service told the collector about an analysis, a bad file and a job."""
    with collector() as (address, received):
        with installed(tmp_path_factory.mktemp("traced"), OTEL_EXPORTER_OTLP_ENDPOINT=address) as service:
            traced = {"traceparent": f"00-{OURS}-{CALLER}-01", "X-Request-ID": "traced"}
            with httpx.Client(base_url=service.url, timeout=120, headers=traced) as client:
                file = {"file": ("prism.stl", prism(5, 3, 2))}
                assert client.post(f"{API}/analyze", files=file).status_code == 200
                assert client.post(f"{API}/analyze", files={"file": ("b.stl", b"solid")}).status_code == 422
                files = [("files", ("other.stl", prism(6, 3, 2)))]
                job = client.post(f"{API}/jobs/ingest", files=files).json()["id"]
                client.get("/metrics")
            wait_for(lambda: service.ask(f"/jobs/{job}")["finished_at"] is not None, 60)
            assert service.service is not None
            service.service.send_signal(signal.SIGTERM)
            assert service.service.wait(60) == 0
        return received


def named(spans: list[Any], name: str) -> list[Any]:
    return [span for _, span in spans if span.name == name]


def attributes(span: Any) -> dict[str, Any]:
    return {p.key: getattr(p.value, p.value.WhichOneof("value")) for p in span.attributes}


def test_a_request_is_a_span_in_its_callers_trace(spans: list[Any]) -> None:
    good, bad = named(spans, "POST /api/v1/analyze")
    assert {service for service, _ in spans} == {"cadml"}
    assert good.trace_id.hex() == OURS
    assert good.parent_span_id.hex() == CALLER
    assert attributes(good)["http.response.status_code"] == 200
    assert attributes(good)["cadml.request_id"] == "traced"
    assert attributes(bad)["http.response.status_code"] == 422


def test_each_stage_is_a_span_within_its_request(spans: list[Any]) -> None:
    request = named(spans, "POST /api/v1/analyze")[0]
    for stage in ("receive", "read", "describe", "store", "search"):
        within = [span for span in named(spans, stage) if span.parent_span_id == request.span_id]
        assert len(within) == 1, stage
        (span,) = within
        assert span.trace_id == request.trace_id
        assert request.start_time_unix_nano <= span.start_time_unix_nano < span.end_time_unix_nano, stage
        assert span.end_time_unix_nano <= request.end_time_unix_nano, stage


def test_a_failed_stage_says_its_code_and_nothing_of_the_file(spans: list[Any]) -> None:
    failed = [attributes(span)["error.type"] for _, span in spans if span.status.code == 2]
    assert set(failed) <= {"MISLABELLED_FILE", "MALFORMED_FILE", "TRUNCATED_FILE", "EMPTY_FILE"}
    assert failed
    assert [span for _, span in spans if span.events] == []


def test_a_durable_job_stays_in_the_trace_that_queued_it(spans: list[Any]) -> None:
    (item,) = named(spans, "ingest")
    (queued,) = named(spans, "POST /api/v1/jobs/ingest")
    assert item.trace_id.hex() == OURS
    assert item.parent_span_id == queued.span_id
    assert {"read", "describe", "store"} <= {
        span.name for _, span in spans if span.parent_span_id == item.span_id
    }


def test_what_is_asked_every_few_seconds_makes_no_spans(spans: list[Any]) -> None:
    assert [span.name for _, span in spans if "/metrics" in span.name] == []


@pytest.mark.slow
def test_a_collector_that_is_away_holds_nothing_up(tmp_path: Path) -> None:
    with installed(tmp_path / "data", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9") as service:
        answer = httpx.post(
            f"{service.url}{API}/analyze", files={"file": ("p.stl", prism(5, 3, 2))}, timeout=60
        )
        assert answer.status_code == 200
        assert service.service is not None
        begin = time.monotonic()
        service.service.send_signal(signal.SIGTERM)
        assert service.service.wait(60) == 0
        assert time.monotonic() - begin < 30  # s; the exporter's own patience would be longer


def test_without_a_collector_nothing_is_imported() -> None:
    program = (
        "import sys, cadml.api.server, cadml.cli.service\n"
        "from cadml.observability.traces import Traces\n"
        "traces = Traces(enabled=False)\n"
        "with traces.span('x', {}, a=1) as span: pass\n"
        "traces.past('x', 0, 1); traces.close()\n"
        # FastAPI imports the specification's small API by itself; what sends spans is the SDK's.
        "heavy = ('opentelemetry.sdk', 'opentelemetry.exporter')\n"
        "print(span, traces.carrier(), [name for name in sys.modules if name.startswith(heavy)])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "None {} []"
