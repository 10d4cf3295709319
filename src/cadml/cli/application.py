"""The frame of all commands: one line per error, exit codes, JSON or tables."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer

from cadml import __version__
from cadml.errors import CadmlError, ConfigurationError, InvalidRequest, UnknownVersion

FAILED, WRONG_USAGE, INTERRUPTED = 1, 2, 130
PIPE_WIDTH = 200  # columns of a table that no terminal shows

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="cadml reads CAD files, finds look-alikes and names parts.",
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


def _version(wanted: bool) -> None:  # noqa: FBT001 - typer passes a callback its value like this
    if wanted:
        typer.echo(f"cadml {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Read CAD files, find look-alikes, name parts."""
    from cadml import log  # noqa: PLC0415 - quick start

    log.configure("console", "warning")  # a command's output is on the other stream; a service says more


def run_safely(application: typer.Typer) -> int:
    """Return the exit code; errors go to standard error in one line."""
    try:
        return int(application(standalone_mode=False) or 0)
    except (KeyboardInterrupt, typer.Abort):
        return complain("stopped", INTERRUPTED)
    except BrokenPipeError:  # `cadml … | head`
        sys.stderr.close()
        return FAILED
    except CadmlError as error:
        wrong = isinstance(error, ConfigurationError | InvalidRequest | UnknownVersion)
        return complain(error.message, WRONG_USAGE if wrong else FAILED)
    except typer.Exit as stop:
        return stop.exit_code
    except typer.TyperException as error:  # typer's own: wrong usage
        message = str(getattr(error, "format_message", error.__str__)())
        return complain(f"{message} (cadml --help tells more)", WRONG_USAGE) if message else WRONG_USAGE


def complain(message: str, code: int) -> int:
    """Print ``message`` as one line on standard error and return ``code``."""
    typer.echo("cadml: " + " ".join(message.split()), err=True)
    return code


def print_json(body: Any) -> None:
    """Print ``body`` as JSON."""
    import numpy as np  # noqa: PLC0415 - quick start

    def plain(value: Any) -> Any:
        return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)

    typer.echo(json.dumps(body, default=plain, ensure_ascii=False, indent=2))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None) -> None:
    """Print ``rows`` under ``columns``; a number is written with six significant digits."""
    from rich.console import Console  # noqa: PLC0415 - quick start
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, header_style="bold", pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=index == 0)
    for row in rows:
        table.add_row(*(Text(shown(value)) for value in row))
    console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)
    if title:
        console.print(Text(title), soft_wrap=True)
    console.print(table)


def shown(value: Any) -> str:
    """Return ``value`` as a person reads it."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    return f"{value:.6g}" if isinstance(value, float) else str(value)
