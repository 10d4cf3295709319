"""Where a backup lies: a folder, or one tar file, with the same names inside."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, Protocol

from cadml.errors import BackupFailed, InvalidRequest

MANIFEST = "manifest.json"
CHUNK = 1 << 20


class Chest(Protocol):
    """What a backup is written into."""

    def put(self, name: str, source: BinaryIO) -> tuple[int, str]:
        """Keep the content under ``name``; return its bytes and SHA-256. What is there already stays."""

    def finish(self, manifest: bytes, names: set[str]) -> None:
        """Make the backup valid by its manifest, with the content of ``names`` and no other."""


class Measured(io.RawIOBase):
    """A file that is hashed while it is read."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._hash = hashlib.sha256()
        self.bytes = 0

    def readable(self) -> bool:
        """Say yes."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes."""
        data = self._source.read(size)
        self._hash.update(data)
        self.bytes += len(data)
        return data

    @property
    def sha256(self) -> str:
        """SHA-256 of what was read so far, hexadecimal."""
        return self._hash.hexdigest()


class Folder:
    """A backup in a folder. Made again, it copies only what is new; the former one is valid until the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()) and not (path / MANIFEST).exists() and not (path / "blobs").exists():
            raise InvalidRequest(f"{path} holds other things than a backup; name a folder of its own")

    def put(self, name: str, source: BinaryIO) -> tuple[int, str]:
        """Keep the content under ``name``; what is there already stays, and is measured."""
        place = self._path / name
        if place.exists():
            with place.open("rb") as there:
                return _swallowed(there)
        place.parent.mkdir(parents=True, exist_ok=True)
        half = place.with_name(place.name + ".half")
        measured = Measured(source)
        with half.open("wb") as target:
            shutil.copyfileobj(measured, target, CHUNK)
            target.flush()
            os.fsync(target.fileno())
        half.replace(place)
        return measured.bytes, measured.sha256

    def finish(self, manifest: bytes, names: set[str]) -> None:
        """Replace the manifest, then remove what it does not name."""
        half = self._path / f"{MANIFEST}.half"
        with half.open("wb") as target:
            target.write(manifest)
            target.flush()
            os.fsync(target.fileno())
        half.replace(self._path / MANIFEST)
        for file in [file for file in self._path.rglob("*") if file.is_file()]:
            if str(file.relative_to(self._path)) not in names | {MANIFEST}:
                file.unlink()


class Tar:
    """A backup in one tar file, which appears when it is complete."""

    def __init__(self, path: Path) -> None:
        if path.exists():
            raise InvalidRequest(f"{path} is there already; a backup overwrites no file")
        self._path = path
        self._half = path.with_name(path.name + ".half")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._tar = tarfile.open(self._half, "w")  # noqa: SIM115 - closed by finish and close

    def put(self, name: str, source: BinaryIO) -> tuple[int, str]:
        """Append the content under ``name``."""
        source.seek(0, os.SEEK_END)
        entry = tarfile.TarInfo(name)
        entry.size = source.tell()
        source.seek(0)
        measured = Measured(source)
        self._tar.addfile(entry, measured)
        return measured.bytes, measured.sha256

    def finish(self, manifest: bytes, names: set[str]) -> None:  # noqa: ARG002 - nothing else is in it
        """Append the manifest and give the file its name."""
        self.put(MANIFEST, io.BytesIO(manifest))
        self._tar.close()
        with self._half.open("rb") as whole:
            os.fsync(whole.fileno())
        self._half.replace(self._path)

    def close(self) -> None:
        """Remove what is not complete."""
        self._tar.close()
        self._half.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[Chest]:
    """Yield the chest at ``path``: a tar file if the name ends in ``.tar``, else a folder.

    Raises
    ------
    InvalidRequest
        There is something else at ``path``.
    """
    if path.suffix != ".tar":
        if path.exists() and not path.is_dir():
            raise InvalidRequest(f"{path} is a file; name a folder, or a new file that ends in .tar")
        yield Folder(path)
        return
    tar = Tar(path)
    try:
        yield tar
    finally:
        tar.close()


class Found:
    """A backup to be read."""

    def __init__(self, path: Path, tar: tarfile.TarFile | None) -> None:
        self._path = path
        self._tar = tar

    @contextmanager
    def open(self, name: str) -> Iterator[Measured]:
        """Yield the content kept under ``name``.

        Raises
        ------
        BackupFailed
            The backup does not hold it.
        """
        try:
            source: IO[bytes] | None = (
                self._tar.extractfile(name) if self._tar else (self._path / name).open("rb")
            )
        except (KeyError, OSError) as error:
            raise BackupFailed(f"the backup at {self._path} lacks {name}", name=name) from error
        assert source is not None
        with source:
            yield Measured(source)  # type: ignore[arg-type]  # it only reads


@contextmanager
def reading(path: Path) -> Iterator[Found]:
    """Yield the backup at ``path``.

    Raises
    ------
    InvalidRequest
        There is none.
    """
    if path.is_dir():
        if not (path / MANIFEST).exists():
            raise InvalidRequest(f"{path} holds no backup of cadml")
        yield Found(path, None)
        return
    try:
        tar = tarfile.open(path, "r:")  # noqa: SIM115 - closed below
    except (OSError, tarfile.TarError) as error:
        raise InvalidRequest(f"{path} is no backup of cadml: {error}") from error
    with tar:
        yield Found(path, tar)


def _swallowed(source: BinaryIO) -> tuple[int, str]:
    measured = Measured(source)
    while measured.read(CHUNK):
        pass
    return measured.bytes, measured.sha256
