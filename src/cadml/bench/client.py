"""A client that costs little: requests made beforehand, one plain socket kept open.

On a small machine a comfortable client takes as much processor time as the service that it measures.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from time import perf_counter
from typing import Any, Self
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from cadml.errors import InternalError

MOST_OK = 299
PATIENCE_S = 120.0
WARM_UP_S = 0.5
CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Load:
    """What clients saw: the seconds of each answer, and of the whole."""

    times: NDArray[np.float64]
    seconds: float

    def summary(self) -> dict[str, float]:
        """Return rate and latencies, ms."""
        p50, p95, p99 = np.percentile(self.times, [50, 95, 99]) * 1000
        rate = len(self.times) / self.seconds
        return {"per_s": rate, "p50_ms": float(p50), "p95_ms": float(p95), "p99_ms": float(p99)}


def request(method: str, path: str, body: Any = None) -> bytes:
    """Return a request as it goes over the wire, with ``body`` as JSON."""
    data = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(data)}"]
    if body is not None:
        lines.append("Content-Type: application/json")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + data


class Client:
    """One connection to the service at ``url``."""

    def __init__(self, url: str) -> None:
        at = urlsplit(url)
        self._socket = socket.create_connection((at.hostname or "127.0.0.1", at.port or 80), PATIENCE_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, request: bytes) -> bytes:
        """Send a request and return the body of the answer.

        Raises
        ------
        InternalError
            The service answered with an error, or not as a service of ours does.
        """
        self._socket.sendall(request)
        head, found, body = b"", b"", b""
        while not found:
            head, found, body = (head + self._more()).partition(b"\r\n\r\n")
        _, stated, length = head.lower().partition(b"content-length:")
        if not stated or int(head[9:12]) > MOST_OK:
            raise InternalError(f"{_first_line(request)} was answered {_first_line(head)}")
        missing = int(length.partition(b"\r\n")[0]) - len(body)
        while missing > 0:
            more = self._more()
            body, missing = body + more, missing - len(more)
        return body

    def _more(self) -> bytes:
        more = self._socket.recv(CHUNK)
        if not more:
            raise InternalError("the service closed the connection")
        return more


def load(url: str, requests: Sequence[bytes], clients: int, seconds: float) -> Load:
    """Let ``clients`` processes ask ``requests`` over and over for ``seconds``, after a warm-up."""
    shares = [[*requests[number:], *requests[:number]] for number in range(clients)]
    with get_context("spawn").Pool(clients) as pool:
        pool.starmap(_repeat, [(url, share, WARM_UP_S) for share in shares], chunksize=1)
        start = perf_counter()
        times = pool.starmap(_repeat, [(url, share, seconds) for share in shares], chunksize=1)
        return Load(np.concatenate(times), perf_counter() - start)


def _repeat(url: str, requests: Sequence[bytes], seconds: float) -> list[float]:
    """Return the seconds of each answer; runs in a process of its own."""
    times: list[float] = []
    with Client(url) as client:
        begin = perf_counter()
        while perf_counter() - begin < seconds:
            start = perf_counter()
            client.ask(requests[len(times) % len(requests)])
            times.append(perf_counter() - start)
    return times


def _first_line(message: bytes) -> str:
    return message.partition(b"\r\n")[0].decode("latin-1")
