"""``cadml settings``, ``cadml doctor`` and ``cadml dashboards``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cadml.cli.application import FAILED, Json, print_json, print_table
from cadml.config import Settings, settings_table


def settings(*, json: Json = False) -> None:
    """List every setting with its default, unit and help, and the value it has now.

    Example: cadml settings --json
    """
    rows = settings_table(Settings.load())
    if json:
        print_json(rows)
    else:
        print_table(
            ("setting", "default", "unit", "now", "help"),
            [[row[key] for key in ("name", "default", "unit", "value", "help")] for row in rows],
        )


def doctor(
    *,
    pardon: Annotated[
        str | None, typer.Option(metavar="SHA256", help="Let a quarantined file be tried again.")
    ] = None,
    tune_searches: Annotated[
        bool,
        typer.Option(
            "--tune-searches",
            help="Measure recall; let searches look as far as it takes, or build the index anew.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Say what is wrong with this installation; exit 1 if anything is.

    Example: cadml doctor --json
    """
    from cadml.doctor import examine, let_off, tune  # noqa: PLC0415 - quick start

    if pardon:
        let_off(Settings.load(), pardon)
    if tune_searches:
        for line in tune(Settings.load()):
            typer.echo(line, err=True)
    checks = examine(Settings.load())
    if json:
        print_json([{"check": c.name, "ok": c.ok, "detail": c.detail} for c in checks])
    else:
        print_table(("", "check", "finding"), [("ok" if c.ok else "BAD", c.name, c.detail) for c in checks])
    if not all(check.ok for check in checks):
        raise typer.Exit(FAILED)


def dashboards(
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 where a file is not what the code says.")
    ] = False,
    to: Annotated[Path, typer.Option(file_okay=False, help="Folder of deployments.")] = Path("deploy"),
    json: Json = False,
) -> None:
    """Write the Grafana dashboards and Prometheus rules that belong to this version.

    Example: cadml dashboards --check
    """
    from cadml.observability import generated  # noqa: PLC0415 - quick start

    texts = generated.outputs()
    changed = [str(to / path) for path in (generated.stale if check else generated.write)(to, texts)]
    if json:
        print_json({"files": [str(to / path) for path in texts], "stale" if check else "written": changed})
    else:
        for path in changed:
            typer.echo(f"{'stale' if check else 'written'}: {path}", err=check)
        typer.echo(f"{len(texts)} files, {len(changed)} {'stale' if check else 'written'}")
    if check and changed:
        raise typer.Exit(FAILED)
