"""The outermost layer of the service: request ids, limits on bodies, counting, last resort.

Plain ASGI, because it wraps every request and must neither buffer bodies nor cost time.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from typing import Any

import structlog
from anyio import move_on_after
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cadml.api.problems import defect, problem
from cadml.errors import FileTooLarge, InvalidRequest
from cadml.observability.metrics import Metrics
from cadml.observability.table import ANSWERED
from cadml.observability.traces import Traces

SANE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
WATCHED = frozenset({"/health", "/ready", "/metrics"})  # asked every few seconds: no traces of these
JSON_BYTES = 4 << 20  # 1,000 ids or a 512-slot vector take a hundredth of this
LINGER_BYTES = 64 << 20
LINGER_S = 5.0
FORM_OVERHEAD_BYTES = 1 << 20  # field names, boundaries and metadata round an upload

log = structlog.get_logger("cadml.http")


class Edge:
    """Wraps the application ``app``; uploads may hold ``max_upload`` bytes."""

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        traces: Traces,
        max_upload: int,
        matched: Callable[[Scope], tuple[str, str]],
    ) -> None:
        self.app = app
        self.metrics = metrics
        self.traces = traces
        self.max_upload = max_upload
        self.matched = matched

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI has it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(self, scope, receive, send)
        if not self.traces.enabled or scope["path"] in WATCHED:
            await exchange.run()
            return
        with self.traces.span(scope["method"], _traced(scope)) as span:
            await exchange.run()
            exchange.describe(span)


class _Exchange:
    """One request and its answer."""

    def __init__(self, edge: Edge, scope: Scope, receive: Receive, send: Send) -> None:
        self.edge, self.scope, self._receive, self._send = edge, scope, receive, send
        self.start = time.perf_counter()
        self.headers = Headers(scope=scope)
        given = self.headers.get("x-request-id", "")
        self.id = given if SANE_ID.fullmatch(given) else secrets.token_hex(16)
        self.status = 0
        self.received = 0
        has_body = self.headers.get("content-length", "0") != "0" or "transfer-encoding" in self.headers
        self.unread = has_body
        self.lingers = False
        form = self.headers.get("content-type", "").lower().startswith("multipart/")
        self.limit = edge.max_upload + FORM_OVERHEAD_BYTES if form else JSON_BYTES

    async def run(self) -> None:
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=self.id)
        try:
            refusal = self._refuse_length()
            if refusal is not None:
                await refusal(self.scope, self._receive, self.send)
            else:
                await self.edge.app(self.scope, self.receive, self.send)
        except Exception as error:  # noqa: BLE001 - the last resort: a defect must answer, be logged and be counted
            answer = defect(error, self.scope["path"])
            if not self.status:
                await answer(self.scope, self._receive, self.send)
        finally:
            self._account()

    def _refuse_length(self) -> ASGIApp | None:
        stated = self.headers.get("content-length", "0")
        if not (stated.isascii() and stated.isdigit()):
            return problem(InvalidRequest("Content-Length is no number"), self.scope["path"])
        if int(stated) > self.limit:
            return problem(self._too_large(), self.scope["path"])
        return None

    def _too_large(self) -> FileTooLarge:
        return FileTooLarge(
            f"the request is larger than the {self.limit} bytes allowed here (CADML_MAX_UPLOAD_MB)",
            limit_bytes=self.limit,
        )

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self.unread = message.get("more_body", False)
            self.received += len(message.get("body", b""))
            if self.received > self.limit:  # chunked bodies state no length beforehand
                raise HTTPException(413)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.lingers = self.unread
            headers = MutableHeaders(scope=message)
            headers["X-Request-ID"] = self.id
            headers["X-Content-Type-Options"] = "nosniff"
            if self.lingers:
                headers["Connection"] = "close"
        elif self.lingers and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            await self._linger()
            message = {"type": "http.response.body"}
        await self._send(message)

    async def _linger(self) -> None:
        """Throw away some of a refused body: a client that still writes would not see the answer else."""
        left = LINGER_BYTES
        with move_on_after(LINGER_S):
            while left > 0 and self.unread:
                message = await self._receive()
                left -= len(message.get("body", b""))
                self.unread = message.get("more_body", False)

    def describe(self, span: Any) -> None:
        """Say on the request's span what it was, as OpenTelemetry's conventions name it."""
        method, route = self.edge.matched(self.scope)
        span.update_name(f"{method} {route}")
        span.set_attributes(
            {
                "http.request.method": method,
                "http.route": route,
                "http.response.status_code": self.status,
                "http.request.body.size": self.received,
                "cadml.request_id": self.id,
            }
        )
        if self.status >= 500:
            span.set_attribute("error.type", str(self.status))

    def _account(self) -> None:
        seconds = time.perf_counter() - self.start
        method, route = self.edge.matched(self.scope)
        status = f"{(self.status or 499) // 100}xx"
        self.edge.metrics.count("http_requests_total", method=method, route=route, status=status)
        if status == ANSWERED:
            self.edge.metrics.observe(
                "http_request_duration_seconds", seconds, method=method, route=route, status=status
            )
        log.debug("request", method=method, route=route, code=self.status, seconds=round(seconds, 6))


def _traced(scope: Scope) -> dict[str, str]:
    """Return the caller's own trace, where it sent one."""
    headers = Headers(scope=scope)
    return {name: headers[name] for name in ("traceparent", "tracestate") if name in headers}
