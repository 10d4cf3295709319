"""Bytes of model files, read once and only from the models folder; refusals in the contract's words."""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath

from cadml.errors import (
    ModelCanaryFailed,
    ModelHashMismatch,
    ModelInterfaceInvalid,
    ModelMagicInvalid,
    ModelNotFound,
    ModelNotLoaded,
    ModelOpcodeBlocked,
    ModelRefused,
    ModelScanFailed,
    ModelScoreTooLow,
    ModelSizeExceeded,
    ModelVersionMismatch,
)
from cadml.learning.verdict import Status, Verdict

REFUSALS: dict[Status, type[ModelRefused]] = {
    "not_found": ModelNotFound,
    "version_mismatch": ModelVersionMismatch,
    "size_exceeded": ModelSizeExceeded,
    "hash_mismatch": ModelHashMismatch,
    "magic_invalid": ModelMagicInvalid,
    "opcode_blocked": ModelOpcodeBlocked,
    "opcode_scan_error": ModelScanFailed,
    "interface_invalid": ModelInterfaceInvalid,
    "canary_failed": ModelCanaryFailed,
    "score_too_low": ModelScoreTooLow,
    "load_error": ModelNotLoaded,
}
MOST_IMPORTS = 50  # told of a refused file; the first unlisted one is named in any case


def told(verdict: Verdict) -> dict[str, object]:
    """Return what a program wants to know of a verdict."""
    return {
        "status": verdict.status,
        "sha256": verdict.sha256,
        "format": verdict.format,
        "reason": verdict.security or verdict.interface,
        "opcode": verdict.opcode,
        "position": verdict.position,
        "imports": [".".join(pair) for pair in verdict.imports[:MOST_IMPORTS]],
    }


def refusal(verdict: Verdict) -> ModelRefused:
    """Return a refusing ``verdict`` as the error that says it."""
    return REFUSALS[verdict.status](verdict.message, **told(verdict))


def read_model_file(folder: Path, asked: str, most_bytes: int) -> tuple[bytes, str]:
    """Return the bytes and the name of the file ``asked`` for, below ``folder``.

    Each step of the path is opened by itself and no link is followed, so that nobody can put
    another file in its place between a check and the read. Of a file that is too large only
    ``most_bytes + 1`` are read: enough for the guard to say so.

    Raises
    ------
    ModelNotFound
        It is not there, no regular file, a link, or outside the folder.
    """
    names = _below(folder, asked)
    try:
        here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for name in names[:-1]:
                inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
                os.close(here)
                here = inner
            # A pipe would block whoever opens it.
            file = os.open(names[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=here)
        finally:
            os.close(here)
    except OSError as error:
        raise _not_found(asked) from error
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise _not_found(asked)
    with os.fdopen(file, "rb") as stream:
        return stream.read(most_bytes + 1), names[-1]


def _below(folder: Path, asked: str) -> tuple[str, ...]:
    path = PurePosixPath(asked)
    if path.is_absolute():
        try:
            path = path.relative_to(folder)
        except ValueError:
            raise _not_found(asked) from None
    if not path.parts or ".." in path.parts or "\0" in asked:
        raise _not_found(asked)
    return path.parts


def _not_found(asked: str) -> ModelNotFound:
    return ModelNotFound(
        f"{asked!r} is no regular file in the models folder (CADML_MODEL_DIR; links are not followed)",
        status="not_found",
    )
