"""The service as a process: engine, queue worker and HTTP server, started and stopped together."""

from __future__ import annotations

import math
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import structlog
import uvicorn

from cadml import log
from cadml.api.app import create_app
from cadml.api.auth import check_address, load
from cadml.config import Settings
from cadml.engine import Engine
from cadml.errors import ConfigurationError

FAREWELL_S = 5  # after the grace: for the answers to requests whose workers were ended

logger = structlog.get_logger("cadml.server")


def run(settings: Settings, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; ``announce`` is told the address once requests are accepted.

    Raises
    ------
    ConfigurationError
        The address is taken, or reachable from elsewhere without keys.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    log.configure(settings.log_format, settings.log_level)
    check_address(settings.host, settings.api_keys_file)
    if settings.api_keys_file is not None:
        load(settings.api_keys_file)  # a damaged file stops the start, before the database is opened
    with listening(settings.host, settings.port) as listener, Engine(settings) as engine:
        engine.models.serving.state()  # loaded before the first request
        stop = threading.Event()
        queue = threading.Thread(target=engine.run_queue, args=(stop,), name="queue")
        queue.start()
        try:
            server = _Server(
                _configuration(engine), lambda: announce(address_of(listener)), lambda: _stop(engine, stop)
            )
            server.run(sockets=[listener])
        finally:
            stop.set()
            queue.join()
            logger.info("stopped")


def _stop(engine: Engine, queue: threading.Event) -> None:
    """Begin no further item of the queue, and let what has begun end within the grace."""
    logger.info("stopping", grace_s=engine.settings.stop_grace_s)
    queue.set()
    engine.wind_down()


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt  # told to stop while starting: leave through every `with`


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens on ``host`` and ``port``.

    Raises
    ------
    ConfigurationError
        The address cannot be used.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {host}:{port}: {error.strerror}", host=host, port=port
        ) from error


def address_of(listener: socket.socket) -> str:
    """Return the URL at which ``listener`` is reached."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _configuration(engine: Engine) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(engine),
        log_config=None,
        access_log=False,  # requests are counted, and logged with their id at level debug
        server_header=False,
        timeout_graceful_shutdown=math.ceil(engine.settings.stop_grace_s) + FAREWELL_S,
    )


class _Server(uvicorn.Server):
    """Says when it is ready, and when it is told to stop."""

    def __init__(
        self, config: uvicorn.Config, on_start: Callable[[], None], on_stop: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._on_start = on_start
        self._on_stop = on_stop

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop accepting, and tell."""
        self._on_stop()
        super().handle_exit(sig, frame)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop gracefully on a signal; uvicorn would raise it again afterwards and skip our farewell."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.handle_exit)
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start as uvicorn does, then tell."""
        await super().startup(sockets)
        if self.started:
            self._on_start()
