from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from cadml.errors import BlobUnavailable
from cadml.store.blobs import Blobs

KEY = "source/" + "ab" * 32


@pytest.fixture(params=["folder", "memory"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    return Blobs(str(tmp_path / "blobs") if request.param == "folder" else f"memory://{uuid.uuid4().hex}")


def test_what_was_put_is_there_until_it_is_deleted(blobs: Blobs, tmp_path: Path) -> None:
    assert not blobs.exists(KEY)
    file = tmp_path / "part.step"
    file.write_bytes(b"ISO-10303-21;")
    blobs.put_file(KEY, file)
    assert blobs.exists(KEY)
    assert blobs.get_bytes(KEY) == b"ISO-10303-21;"
    with blobs.open(KEY) as stream:
        assert stream.read() == b"ISO-10303-21;"
    with blobs.local_path(KEY) as path:
        assert path.read_bytes() == b"ISO-10303-21;"
    blobs.delete(KEY)
    blobs.delete(KEY)
    assert not blobs.exists(KEY)


def test_a_view_is_replaced_and_a_source_is_kept(blobs: Blobs, tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"never, the hash is the same")
    blobs.put_bytes(KEY, b"source")
    blobs.put_file(KEY, tmp_path / "other")
    assert blobs.get_bytes(KEY) == b"source"
    view = KEY.replace("source", "view") + "/preview.glb"
    blobs.put_bytes(view, b"old")
    blobs.put_bytes(view, b"new")
    assert blobs.get_bytes(view) == b"new"


def test_an_error_of_whoever_reads_is_not_taken_for_the_store_s(blobs: Blobs) -> None:
    blobs.put_bytes(KEY, b"x")
    with pytest.raises(FileNotFoundError), blobs.local_path(KEY):
        Path("/no/such/file").read_bytes()


@pytest.mark.parametrize("how", ["get", "open", "local_path"])
def test_a_missing_blob_is_a_typed_error(blobs: Blobs, how: str) -> None:
    def use() -> None:
        if how == "get":
            blobs.get_bytes(KEY)
        with blobs.open(KEY) if how == "open" else blobs.local_path(KEY):
            pass

    with pytest.raises(BlobUnavailable, match="not in the blob store"):
        use()


@pytest.mark.parametrize(
    "key", ["source/../../etc/passwd", "/etc/passwd", "source/abc", f"view/{'a' * 64}/.."]
)
def test_a_key_cannot_leave_the_store(blobs: Blobs, key: str) -> None:
    with pytest.raises(ValueError, match="no blob key"):
        blobs.put_bytes(key, b"")


def test_a_write_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    blobs = Blobs(str(tmp_path / "blobs"))

    def fail() -> None:
        with blobs._replacing(KEY) as target:
            target.write(b"half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert not blobs.exists(KEY)
    assert [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()] == []


def test_an_unreachable_store_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BlobUnavailable, match="does not answer"):
        Blobs(str(tmp_path / "file" / "blobs"))
    with pytest.raises(BlobUnavailable, match="CADML_BLOBS_URL cannot be used"):
        Blobs("nosuchprotocol://bucket")
