"""Questions to a running service over HTTP, for commands about what lives in its process."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cadml.config import Settings
from cadml.errors import ConfigurationError, InternalError, InvalidRequest, every_error

Url = Annotated[str | None, typer.Option(help="Address of the service; default: CADML_HOST and CADML_PORT.")]
KeyFile = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="File that holds your API key, if one is needed."),
]


def answer(
    url: str | None, key_file: Path | None, method: str, path: str, body: dict[str, Any] | None = None
) -> Any:
    """Return the service's good answer; what it refuses is raised as the error that it names."""
    import httpx  # noqa: PLC0415 - quick start

    settings = Settings.load()
    base = (url or _usual(settings)).rstrip("/")
    headers = {"X-API-Key": key_file.read_text(encoding="utf-8").strip()} if key_file else {}
    try:
        got = httpx.request(method, f"{base}/api/v1{path}", json=body, headers=headers, timeout=60)
    except httpx.InvalidURL as error:
        raise InvalidRequest(f"{base} is no address: {error}") from error
    except httpx.HTTPError as error:
        raise ConfigurationError(
            f"no service answers at {base} ({error}); start `cadml serve`, or give --url"
        ) from error
    if got.is_error:
        raise _error(got)
    return got


def _usual(settings: Settings) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - what it listens on
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def _error(got: Any) -> Exception:
    if got.headers.get("content-type") != "application/problem+json":
        return InternalError(f"{got.url} answered {got.status_code}; that is no cadml service")
    problem = got.json()
    kinds = {kind.code: kind for kind in every_error()}
    return kinds.get(problem["code"], InternalError)(problem["detail"])
