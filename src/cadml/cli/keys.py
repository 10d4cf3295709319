"""``cadml keys``: who may use a service that other machines can reach."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from cadml.config import Settings
from cadml.errors import InvalidRequest

keys = typer.Typer(no_args_is_help=True, help="API keys of the service.")


@keys.callback()
def _keys() -> None:
    """Make API keys of the service."""


@keys.command()
def add(
    name: Annotated[str, typer.Argument(help="Who the key is for: one word.")],
    role: Annotated[Literal["reader", "writer", "admin"], typer.Option(help="What it may do.")] = "reader",
    file: Annotated[Path | None, typer.Option(help="Key file; default: CADML_API_KEYS_FILE.")] = None,
) -> None:
    """Print a key made for NAME; the key file gets only its hash.

    Example: cadml keys add alice --role writer --file /etc/cadml/keys
    """
    from cadml.api.auth import add as add_key  # noqa: PLC0415 - quick start

    path = file or Settings.load().api_keys_file
    if path is None:
        raise InvalidRequest("say which key file: --file PATH, or set CADML_API_KEYS_FILE")
    typer.echo(add_key(path, name, role))
