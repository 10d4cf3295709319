"""``cadml train`` and ``cadml model``: the life of a classifier."""

from __future__ import annotations

import getpass
import hashlib
from pathlib import Path
from typing import Annotated, Any

import typer

from cadml.cli.application import FAILED, Json, print_json, print_table
from cadml.config import Settings
from cadml.errors import InvalidRequest, ModelNotFound

model = typer.Typer(no_args_is_help=True, help="Classifiers: known, trusted, active.")

ModelFile = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="A model file.", metavar="FILE")
]
SCORES = ("accuracy", "macro_f1", "abstained", "accuracy_answered", "macro_f1_answered")


def train(
    labels: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="CSV with path,label,family; without it, the label and family in the library's metadata.",
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the model; a number is added.")] = "classifier",
    version: Annotated[
        str | None, typer.Option(help="Feature version; default: the one that searches use.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option("--svg", help="Write the confusion matrix as a picture.")
    ] = None,
    *,
    json: Json = False,
) -> None:
    """Train a classifier: several are compared, families held apart, and the best is kept.

    Example: cadml train --labels parts.csv --name parts --svg confusion.svg
    """
    from cadml.cli.training import train_classifier  # noqa: PLC0415 - quick start

    settings = Settings.load()
    report = train_classifier(settings, labels, name, version, quiet=json)
    if picture:
        picture.write_text(_confusion(report["classes"], report["scores"], report["version"]), "utf-8")
    if json:
        print_json(report)
        return
    _tell_scores(report["classes"], report["scores"])
    for row in report["unreadable"]:
        typer.echo(f"not used: {row['path']}: {row['code']}")
    typer.echo(f"kept as {report['version']}; `cadml model activate {report['version']}` lets it serve")


@model.callback()
def _model() -> None:
    """Look at classifiers, trust their files, switch between them."""


@model.command("list")
def list_models(
    events: Annotated[int, typer.Option(min=0, help="How many events to show.")] = 20, *, json: Json = False
) -> None:
    """Print known models and what happened to them: activations, refusals, rollbacks, by whom and why.

    Example: cadml model list --events 50
    """
    from cadml.engine import Engine  # noqa: PLC0415 - quick start

    with Engine(_settings()) as engine:
        store = engine.models.store
        state, rows, happened = store.state(), store.all(), store.events(events)
    if json:
        print_json(
            {
                "line": state.line,
                "level": state.level,
                "load_seq": state.activations,
                "versions": [_row(row, state) for row in rows],
                "events": [vars_of(event) for event in happened],
            }
        )
        return
    columns = ("version", "serves", "level", "format", "features", "classes", "macro_f1", "created_at")
    print_table(columns, [[_row(row, state)[name] for name in columns] for row in rows])
    told = ("at", "what", "version", "who", "why")
    print_table(told, [[vars_of(event)[name] for name in told] for event in happened], "events")


def _settings() -> Settings:
    """Return the settings, with the log on standard error: standard output is the command's answer."""
    from cadml import log  # noqa: PLC0415 - quick start

    settings = Settings.load()
    log.configure(settings.log_format, settings.log_level)
    return settings


def vars_of(row: Any) -> dict[str, Any]:
    """Return a row as plain words."""
    from dataclasses import asdict  # noqa: PLC0415 - beside its only use

    return {name: str(v) if name.endswith("at") else v for name, v in asdict(row).items()}


def _row(row: Any, state: Any) -> dict[str, Any]:
    return {
        "version": row.version,
        "serves": row.version == state.version,
        "level": state.line.index(row.version) if row.version in state.line else None,
        "format": row.format,
        "sha256": row.sha256,
        "features": row.card["feature_version"],
        "classes": len(row.card["classes"]),
        "macro_f1": row.card["scores"].get("macro_f1"),
        "created_at": str(row.created_at),
    }


@model.command()
def show(
    version: Annotated[
        str | None, typer.Argument(help="Version of a known model; default: the one that serves.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option("--svg", help="Write the confusion matrix as a picture.")
    ] = None,
    *,
    json: Json = False,
) -> None:
    """Print a model's card: classes, scores, what it was trained from.

    Example: cadml model show parts-3 --svg confusion.svg
    """
    from cadml.engine import Engine  # noqa: PLC0415 - quick start

    with Engine(_settings()) as engine:
        store = engine.models.store
        named = version or store.state().version
        if named is None:
            raise ModelNotFound("no model serves yet; cadml model list", status="not_found")
        row = store.get(named)
    card = row.card
    if picture:
        picture.write_text(_confusion(card["classes"], card["scores"], named), "utf-8")
    if json:
        print_json(card | {"sha256": row.sha256, "format": row.format, "canaries": len(card["canaries"])})
        return
    words = ("version", "feature_version", "abstain_below", "training_sha256", "made_by", "created_at")
    print_table(("", ""), [(name, card[name]) for name in words] + [("sha256", row.sha256)])
    if card["scores"].keys() >= {"estimators", "by_class", "left_out"}:  # those of `cadml train`
        _tell_scores(card["classes"], card["scores"])
    elif card["scores"]:
        print_table(("score", ""), list(card["scores"].items()))


@model.command()
def scan(file: ModelFile, *, json: Json = False) -> None:
    """Judge a model file without loading it: exit 0 if it would be accepted, 1 with the reason if not.

    Trust is not asked for: the answer is about the content.

    Example: cadml model scan classifier.joblib --json
    """
    from cadml.cli.scanning import scan_file  # noqa: PLC0415 - quick start

    report = scan_file(Settings.load(), file)
    if json:
        print_json(report)
    else:
        print_table(
            ("", str(file)), [(k, ", ".join(v) if isinstance(v, list) else v) for k, v in report.items()]
        )
    if report["status"] != "success":
        raise typer.Exit(FAILED)


@model.command()
def trust(
    file: ModelFile,
    why: Annotated[str, typer.Option(help="Where the file comes from; kept with your name.")],
    version: Annotated[
        str | None, typer.Option(help="Feature version its vectors are of; default: the active one.")
    ] = None,
    *,
    json: Json = False,
) -> None:
    """Let a file from elsewhere be loaded: its hash is trusted from now on, with your name and reason.

    Example: cadml model trust classifier.skops --why "from the simulation group, mail of 3 May"
    """
    from cadml.engine import Engine  # noqa: PLC0415 - quick start
    from cadml.features.versions import version as version_named  # noqa: PLC0415

    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    if not why.strip():
        raise InvalidRequest("--why needs a reason: who reads the history later has nothing else")
    with Engine(_settings()) as engine:
        name = version_named(version or engine.versions.active).name
        engine.models.store.trust(sha256, name, getpass.getuser(), f"{file.name}: {why}")
    body = {"sha256": sha256, "feature_version": name, "who": getpass.getuser(), "why": why}
    print_json(body) if json else print_table(("trusted", file.name), list(body.items()))


@model.command()
def activate(
    version: Annotated[
        str, typer.Argument(help="Version of a known model, or a trusted file.", metavar="VERSION-or-FILE")
    ],
    expected_version: Annotated[
        str | None, typer.Option(help="Refuse the file if it is another version.")
    ] = None,
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Override expected version and score floor; no security check.")
    ] = False,
    json: Json = False,
) -> None:
    """Let a model serve, in every process on this database.

    Example: cadml model activate parts-3
    """
    from cadml.engine import Engine  # noqa: PLC0415 - quick start

    file = Path(version)
    with Engine(_settings()) as engine:
        who = getpass.getuser()
        if file.is_file():
            row = engine.models.reload_file(file, who, expected_version=expected_version, force=force)
        else:
            row = engine.models.reload(who, version=version, expected_version=expected_version, force=force)
    _print_state({"status": "success", "version": row.version, "level": 0}, json)


@model.command()
def rollback(
    levels: Annotated[int | None, typer.Option(min=1, max=3, help="Steps back; default 1.")] = None,
    to: Annotated[str | None, typer.Option(help="Version to go back to.")] = None,
    why: Annotated[str, typer.Option(help="Kept in the history.")] = "asked for",
    *,
    json: Json = False,
) -> None:
    """Let a predecessor serve again, in every process on this database.

    Example: cadml model rollback --levels 1 --why "too many washers"
    """
    from cadml.engine import Engine  # noqa: PLC0415 - quick start

    with Engine(_settings()) as engine:
        steps = levels if levels or to else 1
        state = engine.models.roll_back(getpass.getuser(), why, levels=steps, version=to)
    _print_state({"status": "success", "version": state.version, "level": state.level}, json)


def _print_state(body: dict[str, Any], as_json: bool) -> None:  # noqa: FBT001 - as given on the command line
    if as_json:
        print_json(body)
    else:
        typer.echo(f"{body['version']} serves (level {body['level']})")


def _tell_scores(classes: list[str], scores: dict[str, Any]) -> None:
    print_table(
        ("estimator", *SCORES),
        [(name, *(row[s] for s in SCORES)) for name, row in scores["estimators"].items()],
        f"{scores['parts']} parts, {scores['families']} families, {len(classes)} classes; chosen: "
        f"{scores['estimator']}",
    )
    print_table(("held out", *SCORES), [("the whole procedure", *(scores[name] for name in SCORES))])
    columns = ("precision", "recall", "f1", "parts")
    print_table(
        ("class", *columns),
        [(label, *(row[c] for c in columns)) for label, row in scores["by_class"].items()],
    )
    for label, counts in scores["left_out"].items():
        typer.echo(f"left out: {label} ({', '.join(f'{n} {what}' for what, n in counts.items())})")


def _confusion(classes: list[str], scores: dict[str, Any], title: str) -> str:
    from cadml.charts import matrix  # noqa: PLC0415 - quick start

    if "confusion" not in scores:
        raise InvalidRequest(f"{title} has no confusion matrix: it was not trained by cadml")
    return matrix(
        f"{title}: held-out answers",
        classes,
        [*classes, "abstained"],
        scores["confusion"],
        row_label="is",
        column_label="answered",
    )
