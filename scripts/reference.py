"""Write docs/reference from the tables in the code: `make docs`. With --check, say what is stale."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import click
import typer

from cadml.api.app import every_route
from cadml.api.problems import STATUS
from cadml.api.routing import needed_role
from cadml.cli import app
from cadml.config import PREFIX, Settings
from cadml.errors import every_error
from cadml.features.versions import VERSIONS
from cadml.geometry.facts import FACTS
from cadml.geometry.formats import FORMATS, REFUSED
from cadml.geometry.shading import SURFACE_COLOURS
from cadml.observability.table import METRICS

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
NOTE = "Generated from the code by `make docs`; do not edit."
# Defaults that depend on the machine are described, not printed.
VARYING = {"data_dir": "the user's data folder", "extract_workers": "number of cores"}


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """Return a Markdown table."""
    lines = [f"| {' | '.join(columns)} |", f"| {' | '.join('---' for _ in columns)} |"]
    return lines + [f"| {' | '.join(_cell(value) for value in row)} |" for row in rows]


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")


def formats() -> list[str]:
    """Return what is read, what is refused, and the facts of a part."""
    read = [
        (
            f"`{row.name}`",
            row.kind,
            ", ".join(f"`.{e}`" for e in row.extensions),
            row.media_type,
            row.description,
        )
        for row in FORMATS.values()
    ]
    return [
        "# Formats", "", NOTE, "",
        *table(("name", "kind", "extensions", "media type", "description"), read), "",
        "## Refused, and what to do instead", "",
        *table(("extension", "answer"), [(f"`.{name}`", text) for name, text in REFUSED.items()]), "",
        "## Facts", "", "What every part can be listed, filtered and sorted by; absent where undefined.", "",
        *table(("fact", "type", "unit", "meaning"),
               [(f"`{name}`", fact.type.__name__, fact.unit, fact.meaning) for name, fact in FACTS.items()]),
    ]  # fmt: skip


def features() -> list[str]:
    """Return every feature version with its slots."""
    lines = ["# Feature versions", "", NOTE, ""]
    summary = [
        (f"[{row.name}](#{row.name})", row.length, ", ".join(sorted(row.kinds)), row.metric, row.summary)
        for row in VERSIONS.values()
    ]
    lines += table(("version", "slots", "kinds", "distance", "what"), summary)
    for row in VERSIONS.values():
        lines += ["", f"## {row.name}"]
        for block in row.descriptors:
            lines += ["", f"### {row.name}: {block.name}", "", *([block.source, ""] if block.source else [])]
            slots = [
                (f"`{slot.name}`", slot.unit, slot.meaning, ", ".join(sorted(slot.invariances)))
                for slot in block.slots
            ]
            lines += table(("slot", "unit", "meaning", "unchanged by"), slots)
    return lines


def metrics() -> list[str]:
    """Return every metric."""
    rows = [
        (
            f"`{row.name}`",
            row.kind,
            ", ".join(row.labels),
            " ".join(f"{b:g}" for b in row.buckets),
            row.meaning,
        )
        for row in METRICS.values()
    ]
    return ["# Metrics", "", NOTE, "", *table(("metric", "type", "labels", "buckets", "meaning"), rows)]


def settings() -> list[str]:
    """Return every setting."""
    rows = []
    for name, field in Settings.model_fields.items():
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        default = VARYING.get(name) or f"`{field.default}`"
        rows.append((f"`{PREFIX}{name.upper()}`", default, extra.get("unit", ""), field.description))
    return ["# Settings", "", NOTE, "", *table(("environment", "default", "unit", "help"), rows)]


def errors() -> list[str]:
    """Return every error code."""
    rows = [(f"`{kind.code}`", STATUS[kind.code], kind.stage, kind.meaning) for kind in every_error()]
    return ["# Errors", "", NOTE, "", *table(("code", "HTTP", "stage", "meaning"), sorted(rows))]


def routes() -> list[str]:
    """Return every route."""
    rows = [
        (method, f"`{route.path}`", _role(route), route.summary or "")
        for route in every_route()
        if route.include_in_schema
        for method in sorted(route.methods)
    ]
    return ["# HTTP", "", NOTE, "Bodies: `/docs` and `/openapi.json` of a running service.", "",
            *table(("method", "path", "role", "does"), rows)]  # fmt: skip


def _role(route: Any) -> str:
    return str(needed_role(route).value) if route.path.startswith("/api/") else "open"


def commands() -> list[str]:
    """Return every command with its help."""
    lines = ["# Commands", "", NOTE]
    root = typer.main.get_command(app)
    for name, command in _commands(root, "cadml"):
        with click.Context(command, info_name=name) as context:
            text = click.formatting.wrap_text(command.help or "", 100, preserve_paragraphs=True)
            lines += ["", f"## {name}", "", "```", context.get_usage(), "```", "", text]
            lines += ["", *table(("option", "help"), _options(command))] if _options(command) else []
    return lines


def _commands(command: Any, name: str) -> Iterable[tuple[str, Any]]:
    children = getattr(command, "commands", None)
    if children is None:
        yield name, command
        return
    for child, sub in sorted(children.items()):
        yield from _commands(sub, f"{name} {child}")


def _options(command: Any) -> list[tuple[str, str]]:
    shown = []
    for option in command.params:
        names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
        named = names if names.startswith("`-") else f"`{option.metavar or option.name.upper()}`"
        shown.append((named, getattr(option, "help", None) or ""))
    return shown


def colours() -> list[str]:
    """Return the legend of previews."""
    rows = [
        (kind.name.lower(), f"`#{r:02x}{g:02x}{b:02x}`") for kind, (r, g, b, _) in SURFACE_COLOURS.items()
    ]
    return ["# Colours of a preview", "", NOTE, "",
            "`preview.glb` shows the colours that the file states; a face without one by its surface:", "",
            *table(("surface", "colour"), rows)]  # fmt: skip


PAGES: dict[str, Callable[[], list[str]]] = {
    "formats": formats, "features": features, "metrics": metrics, "settings": settings,
    "errors": errors, "http": routes, "commands": commands, "colours": colours,
}  # fmt: skip


def pages() -> dict[Path, str]:
    """Return every page's path and text, the index too."""
    made = {FOLDER / f"{name}.md": "\n".join(page()).rstrip() + "\n" for name, page in PAGES.items()}
    links = [f"- [{text.splitlines()[0].removeprefix('# ')}]({path.name})" for path, text in made.items()]
    return {**made, FOLDER / "README.md": "\n".join(["# Reference", "", NOTE, "", *links, ""])}


def main() -> int:
    """Write the pages, or say which are stale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 where a page is stale")
    check = parser.parse_args().check
    stale = [p for p, text in pages().items() if not p.is_file() or p.read_text(encoding="utf-8") != text]
    for path in stale:
        if check:
            print(f"stale: {path}", file=sys.stderr)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(pages()[path], encoding="utf-8")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
