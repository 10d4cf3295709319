"""A real service in a thread of the tests: uvicorn on a free loopback port."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn

from cadml.api.app import create_app
from cadml.api.server import listening
from cadml.engine import Engine

API = "/api/v1"
JSON = {"content-type": "application/json"}


@contextmanager
def serving(engine: Engine) -> Iterator[httpx.Client]:
    """Serve ``engine`` from a thread, as `cadml serve` does from its main one."""
    config = uvicorn.Config(create_app(engine), log_config=None, access_log=False)
    server = uvicorn.Server(config)
    with listening("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive(), "the server did not start"
                time.sleep(0.01)
            port = listener.getsockname()[1]
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def queue_working(engine: Engine) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=engine.run_queue, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def upload(path: Path, name: str | None = None) -> dict[str, tuple[str, bytes]]:
    return {"file": (name or path.name, path.read_bytes())}


def need_program(name: str) -> str:
    """Return where ``name`` is; skip without it, or fail where CADML_TEST_STRICT=1."""
    found = shutil.which(name)
    if found is None:
        (pytest.fail if os.environ.get("CADML_TEST_STRICT") == "1" else pytest.skip)(
            f"{name} is not installed"
        )
    return found
