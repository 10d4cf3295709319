"""How the service and the workers write their log: readable lines, or one JSON object per line.

A line carries the id of the request that caused it (bound by :mod:`cadml.api.edge` and
:mod:`cadml.engine.origin`), never the content of a file, and no secret.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import Any, Literal

import orjson
import structlog

SECRET = re.compile(r"password|passwd|secret|token|api.?key|authorization|credential", re.IGNORECASE)
# user:password@ of a URL, and password=… of a PostgreSQL connection string.
IN_URL = re.compile(r"(?<=://)([^/@:\s\"]*):[^/@\s\"]*@")
IN_WORDS = re.compile(r"\b(password)=('[^'\"]*'|[^\s'\"\\]+)", re.IGNORECASE)


def _without_secret_fields(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Hide the value of a field that is named like a secret."""
    return {name: "…" if SECRET.search(name) else value for name, value in event.items()}


def _without_passwords(_: Any, __: str, line: Any) -> str:
    """Hide the passwords of connection strings wherever a finished line holds one."""
    return IN_WORDS.sub(r"\1=…", IN_URL.sub(r"\1:…@", line))


SHARED: tuple[structlog.typing.Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
)
# Local variables would tell what a file holds, and keys.
TRACEBACKS = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)


def configure(form: Literal["console", "json"], level_name: str = "info") -> None:
    """Write every log line from ``level_name`` up, also those of libraries, to standard error in ``form``."""
    level = logging.getLevelNamesMapping()[level_name.upper()]
    renderers: list[structlog.typing.Processor] = (
        [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ]
        if form == "console"
        else [TRACEBACKS, structlog.processors.JSONRenderer(_dumps)]
    )
    structlog.configure(
        processors=[*SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    output = logging.StreamHandler(sys.stderr)
    output.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=SHARED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _without_secret_fields,
                *renderers,
                _without_passwords,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [output]
    root.setLevel(level)
    for chatty in CHATTY:
        logging.getLogger(chatty).setLevel(max(level, logging.WARNING))


# Libraries whose lines below a warning tell of their own insides.
CHATTY = ("procrastinate", "psycopg", "ezdxf", "trimesh", "python_multipart", "asyncio", "urllib3")


def _dumps(event: object, **_: object) -> str:
    return orjson.dumps(event, default=str).decode()
