"""``cadml backup`` and ``cadml restore``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cadml.cli.application import Json, print_json
from cadml.config import Settings
from cadml.errors import BackupFailed

MIB = 1 << 20


def backup(
    target: Annotated[Path, typer.Argument(help="A folder, or a new file that ends in .tar.")],
    *,
    json: Json = False,
) -> None:
    """Write database and blobs, as of one moment, to a folder or a tar file, while the service runs.

    Into the same folder again, it copies only what is new. Keys and settings are not in it.

    Example: cadml backup /backups/cadml
    """
    from cadml.backup.making import make  # noqa: PLC0415 - quick start

    made = make(Settings.load(), target)
    if json:
        print_json({"target": str(target), **asdict(made)})
    else:
        typer.echo(
            f"{target}: {made.counts['parts']} parts, {made.blobs} files of {made.bytes / MIB:.1f} MiB"
        )
    if made.lacking:
        raise BackupFailed(
            f"the backup is made, but the library lost {len(made.lacking)} files, such as {made.lacking[0]}"
        )


def restore(
    source: Annotated[Path, typer.Argument(exists=True, help="What `cadml backup` wrote.")],
    *,
    json: Json = False,
) -> None:
    """Bring a backup back into an empty database and the blob store, and check that all of it is there.

    Example: CADML_DATA_DIR=/srv/cadml-new cadml restore /backups/cadml
    """
    from cadml.backup.restoring import restore as bring_back  # noqa: PLC0415 - quick start

    manifest = bring_back(Settings.load(), source)
    if json:
        print_json(manifest)
    else:
        typer.echo(
            f"{manifest['counts']['parts']} parts, {manifest['blobs']} files of {manifest['made']} are back"
        )
