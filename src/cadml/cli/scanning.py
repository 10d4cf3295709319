"""What ``cadml model scan`` does: the guard's checks that load nothing, without a database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cadml.config import Settings
from cadml.engine.model_files import told
from cadml.learning.guard import Guard


def scan_file(settings: Settings, file: Path) -> dict[str, Any]:
    """Return what the guard says of the file's size, magic and opcodes."""
    most = settings.model_max_mb << 20
    with file.open("rb") as stream:
        data = stream.read(most + 1)
    verdict = Guard(settings.model_opcode_mode, most).inspect(data, file.name, trusted=True)
    return told(verdict) | {"message": verdict.message, "mode": settings.model_opcode_mode}
