"""Searches over HTTP: by file, part, vector and in batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

import cad_files
from cadml.api.schemas import BatchReply, DiffReply, SearchReply, SlotsReply, VectorReply, VersionReply
from cadml.engine import Engine
from cadml.features.versions import VERSIONS
from served import API, JSON, upload


def search(client: httpx.Client, **query: object) -> SearchReply:
    answer = client.post(f"{API}/search", json=query)
    assert answer.status_code == 200, answer.text
    return SearchReply.model_validate(answer.json())


def test_a_file_finds_itself_first(
    client: httpx.Client, files: dict[str, Path], library: dict[str, str]
) -> None:
    answer = client.post(
        f"{API}/search", files=upload(files["ball"], "renamed.stl"), data={"query": '{"k": 2}'}
    )
    found = SearchReply.model_validate(answer.json())
    assert (found.requested, found.returned) == (2, 2)
    assert found.neighbours[0].id == library["ball"]
    assert found.neighbours[0].distance == pytest.approx(0, abs=1e-3)


def test_a_part_and_its_vector_find_the_same(client: httpx.Client, library: dict[str, str]) -> None:
    features = client.get(f"{API}/parts/{library['box']}/features").json()
    by_part = search(client, part_id=library["box"], k=2)
    by_vector = search(client, vector=features["values"], version=features["version"], k=3)
    assert by_vector.neighbours[0].id == library["box"]
    assert [n.id for n in by_vector.neighbours[1:]] == [n.id for n in by_part.neighbours]


def test_a_filter_never_returns_fewer_than_exist(client: httpx.Client, library: dict[str, str]) -> None:
    found = search(client, part_id=library["box"], k=10, filters={"material": "steel", "depth": {"gte": 0}})
    assert {n.id for n in found.neighbours} == {library["longer"], library["ball"]}
    assert (found.requested, found.returned) == (10, 2)


def test_no_filters_may_be_said_in_every_way(client: httpx.Client, library: dict[str, str]) -> None:
    found = [search(client, part_id=library["box"], k=2, **said) for said in ({}, {"filters": None})]
    assert found[0] == found[1] == search(client, part_id=library["box"], k=2, filters={})
    batch = client.post(f"{API}/similarity/batch", json={"ids": [library["box"]], "k": 2, "filters": None})
    assert BatchReply.model_validate(batch.json()).results[0].result == found[0]


def test_what_is_too_far_is_left_out(client: httpx.Client, library: dict[str, str]) -> None:
    near, far = search(client, part_id=library["box"], k=2).neighbours
    between = (near.distance + far.distance) / 2
    assert [n.id for n in search(client, part_id=library["box"], k=2, max_distance=between).neighbours] == [
        near.id
    ]


def test_a_drawing_is_searched_among_drawings(client: httpx.Client, library: dict[str, str]) -> None:
    assert search(client, part_id=library["drawing"], k=3).version == "d1"
    assert search(client, part_id=library["box"], k=1).version == "v5"
    wrong = client.post(f"{API}/search", json={"part_id": library["drawing"], "version": "v5"})
    assert (wrong.status_code, wrong.json()["code"]) == (404, "VECTOR_NOT_FOUND")


def test_a_batch_answers_each_id(client: httpx.Client, library: dict[str, str]) -> None:
    ids = [library["box"], "nobody", library["ball"]]
    answer = client.post(f"{API}/similarity/batch", json={"ids": ids, "k": 2})
    results = BatchReply.model_validate(answer.json()).results
    assert [r.id for r in results] == ids
    assert [r.status for r in results] == ["ok", "error", "ok"]
    assert results[1].code == "PART_NOT_FOUND"
    assert results[0].result == search(client, part_id=library["box"], k=2)


def test_a_batch_of_drawings_asks_the_database_twice_however_many(
    client: httpx.Client, engine: Engine, library: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once in the version of most parts, which has no drawings, and once in theirs."""
    ids = [library["drawing"]]
    for size in (20, 30, 40):
        file = ("plate.dxf", cad_files.dxf([(0, 0), (size, 0), (size, 25), (0, 25)]))
        ids.append(client.post(f"{API}/parts", files={"file": file}).json()["id"])
    asked: list[str] = []
    ask = engine.vectors._ask

    def counted(*arguments: Any, **options: Any) -> Any:
        asked.append("asked")
        return ask(*arguments, **options)

    monkeypatch.setattr(engine.vectors, "_ask", counted)
    answer = client.post(f"{API}/similarity/batch", json={"ids": [*ids, library["box"]], "k": 2})
    assert len(asked) == 2
    results = BatchReply.model_validate(answer.json()).results
    assert [r.status for r in results] == ["ok"] * 5
    for part_id, each in zip(ids, results, strict=False):
        assert each.result == search(client, part_id=part_id, k=2)
    for part_id in ids[1:]:
        assert client.delete(f"{API}/parts/{part_id}").status_code == 204


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"part_id": "a", "vector": [1.0]},
        {"part_id": "a", "k": 0},
        {"part_id": "a", "k": 1001},
        {"part_id": "a", "unknown": 1},
        {"part_id": ""},
        {"part_id": "a\x00b"},
        {"vector": []},
        {"vector": ["x"]},
        {"vector": [1.0, 2.0]},
        {"part_id": "a", "max_distance": -1},
        {"part_id": "a", "filters": {"x": {"near": 1}}},
        {"part_id": "a", "filters": {"volume": "big"}},
        {"part_id": "a", "version": "v99"},
        {"part_id": "a", "filters": {"a\x00": 1}},
    ],
)
def test_a_wrong_question_is_refused_with_its_reason(
    client: httpx.Client, library: dict[str, str], query: dict[str, object]
) -> None:
    if query.get("part_id") == "a":
        query = query | {"part_id": library["box"]}
    answer = client.post(f"{API}/search", json=query)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]


