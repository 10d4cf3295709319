"""What the service refuses: too much, too often, malformed, or by strangers."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cadml.api import auth
from cadml.api.schemas import Problem
from cadml.config import Settings
from cadml.engine import Engine
from cadml.errors import ConfigurationError
from served import API, JSON, serving, upload

TOO_MUCH = 4 << 20  # the fixture's limit is 2 MiB


def problem(answer: httpx.Response, status: int, code: str) -> Problem:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = Problem.model_validate(answer.json())
    assert (body.status, body.code) == (status, code)
    assert answer.headers["x-request-id"]
    return body


def test_a_large_upload_is_refused_by_its_stated_length(client: httpx.Client) -> None:
    answer = client.post(f"{API}/analyze", files={"file": ("a.stl", b"x" * TOO_MUCH)})
    problem(answer, 413, "FILE_TOO_LARGE")


def test_a_large_upload_without_a_length_is_stopped_on_its_way(client: httpx.Client) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.stl"\r\n\r\n'
        for _ in range(10_000):
            sent += 1 << 16
            yield b"x" * (1 << 16)

    headers = {"content-type": "multipart/form-data; boundary=b"}
    try:
        answer = client.post(f"{API}/analyze", content=endless(), headers=headers)
    except httpx.WriteError:
        answer = None  # the service answered and closed before it had read all: also right
    if answer is not None:
        problem(answer, 413, "FILE_TOO_LARGE")
    assert sent < 10_000 << 16, "the service read it all"


def test_a_large_json_body_is_refused(client: httpx.Client) -> None:
    problem(client.post(f"{API}/search", content=b" " * (5 << 20), headers=JSON), 413, "FILE_TOO_LARGE")


def test_a_file_just_over_the_limit_is_refused_and_one_below_read(client: httpx.Client) -> None:
    limit = 2 << 20
    answer = client.post(f"{API}/analyze", files={"file": ("a.stl", b"solid" + b" " * limit)})
    problem(answer, 413, "FILE_TOO_LARGE")
    answer = client.post(f"{API}/analyze", files={"file": ("a.stl", b"solid" + b" " * (limit - 10))})
    assert answer.status_code == 422, answer.text


@pytest.mark.parametrize(
    ("name", "content", "status", "code"),
    [
        ("a.dwg", b"AC1027", 415, "PROPRIETARY_FORMAT"),
        ("a.xyz", b"1 2 3", 415, "UNKNOWN_FORMAT"),
        ("noextension", b"solid", 415, "UNKNOWN_FORMAT"),
        ("a.step", b"\x89PNG\r\n\x1a\n" + b"\0" * 100, 415, "MISLABELLED_FILE"),
        ("a.stl", b"", 422, "EMPTY_FILE"),
    ],
)
def test_a_file_that_is_no_part_is_refused_by_name(
    client: httpx.Client, name: str, content: bytes, status: int, code: str
) -> None:
    problem(client.post(f"{API}/analyze", files={"file": (name, content)}), status, code)


def test_a_proprietary_file_says_what_to_export(client: httpx.Client) -> None:
    answer = client.post(f"{API}/analyze", files={"file": ("a.dwg", b"AC1027")})
    assert "DXF" in problem(answer, 415, "PROPRIETARY_FORMAT").detail


@pytest.mark.parametrize(
    "form",
    [
        {"data": {"options": "{}"}},
        {"files": {"file": ("a.stl", b"solid"), "options": ("o.json", b"{}")}},
        {"files": [("file", ("a.stl", b"solid")), ("file", ("b.stl", b"solid"))]},
        {"files": {"file": ("a.stl", b"solid")}, "data": {"options": "{"}},
        {"files": {"file": ("a.stl", b"solid")}, "data": {"options": '{"stor": 1}'}},
        {"files": {"file": ("a.stl", b"solid")}, "data": {"options": '{"similar": -1}'}},
        {"files": {"file": ("a.stl", b"solid")}, "data": {"metadata": "[1]"}},
        {"files": {"file": ("a.stl", b"solid")}, "data": {"metadata": '{"a": {"b": 1}}'}},
        {"files": {"file": ("a.stl", b"solid")}, "data": {"volume": "1"}},
        {"files": {"file": ("a.stl", b"solid")}, "data": {"a": "x\x00y"}},
        {"content": b"rubbish", "headers": {"content-type": "multipart/form-data; boundary=b"}},
        {"content": b"rubbish", "headers": {"content-type": "multipart/form-data"}},
        {"json": {}},
    ],
)
def test_a_malformed_form_is_refused(client: httpx.Client, form: dict[str, object]) -> None:
    answer = client.post(f"{API}/analyze", **form)  # type: ignore[arg-type]
    problem(answer, 422, "INVALID_REQUEST")


def test_paths_and_methods_that_do_not_exist_are_problems(client: httpx.Client) -> None:
    problem(client.get(f"{API}/nothing"), 404, "NO_SUCH_ROUTE")
    wrong = client.put(f"{API}/parts")
    problem(wrong, 405, "METHOD_NOT_ALLOWED")
    assert "POST" in wrong.headers["allow"]


def test_request_ids_are_kept_if_sane_and_made_if_not(client: httpx.Client) -> None:
    assert client.get("/health", headers={"X-Request-ID": "abc-1"}).headers["x-request-id"] == "abc-1"
    for insane in ("a b", "x" * 200, 'quote"', "né".encode().decode("latin-1")):
        made = client.get("/health", headers={"X-Request-ID": insane.encode("latin-1")}).headers[
            "x-request-id"
        ]
        assert made != insane
        assert len(made) == 32


@pytest.mark.parametrize(
    "head",
    [
        "POST /api/v1/analyze HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
        "GET /api/v1/parts/%00 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /api/v1/parts/%ff%fe HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /api/v1/parts/..%2f..%2fetc HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /api/v1/parts?where=%00%3D1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /api/v1/parts?after=%00 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /api/v1/parts?sort=id%3Bdrop HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GET /api/v1/jobs/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "GARBAGE\r\n\r\n",
    ],
)
def test_odd_requests_are_refused_not_failed(client: httpx.Client, head: str) -> None:
    with socket.create_connection((client.base_url.host, client.base_url.port or 80), timeout=60) as line:
        line.sendall(head.encode("latin-1"))
        first = line.makefile("rb").readline()
    assert first.startswith(b"HTTP/1.1 4"), first


# -- keys --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded(
    tmp_path_factory: pytest.TempPathFactory, engine: Engine
) -> Iterator[tuple[httpx.Client, dict[str, str]]]:
    folder = tmp_path_factory.mktemp("guarded")
    path = folder / "keys"
    keys = {role: auth.add(path, f"a-{role}", role) for role in ("reader", "writer", "admin")}
    settings = Settings(data_dir=engine.settings.data_dir, extract_workers=1, api_keys_file=path)
    with Engine(settings) as locked, serving(locked) as client:
        yield client, keys


def test_a_key_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="keys cannot be read: No such file or directory"):
        auth.load(tmp_path / "keys")
    (tmp_path / "keys").write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match="keys cannot be read: it is no text"):
        auth.load(tmp_path / "keys")


def test_strangers_may_ask_for_health_only(guarded: tuple[httpx.Client, dict[str, str]]) -> None:
    client, _ = guarded
    for path in ("/health", "/ready", "/metrics"):
        assert client.get(path).status_code == 200
    for key in (None, "", "wrong", "é"):
        headers = {} if key is None else {"X-API-Key": key.encode()}
        answer = client.get(f"{API}/parts", headers=headers)
        body = problem(answer, 401, "API_KEY_REQUIRED")
        assert body.detail == "a valid X-API-Key is needed"
        assert "www-authenticate" in answer.headers


def test_strangers_are_refused_before_their_file_is_read(
    guarded: tuple[httpx.Client, dict[str, str]],
) -> None:
    client, _ = guarded
    with socket.create_connection((client.base_url.host, client.base_url.port or 80), timeout=60) as line:
        line.sendall(
            b"POST /api/v1/analyze HTTP/1.1\r\nHost: a\r\nContent-Length: 400000000\r\n"
            b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
        )
        assert line.makefile("rb").readline().startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize(("role", "status"), [("reader", 403), ("writer", 201), ("admin", 201)])
def test_only_writers_may_add(
    guarded: tuple[httpx.Client, dict[str, str]], files: dict[str, Path], role: str, status: int
) -> None:
    client, keys = guarded
    headers = {"X-API-Key": keys[role]}
    data = {"part_number": f"by-{role}"}
    answer = client.post(f"{API}/parts", files=upload(files["box"]), data=data, headers=headers)
    assert answer.status_code == status, answer.text
    if status == 403:
        problem(answer, 403, "ROLE_NOT_ALLOWED")
    else:
        assert client.delete(answer.headers["location"], headers=headers).status_code == 204


def test_readers_may_analyze_without_storing(
    guarded: tuple[httpx.Client, dict[str, str]], files: dict[str, Path]
) -> None:
    client, keys = guarded
    headers = {"X-API-Key": keys["reader"]}
    problem(
        client.post(f"{API}/analyze", files=upload(files["box"]), headers=headers), 403, "ROLE_NOT_ALLOWED"
    )
    options = {"options": '{"store": false}'}
    answer = client.post(f"{API}/analyze", files=upload(files["box"]), data=options, headers=headers)
    assert answer.status_code == 200, answer.text


# -- load --------------------------------------------------------------------------------------------


def test_searches_go_on_while_analyses_wait(
    client: httpx.Client, engine: Engine, library: dict[str, str], tmp_path: Path
) -> None:
    """All workers busy, far more analyses waiting than there are threads: searches must not notice."""
    go_on = tmp_path / "go on"
    held = threading.Thread(target=lambda: engine.workers.run(_until, str(go_on)))
    held.start()
    statuses: list[int] = []

    def analyze(index: int) -> None:
        content = f"solid {index}\nendsolid\n".encode()
        answer = httpx.post(
            client.base_url.join(f"{API}/analyze"),
            files={"file": ("a.stl", content)},
            timeout=120,
        )
        statuses.append(answer.status_code)

    threads = [threading.Thread(target=analyze, args=(i,)) for i in range(40)]
    for thread in threads:
        thread.start()
    try:
        deadline = time.monotonic() + 50
        while 429 not in statuses:  # more wait than there is room for
            assert time.monotonic() < deadline, "none was turned away"
            time.sleep(0.05)
        # The worker is held: an answer shows that the search does not wait for it.
        assert client.get(f"{API}/parts/{library['box']}/similar", timeout=50).status_code == 200
    finally:
        go_on.touch()
        for thread in [*threads, held]:
            thread.join()
    assert set(statuses) == {422, 429}


def _until(path: str) -> None:
    while not Path(path).exists():
        time.sleep(0.05)
