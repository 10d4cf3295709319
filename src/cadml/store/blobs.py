"""Original files, stored parts and views, by key, on whatever fsspec reaches.

Keys: ``source/<sha256>``, ``part/<sha256>``, ``view/<sha256>/<name>``.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem

from cadml.errors import BlobUnavailable

KEY = re.compile(r"[a-z]+/[0-9a-f]{64}(/[A-Za-z0-9][A-Za-z0-9._-]*)?")
CHUNK = 1 << 20


class Readable(Protocol):
    """All that is asked of what is kept."""

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes."""


class Blobs:
    """A folder of blobs; a blob is there whole or not at all."""

    def __init__(self, url: str) -> None:
        """Use the folder at ``url``: a path or any fsspec URL."""
        try:
            self._files, self._root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:  # no such protocol, or its package is missing
            raise BlobUnavailable(f"CADML_BLOBS_URL cannot be used: {error}") from error
        self._is_local = isinstance(self._files, LocalFileSystem)
        with _translated("the blob store"):
            self._files.makedirs(self._root, exist_ok=True)

    def put_file(self, key: str, path: Path) -> None:
        """Keep the file's content under ``key``; what is there already stays."""
        with path.open("rb") as source:
            self._put(key, source)

    def put_stream(self, key: str, source: Readable) -> None:
        """Keep what ``source`` yields under ``key``; what is there already stays."""
        self._put(key, source)

    def put_bytes(self, key: str, data: bytes) -> None:
        """Keep ``data`` under ``key``; what is there already is replaced."""
        with _translated(key), self._replacing(key) as target:
            target.write(data)

    def get_bytes(self, key: str) -> bytes:
        """Return what is kept under ``key``.

        Raises
        ------
        BlobUnavailable
            There is nothing, or the store does not answer.
        """
        with _translated(key):
            return cast("bytes", self._files.cat_file(self._place(key)))

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        """Yield a file to read what is kept under ``key``."""
        with _translated(key):
            source = cast("BinaryIO", self._files.open(self._place(key), "rb"))
        with source:
            yield source

    @contextmanager
    def local_path(self, key: str) -> Iterator[Path]:
        """Yield a real local file with the content, read-only, for as long as the block lasts."""
        if self._is_local:
            place = Path(self._place(key))
            with _translated(key):
                place.stat()
            yield place
            return
        with tempfile.NamedTemporaryFile(prefix="cadml-") as copy:
            with _translated(key), self._files.open(self._place(key), "rb") as source:
                shutil.copyfileobj(source, copy, CHUNK)
            copy.flush()
            yield Path(copy.name)

    def exists(self, key: str) -> bool:
        """Whether something is kept under ``key``."""
        with _translated(key):
            return bool(self._files.exists(self._place(key)))

    def every_key(self) -> Iterator[str]:
        """Yield the key of each blob, in no order; one may be gone by the time it is asked for."""
        with _translated("the blob store"):
            places = self._files.find(self._root)
        begin = len(self._root.rstrip("/")) + 1
        for place in places:
            kind, _, *rest = str(place)[begin:].split("/")
            key = "/".join([kind, *rest])
            if KEY.fullmatch(key):  # not a half-written one
                yield key

    def delete(self, key: str) -> None:
        """Forget what is kept under ``key``, if anything is."""
        with _translated(key), suppress(FileNotFoundError):
            self._files.rm_file(self._place(key))

    def _put(self, key: str, source: Readable) -> None:
        with _translated(key):
            if self._files.exists(self._place(key)):
                return
            with self._replacing(key) as target:
                shutil.copyfileobj(source, target, CHUNK)

    @contextmanager
    def _replacing(self, key: str) -> Iterator[BinaryIO]:
        """Yield a file whose content is under ``key`` once the block has ended without error."""
        place = self._place(key)
        self._files.makedirs(place.rpartition("/")[0], exist_ok=True)
        if not self._is_local:  # object stores show an object when its upload is complete
            with self._files.open(place, "wb") as target:
                yield cast("BinaryIO", target)
            return
        half = Path(f"{place}.{uuid.uuid4().hex}.half")
        try:
            with half.open("xb") as target:
                yield target
                target.flush()
                os.fsync(target.fileno())
            half.replace(place)
        finally:
            half.unlink(missing_ok=True)

    def _place(self, key: str) -> str:
        if not KEY.fullmatch(key):
            raise ValueError(f"{key!r} is no blob key")
        kind, sha256, *rest = key.split("/")
        # 256 subfolders keep each listing short.
        return "/".join(
            [self._root, kind, sha256[:2], sha256, *rest] if rest else [self._root, kind, sha256[:2], sha256]
        )


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise BlobUnavailable(f"{what} is not in the blob store", key=what) from error
    except OSError as error:
        raise BlobUnavailable(f"{what}: the blob store does not answer: {error}", key=what) from error
