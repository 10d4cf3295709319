"""``cadml drift``: whether what a running service sees still resembles the past, asked over HTTP."""

from __future__ import annotations

from json import JSONDecodeError, dumps, loads
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from cadml.cli.application import Json, print_json, print_table
from cadml.cli.remote import KeyFile, Url, answer
from cadml.errors import InvalidRequest

drift = typer.Typer(no_args_is_help=True, help="Whether what comes in still resembles the past.")

SUBJECTS = "material, prediction or feature; without it all."
Subject = Annotated[str | None, typer.Option(help=SUBJECTS)]


@drift.callback()
def _drift() -> None:
    """Ask a running service about drift, and say what it should call usual."""


@drift.command()
def status(
    count: Annotated[int | None, typer.Option(help="Judge at most so many of the newest parts.")] = None,
    hours: Annotated[float | None, typer.Option(help="Judge none that came before so many hours.")] = None,
    *,
    url: Url = None,
    key_file: KeyFile = None,
    json: Json = False,
) -> None:
    """Print a verdict on materials, predicted classes and feature vectors, and what moved most.

    Example: cadml drift status --hours 24
    """
    given = {"count": count, "hours": hours}
    query = urlencode({name: value for name, value in given.items() if value is not None})
    body = answer(url, key_file, "GET", f"/drift?{query}").json()
    if json:
        print_json(body)
        return
    columns = ("what", "verdict", "score", "chance", "parts", "moved most")
    print_table(columns, [_row(each) for each in body["subjects"]], f"{body['verdict']}; 0.5 is the alarm")


def _row(each: dict[str, Any]) -> tuple[Any, ...]:
    size = each["size"] if each["size"] >= each["needed"] else f"{each['size']} of {each['needed']}"
    return (
        *(f"{each['subject']} {each['scope']}", each["verdict"], each["score"], each["p_value"], size),
        _moved(each) if each["verdict"] in {"watch", "drifted"} else "",
    )


def _moved(each: dict[str, Any]) -> str:
    if each["categories"]:
        moved = each["categories"]["moved"]
        return ", ".join(f"{m['name']} {m['baseline']:.0%} → {m['window']:.0%}" for m in moved)
    return ", ".join(f"{group['name']} {group['score']:.2f}" for group in each["groups"][:5])


@drift.command()
def baseline(
    svg: Annotated[Path | None, typer.Option(help="Write a picture of the baseline in force.")] = None,
    subject: Annotated[str, typer.Option(help="With --svg: material, prediction or feature.")] = "material",
    *,
    url: Url = None,
    key_file: KeyFile = None,
    json: Json = False,
) -> None:
    """Print which samples of the past are kept, and which are in force.

    Example: cadml drift baseline --svg usual.svg --subject feature
    """
    if svg is not None:
        query = urlencode({"format": "svg", "subject": subject})
        svg.write_text(answer(url, key_file, "GET", f"/drift/baseline?{query}").text, encoding="utf-8")
    _print_baselines(answer(url, key_file, "GET", "/drift/baseline").json(), json)


@drift.command()
def reset(
    subject: Subject = None,
    source: Annotated[
        str, typer.Option("--from", help="next: what comes from now on; recent: what came last; chosen.")
    ] = "next",
    part: Annotated[list[str] | None, typer.Option(help="With --from chosen: id of a part; repeat.")] = None,
    where: Annotated[
        list[str] | None, typer.Option(help="With --from chosen: parts that pass, as for search; repeat.")
    ] = None,
    *,
    url: Url = None,
    key_file: KeyFile = None,
    json: Json = False,
) -> None:
    """Begin anew with what is usual.

    Example: cadml drift reset --from chosen --where approved=true
    """
    from cadml.where import parse_where  # noqa: PLC0415 - quick start

    asked: dict[str, Any] = {"subject": subject, "source": source, "ids": part or []}
    if where:
        asked["filters"] = parse_where(where)
    _print_baselines(answer(url, key_file, "POST", "/drift/reset", asked).json(), json)


@drift.command()
def export(
    file: Annotated[Path, typer.Argument(help="Where the document goes.")],
    subject: Subject = None,
    *,
    url: Url = None,
    key_file: KeyFile = None,
) -> None:
    """Write the baselines in force into a file that another installation can import.

    Example: cadml drift export usual.json
    """
    document = answer(url, key_file, "POST", "/drift/baseline/export", {"subject": subject}).json()
    file.write_text(dumps(document), encoding="utf-8")
    typer.echo(f"{len(document['baselines'])} baselines in {file}")


@drift.command("import")
def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="What export wrote.")],
    *,
    url: Url = None,
    key_file: KeyFile = None,
    json: Json = False,
) -> None:
    """Put exported baselines in force.

    Example: cadml drift import usual.json
    """
    try:
        document = loads(file.read_text(encoding="utf-8"))
    except (JSONDecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{file.name} is no JSON: {error}") from error
    _print_baselines(answer(url, key_file, "POST", "/drift/baseline/import", document).json(), json)


def _print_baselines(body: dict[str, Any], as_json: bool) -> None:  # noqa: FBT001 - as given on the command line
    if as_json:
        print_json(body)
        return
    rows = [
        (
            *(f"{each['subject']} {each['scope']}", each["number"], each["origin"], each["size"]),
            *(each["created_at"], each["active"], each["stale"]),
        )
        for each in body["baselines"]
    ]
    print_table(("baseline", "number", "origin", "parts", "made", "in force", "stale"), rows)
