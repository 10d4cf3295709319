"""``cadml serve`` and ``cadml worker``: the programs that run for long."""

from __future__ import annotations

import signal
import threading
from typing import Annotated, Any

import typer

from cadml.config import Settings


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one.")] = None,
    workers: Annotated[int | None, typer.Option(help="Extraction processes.")] = None,
) -> None:
    """Run the service until it is told to stop.

    Example: cadml serve --port 8080 --workers 4
    """
    settings = Settings.load(host=host, port=port, extract_workers=workers)
    from cadml.api.server import run  # noqa: PLC0415 - quick start

    run(settings, announce=lambda url: typer.echo(f"cadml listens on {url}"))


def worker(
    workers: Annotated[int | None, typer.Option(help="Extraction processes.")] = None,
) -> None:
    """Work the queue of the library's database, beside the service or on another machine.

    Example: CADML_DATABASE_URL=postgresql://db/cadml CADML_BLOBS_URL=s3://parts cadml worker
    """
    settings = Settings.load(extract_workers=workers)
    from cadml import log  # noqa: PLC0415 - quick start
    from cadml.engine import Engine  # noqa: PLC0415

    log.configure(settings.log_format, settings.log_level)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # told to stop while starting
    with Engine(settings) as engine:

        def on_signal(*_: Any) -> None:
            stop.set()
            engine.wind_down()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, on_signal)
        typer.echo(f"cadml works the queue of {engine.database.address}")
        engine.run_queue(stop)
