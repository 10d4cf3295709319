"""The HTTP interface of a real service: what clients in processes of their own get from it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from http.client import HTTPConnection
from pathlib import Path
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

from cadml.bench.client import MOST_OK, load, request
from cadml.bench.service import served
from cadml.errors import CadmlError, InternalError, InvalidRequest
from cadml.geometry.formats import recognise

CLIENTS, SECONDS = 4, 4.0
MOST_FILES = 100  # uploaded one by one; enough for searches to have something to find


def run(folder: Path, files: Sequence[Path], workers: int) -> dict[str, Any]:
    """Return requests per second and latencies, ms, from ``CLIENTS`` processes on loopback.

    Raises
    ------
    InvalidRequest
        No file is of a supported format.
    InternalError
        The service answered wrongly.
    """
    good = [path for path in files if _is_supported(path)][:MOST_FILES]
    if not good:
        raise InvalidRequest("no file is of a supported format")
    with served(folder / "service", workers) as service:
        start = perf_counter()
        ids = [part_id for path in good if (part_id := _upload(service.url, path))]
        uploaded = perf_counter() - start
        if not ids:
            raise InternalError("the service took none of the files")
        some = ids[: min(len(ids), 50)]
        search, batch = "/api/v1/search", "/api/v1/similarity/batch"
        asked: dict[str, list[bytes]] = {
            "health": [request("GET", "/health")],
            "part": [request("GET", f"/api/v1/parts/{part}") for part in some],
            "similar": [request("GET", f"/api/v1/parts/{part}/similar?k=10") for part in some],
            "search_filtered": [request("POST", search, _filtered(part)) for part in some],
            "batch_of_all": [request("POST", batch, {"ids": ids, "k": 10})],
        }
        measured = {
            name: load(service.url, requests, CLIENTS, SECONDS).summary() for name, requests in asked.items()
        }
        peak_mb = _peak_mb(service.pid)
    return {
        "parts": len(ids),
        "clients": CLIENTS,
        "uploads_per_s": len(good) / uploaded,
        **measured,
        "peak_mb": {"service": peak_mb},
    }


def _is_supported(path: Path) -> bool:
    try:
        recognise(path, path.name)
    except CadmlError:
        return False
    return True


def _filtered(part: str) -> dict[str, Any]:
    return {"part_id": part, "k": 10, "filters": {"diagonal": {"gt": 0}}}


def _connect(url: str) -> HTTPConnection:
    at = urlsplit(url)
    return HTTPConnection(at.hostname or "127.0.0.1", at.port, timeout=120)


def _upload(url: str, path: Path) -> str | None:
    """Return the id of the added part, None where the file is refused."""
    boundary = uuid.uuid4().hex
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{path.name}"\r\n\r\n'
    body = head.encode() + path.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
    connection = _connect(url)
    connection.request(
        "POST", "/api/v1/parts", body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    )
    answer = connection.getresponse()
    reply = json.loads(answer.read())
    connection.close()
    return str(reply["id"]) if answer.status <= MOST_OK else None


def _peak_mb(pid: int) -> float:
    """Return the largest resident set of a process so far, MiB."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise InternalError("this system does not tell a process's memory")
