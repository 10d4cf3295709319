"""What runs in the confined process: load one guest, check it, convert it, predict with it.

Speaks over one pipe in frames: a JSON head, then as many blobs as it announces. Nothing that comes
from here is ever unpickled.
"""

from __future__ import annotations

import os
import signal
import warnings
from multiprocessing.connection import Connection
from typing import Any, Literal

import orjson

from cadml.errors import CadmlError
from cadml.learning.confined import limits

SINGLE_THREADED = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "LOKY_MAX_CPU_COUNT": "1",
}
Guest = Literal["estimator", "graph"]
Reply = tuple[dict[str, Any], list[bytes]]


def main(descriptor: int, owner: int, memory_mb: int, kind: Guest) -> None:
    """Serve the owner's requests until the pipe closes; a graph needs fewer packages than an estimator."""
    limits.follow(owner)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    has_own_network = limits.leave_network()
    limits.limit_memory(memory_mb)
    warnings.simplefilter("ignore")
    with Connection(descriptor) as pipe:
        # What a model may need is imported before the doors close: some packages try them at import.
        if kind == "graph":
            from cadml.learning.confined.graph import Graph as Kind  # noqa: PLC0415
        else:
            from cadml.learning.confined.model import Model as Kind  # type: ignore[assignment]  # noqa: PLC0415
        layers = limits.close_doors() + (("network namespace",) if has_own_network else ())
        _send(pipe, ({"layers": layers}, []))
        guest = Kind()
        while True:
            try:
                head = orjson.loads(pipe.recv_bytes())
                blobs = [pipe.recv_bytes() for _ in range(head["blobs"])]
            except EOFError:
                os._exit(0)
            limits.allow_processor(head["seconds"])
            _send(pipe, _answer(guest, head, blobs))


def _answer(guest: Any, head: dict[str, Any], blobs: list[bytes]) -> Reply:
    try:
        reply: Reply = getattr(guest, f"do_{head['do']}")(head, *blobs)
    except MemoryError:
        return {"ok": False, "status": "load_error", "message": "the model needs more memory than it may"}, []
    except CadmlError as error:
        return {"ok": False, "status": "load_error", "message": error.message}, []
    except Exception as error:  # noqa: BLE001 - whatever a foreign model raises is an answer
        message = f"{type(error).__name__}: {error}"[:500]
        return {"ok": False, "status": "load_error", "message": message}, []
    return reply


def _send(pipe: Connection, reply: Reply) -> None:
    head, blobs = reply
    pipe.send_bytes(orjson.dumps({**head, "blobs": len(blobs)}))
    for blob in blobs:
        pipe.send_bytes(blob)
