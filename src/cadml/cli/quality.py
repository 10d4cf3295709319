"""``cadml evaluate`` and ``cadml bench``: how good, and how fast."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from cadml.cli.application import Json, print_json, print_table
from cadml.config import Settings


def evaluate(
    manifest: Annotated[Path, typer.Argument(help="CSV with path,label,family; paths relative to it.")],
    version: Annotated[
        str | None, typer.Option(help="Feature version; default: CADML_FEATURE_VERSION.")
    ] = None,
    *,
    json: Json = False,
) -> None:
    """Measure retrieval and classification on a labelled set, families held apart.

    Example: cadml evaluate parts.csv --version v5 --json
    """
    from cadml.cli.evaluating import evaluate_manifest  # noqa: PLC0415 - quick start

    settings = Settings.load()
    report = evaluate_manifest(settings, manifest, version or settings.feature_version, quiet=json)
    if json:
        print_json(report)
        return
    rows = [
        (m, *(report["retrieval"][mean][m] for mean in ("micro", "macro")))
        for m in report["retrieval"]["micro"]
    ]
    print_table(("retrieval", "micro", "macro"), rows)
    if report["classification"]:
        print_table(("classification", ""), list(report["classification"].items()))
    typer.echo(
        f"{report['queries']} queries, {report['classes']} classes, {len(report['unreadable'])} unreadable"
    )
    if report["unreadable"]:
        print_table(("unreadable", "why"), [(u["path"], u["code"]) for u in report["unreadable"]])


def bench(
    what: Annotated[Literal["extract", "search", "api"], typer.Argument(help="What to measure.")] = "extract",
    data: Annotated[
        Path | None, typer.Option(help="Folder of CAD files; default: cadml's own samples.")
    ] = None,
    *,
    json: Json = False,
) -> None:
    """Measure the speed of this machine, with the kernel's own floor beside it.

    Example: cadml bench extract --data parts/ --json
    """
    from cadml import bench as measures  # noqa: PLC0415 - quick start

    report: dict[str, Any] = measures.run(what, Settings.load(), data)
    if json:
        print_json(report)
    else:
        print_table(("measure", "value"), measures.rows(report), f"cadml bench {what}")
