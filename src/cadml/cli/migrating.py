"""``cadml migrate``: the library from one feature version to another while people search."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cadml.cli.application import FAILED, Json, print_json, print_table, shown
from cadml.config import Settings
from cadml.errors import InvalidRequest

if TYPE_CHECKING:
    from cadml.engine import Engine

ACTIONS = ("status", "activate", "rollback", "retire", "retry", "cancel")
LOOK_S = 0.5
AT_WORK = ("planned", "building", "checking")


def migrate(
    what: Annotated[
        str,
        typer.Argument(metavar="VERSION|ACTION", help=f"A feature version, or one of {', '.join(ACTIONS)}."),
    ],
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it takes, and change nothing.")
    ] = False,
    most_failed: Annotated[float, typer.Option(min=0, max=1, help="Share of parts that may fail.")] = 0.01,
    least_recall: Annotated[float, typer.Option(min=0, max=1, help="Recall@10 to reach.")] = 0.95,
    json: Json = False,
) -> None:
    """Bring the library to another feature version. Searches go on; `activate` switches them at once.

    Built in here and by every service and worker on the same database; it may be stopped at any time,
    and goes on with the next that starts.

    Example: cadml migrate v6 --dry-run; cadml migrate v6; cadml migrate activate
    """
    if dry_run and what in ACTIONS:
        raise InvalidRequest("--dry-run goes with a feature version")
    from cadml import log  # noqa: PLC0415 - quick start
    from cadml.engine import Engine  # noqa: PLC0415

    settings = Settings.load()
    log.configure(settings.log_format)
    with Engine(settings) as engine:
        if dry_run:
            body = engine.migrations.reports.plan(what, settings.extract_workers)
            _print(body, json=json)
            return
        _do(engine, what, most_failed, least_recall)
        if what not in {"status", "activate", "rollback"}:
            _work(engine, quiet=json)
        body = engine.migrations.reports.status()
    _print(body if json else _readable(body), json=json)
    if body["migration"] and body["migration"]["state"] == "failed" and what != "status":
        raise typer.Exit(FAILED)


def _do(engine: Engine, what: str, most_failed: float, least_recall: float) -> None:
    migrations = engine.migrations
    actions = {
        "status": lambda: None,
        "activate": migrations.activate,
        "rollback": migrations.roll_back,
        "retire": migrations.retire,
        "retry": migrations.library.retry,
        "cancel": migrations.library.cancel,
    }
    if what in actions:
        actions[what]()
    else:
        migrations.library.run(what, most_failed, least_recall)


def _work(engine: Engine, *, quiet: bool) -> None:
    """Work the queue in here, beside whoever else does, until the migration waits for a person."""
    from rich.console import Console  # noqa: PLC0415 - quick start
    from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415

    stop = threading.Event()
    queue = threading.Thread(target=engine.run_queue, args=(stop,), name="queue")
    queue.start()
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[speed]}"))
    try:
        with Progress(*columns, console=Console(stderr=True), disable=quiet) as progress:
            bar = progress.add_task("planned", total=1.0, speed="")
            while (now := engine.migrations.reports.status()["migration"])["state"] in AT_WORK or (
                engine.migrations.library.is_clearing()
            ):
                progress.update(bar, description=now["state"], completed=now["progress"], speed=_speed(now))
                if not queue.is_alive():
                    raise InvalidRequest("the queue stopped; the log above says why. Run the command again")
                time.sleep(LOOK_S)
            progress.update(bar, description=now["state"], completed=now["progress"], speed="")
    finally:
        stop.set()
        queue.join()


def _speed(now: dict[str, Any]) -> str:
    text = f"{now['done']} of {now['total']}"
    if now["parts_per_second"]:
        text += f", {now['parts_per_second']:.1f} parts/s, {now['seconds_left']:.0f} s left"
    return text


def _readable(body: dict[str, Any]) -> dict[str, Any]:
    kept = ", ".join(name for name, state in body["versions"].items() if state == "kept")
    lines: dict[str, Any] = {"searches use": body["active_version"], "kept": kept}
    migration = body["migration"]
    if migration is None:
        return lines | {"migration": "there was none"}
    lines |= {"migration": f"{migration['origin']} to {migration['target']}: {migration['state']}"}
    lines |= {
        name: migration[name] for name in ("reason", "parts_per_second", "seconds_left") if migration[name]
    }
    lines["parts"] = f"{migration['done']} of {migration['total']}, {migration['failed']} failed"
    lines |= {
        f"failed: {f['name'] or f['id']}": f"{f['reason']}: {f['message']}" for f in body["failures"][:20]
    }
    for name, value in (migration["checks"] or {}).items():
        if name == "least_alike":
            for one in value:
                lines[f"least alike: {one['name']}"] = (
                    f"before {', '.join(one['before'][:3])} … after {', '.join(one['after'][:3])} …"
                )
        else:
            lines[name] = value
    return lines


def _print(body: dict[str, Any], *, json: bool) -> None:
    if json:
        print_json(body)
    else:
        print_table(("", "migration"), [(name, shown(value)) for name, value in body.items()])
