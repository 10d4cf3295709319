"""Uploads as files on disk: a worker process reads from a path, never from our memory."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from starlette.datastructures import FormData, UploadFile

from cadml.api.routing import parsed
from cadml.api.schemas import Metadata, Request
from cadml.errors import InvalidRequest
from cadml.store.parts import NewEntry

PREFIX = "upload-"
STALE_S = 86_400.0  # left by a killed service; no request lasts a day
CHUNK = 1 << 20


class _Metadata(Request):
    metadata: Metadata


@contextmanager
def on_disk(upload: UploadFile, folder: Path) -> Iterator[Path]:
    """Yield the path of the upload's bytes for as long as the block lasts."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=PREFIX) as target:
        upload.file.seek(0)
        shutil.copyfileobj(upload.file, target, CHUNK)
        target.flush()
        yield Path(target.name)


def sweep(folder: Path) -> None:
    """Make ``folder`` and remove what services that were killed left in it."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # another service sweeps too
            if time.time() - path.stat().st_mtime > STALE_S:
                path.unlink()


def file_name(upload: UploadFile) -> str:
    """Return the bare name of the uploaded file.

    Raises
    ------
    InvalidRequest
        There is none, or it is no name.
    """
    name = PurePosixPath((upload.filename or "").replace("\\", "/")).name
    if not name or len(name) > 255 or any(ord(c) < 32 or 0xD800 <= ord(c) < 0xE000 for c in name):
        raise InvalidRequest("the uploaded file needs a file name of 1 to 255 printable characters")
    return name


def the_file(form: FormData, field: str = "file") -> UploadFile:
    """Return the one file of ``form``.

    Raises
    ------
    InvalidRequest
        There is none, or more than one.
    """
    files = [value for value in form.getlist(field) if isinstance(value, UploadFile)]
    if len(files) != 1 or len(form.getlist(field)) != 1:
        raise InvalidRequest(f"{field}: exactly one file is needed in this form field", field=field)
    return files[0]


def entry_of(upload: UploadFile, form: FormData, reserved: frozenset[str]) -> NewEntry:
    """Return the library entry that the form's other fields describe."""
    part_number, metadata = described(form, reserved)
    return NewEntry(file_name(upload), part_number, metadata)


def described(form: FormData, reserved: frozenset[str]) -> tuple[str | None, dict[str, Any]]:
    """Return part number and metadata: each field not ``reserved``, and the JSON object ``metadata``.

    Raises
    ------
    InvalidRequest
        A field is given twice, or is a file.
    """
    metadata: dict[str, Any] = {}
    for key, value in form.multi_items():
        if key in reserved or key == "metadata":
            continue
        if isinstance(value, UploadFile) or key in metadata:
            raise InvalidRequest(f"{key[:100]}: one text is expected in this form field", field=key[:100])
        metadata[key] = value
    more = form.get("metadata")
    if more is not None:
        if isinstance(more, UploadFile):
            raise InvalidRequest("metadata: a JSON object is expected in this form field")
        metadata |= parsed(_Metadata, f'{{"metadata": {more}}}', "metadata").metadata
    part_number = metadata.pop("part_number", None)
    if part_number is not None and not (isinstance(part_number, str) and 0 < len(part_number) <= 255):
        raise InvalidRequest("part_number: a text of 1 to 255 characters is expected")
    return part_number, metadata


def text_field(form: Mapping[str, Any], field: str) -> str:
    """Return the text of an optional form field, empty where absent.

    Raises
    ------
    InvalidRequest
        It is a file.
    """
    value = form.get(field, "")
    if not isinstance(value, str):
        raise InvalidRequest(f"{field}: a text is expected in this form field", field=field)
    return value


def form_body(*, many: bool = False, **texts: str) -> dict[str, Any]:
    """Return the OpenAPI description of a multipart body with a file and the ``texts`` beside it."""
    file = {"type": "string", "format": "binary"}
    fields: dict[str, Any] = {"files": {"type": "array", "items": file}} if many else {"file": file}
    fields |= {name: {"type": "string", "description": meaning} for name, meaning in texts.items()}
    schema = {
        "type": "object",
        "required": ["files" if many else "file"],
        "properties": fields,
        "additionalProperties": {"type": "string", "description": "Any other field is metadata."},
    }
    return {"required": True, "content": {"multipart/form-data": {"schema": schema}}}
