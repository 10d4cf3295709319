"""Every route: documented, in the contract, tested, guarded; and none answers 500 to rubbish."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cadml.api.app import every_route
from cadml.api.auth import Role
from cadml.api.problems import STATUS
from cadml.api.routing import GuardedRoute, needed_role
from cadml.errors import every_error
from served import API, JSON

# Method, path below the root, role that it needs (None: no key). The contract's section 2, so far as built.
CONTRACT = {
    ("GET", "/health", None),
    ("GET", "/ready", None),
    ("GET", "/metrics", None),
    ("GET", f"{API}/health/vectors", "reader"),
    ("POST", f"{API}/analyze", "reader"),
    ("POST", f"{API}/analyze/", "reader"),
    ("POST", f"{API}/parts", "writer"),
    ("GET", f"{API}/parts", "reader"),
    ("GET", f"{API}/parts/{{id}}", "reader"),
    ("PATCH", f"{API}/parts/{{id}}", "writer"),
    ("DELETE", f"{API}/parts/{{id}}", "writer"),
    ("GET", f"{API}/parts/{{id}}/similar", "reader"),
    ("GET", f"{API}/parts/{{id}}/features", "reader"),
    ("GET", f"{API}/parts/{{id}}/preview.glb", "reader"),
    ("GET", f"{API}/parts/{{id}}/preview.svg", "reader"),
    ("GET", f"{API}/parts/{{id}}/thumbnail.png", "reader"),
    ("GET", f"{API}/parts/{{id}}/source", "reader"),
    ("POST", f"{API}/search", "reader"),
    ("POST", f"{API}/similarity/batch", "reader"),
    ("POST", f"{API}/jobs/ingest", "writer"),
    ("GET", f"{API}/jobs/{{id}}", "reader"),
    ("POST", f"{API}/jobs/{{id}}/cancel", "writer"),
    ("GET", f"{API}/features/versions", "reader"),
    ("GET", f"{API}/features/slots", "reader"),
    ("GET", f"{API}/features/diff", "reader"),
    ("GET", f"{API}/features/cache", "reader"),
    ("GET", f"{API}/features/cache/tuning", "reader"),
    ("POST", f"{API}/features/cache/tuning", "reader"),
    ("POST", f"{API}/features/cache/apply", "admin"),
    ("POST", f"{API}/features/cache/rollback", "admin"),
    ("POST", f"{API}/features/cache/prewarm", "admin"),
    ("GET", f"{API}/health/features/cache", "reader"),
    ("GET", f"{API}/drift", "reader"),
    ("GET", f"{API}/drift/baseline", "reader"),
    ("POST", f"{API}/drift/baseline/export", "reader"),
    ("POST", f"{API}/drift/baseline/import", "admin"),
    ("POST", f"{API}/drift/reset", "admin"),
    ("POST", f"{API}/vectors/migrate", "admin"),
    *(
        ("GET", f"{API}/vectors/migrate/{what}", "reader")
        for what in ("preview", "plan", "status", "summary", "trends", "pending")
    ),
    *(
        ("POST", f"{API}/vectors/migrate/{what}", "admin")
        for what in ("run", "activate", "rollback", "retire", "retry", "cancel")
    ),
    ("GET", f"{API}/model", "reader"),
    ("GET", f"{API}/model/versions", "reader"),
    ("GET", f"{API}/model/opcode-audit", "reader"),
    ("POST", f"{API}/model/reload", "admin"),
    ("POST", f"{API}/model/rollback", "admin"),
    ("GET", f"{API}/health/model", "reader"),
    ("POST", f"{API}/vectors/register", "writer"),
    ("GET", f"{API}/vectors/{{id}}", "reader"),
    ("DELETE", f"{API}/vectors/{{id}}", "writer"),
}
TESTS = "".join(path.read_text() for path in Path(__file__).parent.glob("test_api_*.py"))


def test_the_routes_are_those_of_the_contract() -> None:
    declared = {
        (method, route.path, needed_role(route).name.lower() if isinstance(route, GuardedRoute) else None)
        for route in every_route()
        for method in route.methods or ()
    }
    assert declared == CONTRACT


@pytest.mark.parametrize("path", sorted({path for _, path, _ in CONTRACT}))
def test_every_route_is_asked_by_some_test(path: str) -> None:
    last = path.removeprefix(API).rstrip("/").split("/")[-1]
    word = path.rstrip("/").split("/")[-2] if last == "{id}" else last
    assert re.search(rf"[/\"]{re.escape(word)}\b", TESTS.replace(path, "", 1)), path


def test_every_route_is_documented(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    for method, path, _ in CONTRACT:
        if path != f"{API}/analyze/":
            operation = paths[path][method.lower()]
            assert operation["summary"], path
            assert operation["tags"], path
            assert "application/problem+json" in operation["responses"]["default"]["content"], path
    assert client.get("/docs").status_code == 200


def test_every_error_has_a_status() -> None:
    codes = {error.code for error in every_error() if error.__module__.startswith("cadml.errors")}
    assert codes == set(STATUS)
    assert Role.READER < Role.WRITER < Role.ADMIN


def test_ready_names_what_is_missing_and_health_counts(client: httpx.Client) -> None:
    assert client.get("/ready").json()["missing"] == []
    body = client.get(f"{API}/health/vectors").json()
    assert body["active_version"] in body["versions"]


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
)
FIELDS = [
    "part_id",
    "vector",
    "k",
    "version",
    "filters",
    "max_distance",
    "ids",
    "id",
    "metadata",
    "name",
    "part_number",
    "hit_rate",
    "capacity",
    "ttl",
    "window_hours",
    "subject",
    "source",
    "baselines",
]
FILTER = st.dictionaries(
    st.sampled_from(["volume", "kind", "material", "is_closed", "faces"]) | st.text(),
    SCALARS | st.dictionaries(st.sampled_from(["gt", "gte", "lt", "lte", "eq", "in"]), VALUES, max_size=3),
    max_size=4,
)
PLACES = [
    "/search",
    "/similarity/batch",
    "/vectors/register",
    "/parts/PART",
    "/features/cache/tuning",
    "/features/cache/apply",
    "/drift/reset",
    "/drift/baseline/import",
    "/drift/baseline/export",
]


def bodies(part: str) -> st.SearchStrategy[Any]:
    near_right = st.fixed_dictionaries(
        {"part_id": st.just(part)},
        optional={"k": st.integers(-1, 2000), "filters": FILTER, "max_distance": SCALARS, "version": SCALARS},
    )
    change = st.fixed_dictionaries({}, optional={"metadata": FILTER, "name": SCALARS, "part_number": SCALARS})
    return near_right | change | st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=5) | VALUES


@pytest.mark.parametrize("place", PLACES)
def test_no_body_makes_it_fail(client: httpx.Client, library: dict[str, str], place: str) -> None:
    part = library["flat"]

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(bodies(part) if place != "/vectors/register" else registrations())
    def ask(body: Any) -> None:
        content = json.dumps(body).encode("utf-8", "surrogatepass")
        method = "PATCH" if place.startswith("/parts") else "POST"
        answer = client.request(method, API + place.replace("PART", part), content=content, headers=JSON)
        assert answer.status_code < 500, (body, answer.text)
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == "application/problem+json"

    original = client.get(f"{API}/parts/{part}").json()
    ask()
    now = client.get(f"{API}/parts/{part}").json()["metadata"]
    restored = dict.fromkeys(now) | original["metadata"]
    change = {"metadata": restored, "name": original["name"], "part_number": original["part_number"]}
    assert client.patch(f"{API}/parts/{part}", json=change).status_code == 200


def registrations() -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(
        {"id": SCALARS, "version": st.sampled_from(["v1", "v9"]) | SCALARS},
        optional={"vector": st.lists(SCALARS, max_size=8) | VALUES, "metadata": FILTER},
    )


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    query=st.dictionaries(
        st.sampled_from(["where", "sort", "after", "limit", "k", "version", "id_a", "id_b", "max_distance"]),
        st.text()
        | st.sampled_from(["volume=1..", "volume=..", "a=1,2", "kind=1..2", "-volume", "v1", "nan", "1e400"]),
        max_size=4,
    ),
    path=st.sampled_from(
        ["/parts", "/parts/{part}/similar", "/parts/{part}/features", "/features/diff", "/features/slots"]
    ),
)
def test_no_query_makes_it_fail(
    client: httpx.Client, library: dict[str, str], query: dict[str, str], path: str
) -> None:
    cleaned = {key: value.encode("utf-8", "replace").decode() for key, value in query.items()}
    answer = client.get(API + path.format(part=library["box"]), params=cleaned)
    assert answer.status_code < 500, answer.text