def test_metadata_that_no_reader_could_keep_is_refused(client: httpx.Client) -> None:
    query = {
        "id": "far",
        "version": "v1",
        "vector": [0.0] * VERSIONS["v1"].length,
        "metadata": {"n": 1 << 63},
    }
    answer = client.post(f"{API}/vectors/register", json=query)
    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_REQUEST")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(client: httpx.Client, number: str) -> None:
    vector = ",".join([number] + ["0"] * (VERSIONS["v1"].length - 1))
    body = f'{{"version": "v1", "vector": [{vector}]}}'
    assert client.post(f"{API}/search", content=body, headers=JSON).status_code == 422


def test_a_number_too_large_for_single_precision_is_refused(client: httpx.Client) -> None:
    vector = [1e39] * VERSIONS["v1"].length
    answer = client.post(f"{API}/search", json={"version": "v1", "vector": vector})
    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_REQUEST")


def test_another_content_type_is_refused_as_such(client: httpx.Client) -> None:
    answer = client.post(f"{API}/search", content=b"a", headers={"content-type": "text/plain"})
    assert (answer.status_code, answer.json()["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


def test_versions_and_slots_describe_the_table(client: httpx.Client, library: dict[str, str]) -> None:
    rows = [VersionReply.model_validate(row) for row in client.get(f"{API}/features/versions").json()]
    assert [row.name for row in rows] == list(VERSIONS)
    assert sum(row.active for row in rows) == 1
    assert {row.name: row.vectors for row in rows}["v1"] >= len(library)
    for row in rows:
        answer = client.get(f"{API}/features/slots", params={"version": row.name})
        slots = SlotsReply.model_validate(answer.json())
        assert len(slots.slots) == slots.length == row.length
        assert all(slot.name and slot.meaning for slot in slots.slots)


def test_a_difference_names_what_differs(client: httpx.Client, library: dict[str, str]) -> None:
    query = {"id_a": library["box"], "id_b": library["longer"], "version": "v1"}
    body = DiffReply.model_validate(client.get(f"{API}/features/diff", params=query).json())
    by_name = {slot.slot: slot for slot in body.slots}
    assert by_name["bbox_depth"].difference == pytest.approx(3, abs=1e-4)
    assert by_name["bbox_width"].difference == 0
    assert sum(slot.share for slot in body.slots) == pytest.approx(1)
    missing = client.get(f"{API}/features/diff", params=query | {"id_b": "nobody"})
    assert missing.status_code == 404


def test_a_registered_vector_is_found_until_it_is_forgotten(
    client: httpx.Client, library: dict[str, str]
) -> None:
    features = client.get(f"{API}/parts/{library['flat']}/features").json()
    given = {
        "id": "elsewhere-1",
        "version": features["version"],
        "vector": features["values"],
        "metadata": {"site": "B"},
    }
    made = client.post(f"{API}/vectors/register", json=given)
    assert made.status_code == 201, made.text
    kept = VectorReply.model_validate(client.get(f"{API}/vectors/elsewhere-1").json())
    assert kept.vectors == {features["version"]: features["values"]}
    assert kept.metadata == {"site": "B"}
    assert "elsewhere-1" in [n.id for n in search(client, part_id=library["flat"], k=2).neighbours]
    assert client.delete(f"{API}/vectors/elsewhere-1").status_code == 204
    assert client.get(f"{API}/vectors/elsewhere-1").status_code == 404
    assert "elsewhere-1" not in [n.id for n in search(client, part_id=library["flat"], k=5).neighbours]


def test_a_vector_of_another_length_is_refused(client: httpx.Client) -> None:
    given = {"id": "short", "version": "v1", "vector": [1.0]}
    answer = client.post(f"{API}/vectors/register", json=given)
    assert (answer.status_code, answer.json()["code"]) == (422, "DIMENSION_MISMATCH")
    assert client.get(f"{API}/vectors/short").status_code == 404
