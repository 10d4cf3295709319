"""``cadml ingest``, ``cadml describe``, ``cadml similar``: what a user does with parts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cadml.cli.application import FAILED, Json, print_json, print_table, shown
from cadml.config import Settings
from cadml.errors import InvalidRequest

Where = Annotated[
    list[str] | None,
    typer.Option(
        help="Condition key=value, key=low..high or key=a,b on metadata and facts; repeat for more."
    ),
]
File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="A CAD file.")]


def ingest(
    paths: Annotated[
        list[str], typer.Argument(help="Files, folders, globs or fsspec URLs.", metavar="PATH...")
    ],
    labels: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="CSV with a column path; its label, family, … become metadata."
        ),
    ] = None,
    *,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Look into subfolders too.")] = False,
    json: Json = False,
) -> None:
    """Add files to the library. A bad file is reported and skipped; run twice, it adds nothing.

    Example: cadml ingest parts/ --recursive --labels parts.csv
    """
    from cadml.cli.ingesting import ingest_paths  # noqa: PLC0415 - quick start

    report = ingest_paths(Settings.load(), paths, labels, recursive=recursive, quiet=json)
    if json:
        print_json(report)
    else:
        if report["failures"]:
            print_table(
                ("not added", "why", ""), [(f["name"], f["code"], f["message"]) for f in report["failures"]]
            )
        counts = ", ".join(f"{count} {state}" for state, count in report["counts"].items())
        typer.echo(f"{report['files']} files: {counts}")
    if not report["counts"]["added"] and not report["counts"]["known"]:
        raise typer.Exit(FAILED)


def describe(
    file: File,
    version: Annotated[
        str | None, typer.Option(help="Feature version; default: CADML_FEATURE_VERSION.")
    ] = None,
    *,
    json: Json = False,
) -> None:
    """Print a file's geometry facts, findings and feature vector, without a database.

    Example: cadml describe bracket.step --version v5 --json
    """
    body = _described(Settings.load(), file, version)
    if json:
        print_json(body)
        return
    from cadml.geometry.facts import FACTS  # noqa: PLC0415 - quick start

    print_table(
        ("fact", "value", "unit"), [(k, v, FACTS[k].unit) for k, v in body["geometry"].items()], str(file)
    )
    if body["findings"]:
        rows = [(f["severity"], f["code"], f["message"]) for f in body["findings"]]
        print_table(("finding", "code", ""), rows, "\nfindings")
    features = body["features"]
    title = f"\nfeature version {features['version']}, {features['length']} slots"
    print_table(
        ("slot", "value", "unit"), [(s["name"], s["value"], s["unit"]) for s in features["slots"]], title
    )


def _described(settings: Settings, file: Path, asked: str | None) -> dict[str, Any]:
    from cadml import extraction  # noqa: PLC0415 - quick start
    from cadml.features.versions import version as version_named  # noqa: PLC0415
    from cadml.geometry.formats import recognise  # noqa: PLC0415
    from cadml.geometry.isolate import Workers  # noqa: PLC0415
    from cadml.geometry.part import Kind  # noqa: PLC0415

    row = recognise(file, file.name)
    name = asked or ("d1" if row.kind == Kind.DRAWING else settings.feature_version)
    version = version_named(name)
    if row.kind not in version.kinds:
        raise InvalidRequest(
            f"feature version {name} does not describe a {row.kind}; `cadml describe` alone picks one"
        )
    with Workers(1, settings.extract_timeout_s, settings.extract_memory_mb) as workers:
        read = workers.run(extraction.extract, str(file.resolve()), row.name, (name,))
    if name not in read.vectors:
        raise InvalidRequest(next(f["message"] for f in read.findings if f["where"] == name))
    values = read.vectors[name].tolist()
    slots = [
        {"name": slot.name, "value": value, "unit": slot.unit, "meaning": slot.meaning}
        for slot, value in zip(version.slots, values, strict=True)
    ]
    return {
        "name": file.name,
        "geometry": read.facts,
        "findings": read.findings,
        "features": {"version": name, "length": len(values), "values": values, "slots": slots},
        "seconds": read.seconds,
    }


def similar(
    file_or_part: Annotated[
        str, typer.Argument(help="A CAD file, or the id of a part.", metavar="FILE-or-PART")
    ],
    k: Annotated[int, typer.Option("-k", min=1, max=1000, help="How many neighbours.")] = 10,
    where: Where = None,
    version: Annotated[
        str | None, typer.Option(help="Feature version; default: the one that searches use.")
    ] = None,
    *,
    json: Json = False,
) -> None:
    """Print the nearest parts of the library.

    Example: cadml similar bracket.step -k 5 --where material=steel --where volume=10..100
    """
    from cadml.where import parse_where  # noqa: PLC0415 - quick start

    filters = parse_where(where or []) or None
    from cadml.engine import Engine  # noqa: PLC0415

    path = Path(file_or_part)
    with Engine(Settings.load(extract_workers=1)) as engine:
        if path.is_file():
            found, _ = engine.search_file(path, path.name, k, version, filters=filters)
        else:
            found = engine.search_part(file_or_part, k, version, filters=filters)
    if json:
        from cadml.api.replies import found as as_json  # noqa: PLC0415

        print_json(as_json(found))
        return
    rows = [
        (
            n.distance,
            n.name,
            n.part_number,
            n.part_id,
            " ".join(f"{k}={shown(v)}" for k, v in n.metadata.items()),
        )
        for n in found.neighbours
    ]
    how = "every candidate compared" if found.exact else "by index"
    title = f"{len(rows)} of {found.requested} asked, feature version {found.version}, {how}"
    print_table(("distance", "name", "number", "id", "metadata"), rows, title)
