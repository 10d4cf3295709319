"""Which source a running cadml was made from: a digest that an image and a checkout can be compared by."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

SUFFIXES = frozenset({".py", ".sql", ".json", ".csv"})
DIGITS = 16


@cache
def fingerprint(package: Path = Path(__file__).parent) -> str:
    """Return the digest of all source files of the ``package``: their places in it and their bytes."""
    digest = hashlib.sha256()
    files = (path for path in package.rglob("*") if path.suffix in SUFFIXES)
    for path in sorted(files, key=lambda each: each.relative_to(package).as_posix()):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:DIGITS]
