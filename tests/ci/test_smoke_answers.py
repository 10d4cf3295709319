"""The smoke against a service that answers wrongly at one path: told at the step that asks there."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from cadml.config import Settings
from cadml.engine import Engine
from served import serving

pytestmark = pytest.mark.slow

SMOKE = Path(__file__).parents[2] / "scripts" / "ci" / "smoke.py"
Change = Callable[[int, bytes], tuple[int, bytes]]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Engine(Settings(data_dir=tmp_path_factory.mktemp("smoked"))) as engine, serving(engine) as client:
        yield str(client.base_url)


@contextmanager
def in_between(url: str, path: str, change: Change) -> Iterator[str]:
    """Pass everything on to ``url``, and change what it answers at ``path``."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            kind = {"content-type": self.headers["content-type"]} if body else {}
            answer = httpx.request(self.command, url + self.path, content=body, headers=kind, timeout=60)
            status, content = answer.status_code, answer.content
            if self.path == path:
                status, content = change(status, content)
            self.send_response(status)
            self.send_header("content-type", answer.headers["content-type"])
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def replaced(**values: object) -> Change:
    return lambda status, content: (status, json.dumps(json.loads(content) | values).encode())


def unready(_: int, content: bytes) -> tuple[int, bytes]:
    return 503, json.dumps(json.loads(content) | {"status": "unavailable"}).encode()


def without_a_series(status: int, content: bytes) -> tuple[int, bytes]:
    lines = content.splitlines(keepends=True)
    return status, b"".join(line for line in lines if b"feature_cache_tuning_requests_total" not in line)


@pytest.mark.parametrize(
    ("path", "change", "reason"),
    [
        ("/ready", unready, "ready: {url}/ready gives no good answer within 3 s: 503"),
        ("/api/v1/analyze", lambda *_: (500, b"{}"), "upload: /api/v1/analyze answers 500: {{}}"),
        ("/api/v1/search", replaced(neighbours=[]), "upload: the search finds nothing"),
        (
            "/api/v1/features/cache/tuning",
            replaced(recommended_capacity=1200),
            "tuning: the advice is {{'recommended_capacity': 1200}}, and must be",
        ),
        ("/metrics", without_a_series, "metrics: not exported: feature_cache_tuning_requests_total"),
    ],
)
def test_a_wrong_answer_is_told_at_its_step(
    url: str, tmp_path: Path, path: str, change: Change, reason: str
) -> None:
    with in_between(url, path, change) as wrong:
        ran = subprocess.run(
            [sys.executable, str(SMOKE), wrong, "--artifacts", str(tmp_path / "kept"), "--patience", "3"],
            input="\n",
            capture_output=True,
            text=True,
            check=False,
        )
    assert ran.returncode == 1
    assert ran.stderr.startswith(f"smoke: {reason.format(url=wrong)}"), ran.stderr
