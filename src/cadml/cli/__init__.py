"""The command line. Each command imports what it needs when it runs, so that ``--help`` is quick."""

from __future__ import annotations

import sys

from cadml.cli.application import app, run_safely
from cadml.cli.backup import backup, restore
from cadml.cli.cache import cache
from cadml.cli.drift import drift
from cadml.cli.installation import dashboards, doctor, settings
from cadml.cli.keys import keys
from cadml.cli.library import describe, ingest, similar
from cadml.cli.migrating import migrate
from cadml.cli.models import model, train
from cadml.cli.quality import bench, evaluate
from cadml.cli.service import serve, worker

__all__ = ["app", "main", "run_safely"]

COMMANDS = (
    serve,
    worker,
    ingest,
    describe,
    similar,
    migrate,
    train,
    evaluate,
    bench,
    settings,
    doctor,
    dashboards,
    backup,
    restore,
)

for command in COMMANDS:
    app.command()(command)
app.add_typer(cache, name="cache")
app.add_typer(drift, name="drift")
app.add_typer(keys, name="keys")
app.add_typer(model, name="model")


def main() -> None:
    """Run the command line and exit: 0 on success, 1 on failure, 2 on wrong usage."""
    sys.exit(run_safely(app))
