"""``cadml cache``: the feature cache of a running service, asked over HTTP (it lives in that process)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cadml.cli.application import Json, print_json, print_table
from cadml.cli.remote import KeyFile, Url, answer

CACHE = "/features/cache"

cache = typer.Typer(no_args_is_help=True, help="The feature cache of a running service.")


@cache.callback()
def _cache() -> None:
    """Look at, tune and warm the feature cache of a running service."""


@cache.command()
def show(*, url: Url = None, key_file: KeyFile = None, json: Json = False) -> None:
    """Print what the cache holds and did since the start.

    Example: cadml cache show
    """
    _print(_ask(url, key_file, "GET", ""), json)


@cache.command()
def tuning(
    hit_rate: Annotated[float | None, typer.Option(help="Judge this hit rate by the fixed bands.")] = None,
    capacity: Annotated[int | None, typer.Option(help="With --hit-rate: the capacity it had.")] = None,
    ttl: Annotated[int | None, typer.Option(help="With --hit-rate: the ttl it had, in s.")] = None,
    window_hours: Annotated[float, typer.Option(help="With --hit-rate: the hours it was seen for.")] = 24,
    svg: Annotated[Path | None, typer.Option(help="Write the miss-ratio curve as a picture.")] = None,
    *,
    url: Url = None,
    key_file: KeyFile = None,
    json: Json = False,
) -> None:
    """Print advice on the running cache from its re-use, or by bands for the numbers that you give.

    Example: cadml cache tuning --svg curve.svg
    """
    if hit_rate is not None:
        given = {"hit_rate": hit_rate, "capacity": capacity, "ttl": ttl, "window_hours": window_hours}
        stated = {name: value for name, value in given.items() if value is not None}
        _print(_ask(url, key_file, "POST", "/tuning", stated), json)
        return
    if svg is not None:
        svg.write_text(answer(url, key_file, "GET", f"{CACHE}/tuning?format=svg").text, encoding="utf-8")
    body = _ask(url, key_file, "GET", "/tuning")
    if json:
        print_json(body)
        return
    for line in body["reasoning"]:
        typer.echo(line)
    if body["curve"]:
        rows = [(point["capacity"], f"{1 - point['hit_ratio']:.1%}") for point in body["curve"][::8]]
        print_table(("capacity", "misses"), rows)


@cache.command()
def apply(
    capacity: Annotated[int | None, typer.Option(help="Most vectors to hold.")] = None,
    ttl: Annotated[int | None, typer.Option(help="Seconds without use after which a vector leaves.")] = None,
    *,
    url: Url = None,
    key_file: KeyFile = None,
    json: Json = False,
) -> None:
    """Set capacity and ttl; for 300 s `cadml cache rollback` restores the former ones.

    Example: cadml cache apply --capacity 20000 --ttl 86400
    """
    wanted = {"capacity": capacity, "ttl": ttl}
    _print(_ask(url, key_file, "POST", "/apply", wanted), json)


@cache.command()
def rollback(*, url: Url = None, key_file: KeyFile = None, json: Json = False) -> None:
    """Restore the settings before the last change.

    Example: cadml cache rollback
    """
    _print(_ask(url, key_file, "POST", "/rollback"), json)


@cache.command()
def prewarm(*, url: Url = None, key_file: KeyFile = None, json: Json = False) -> None:
    """Load the most used vectors from the database.

    Example: cadml cache prewarm
    """
    _print(_ask(url, key_file, "POST", "/prewarm"), json)


def _print(body: dict[str, Any], as_json: bool) -> None:  # noqa: FBT001 - as given on the command line
    if as_json:
        print_json(body)
        return
    rows = [(name, "; ".join(v) if isinstance(v, list) else v) for name, v in body.items()]
    print_table(("", "feature cache"), rows)


def _ask(
    url: str | None, key_file: Path | None, method: str, path: str, body: dict[str, Any] | None = None
) -> dict[str, Any]:
    found: dict[str, Any] = answer(url, key_file, method, CACHE + path, body).json()
    return found
