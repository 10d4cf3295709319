"""The library over HTTP, against boxes whose numbers are known."""

from __future__ import annotations

import hashlib
from pathlib import Path

import httpx
import pytest

from cadml.api.schemas import AnalyzeReply, FeaturesReply, PageReply, PartReply, SearchReply
from served import API, upload


def test_analyze_tells_a_box_by_its_closed_forms(client: httpx.Client, files: dict[str, Path]) -> None:
    answer = client.post(f"{API}/analyze", files=upload(files["box"]), data={"options": '{"store": false}'})
    assert answer.status_code == 200, answer.text
    body = AnalyzeReply.model_validate(answer.json())
    assert body.geometry["volume"] == pytest.approx(6000, rel=1e-6)
    assert body.geometry["area"] == pytest.approx(2200, rel=1e-6)
    assert [body.geometry[side] for side in ("width", "height", "depth")] == pytest.approx([10, 20, 30])
    assert body.id is None
    assert body.classification.status == "no_model"
    assert body.features is not None
    assert len(body.features.values) == body.features.length
    assert body.sha256 == hashlib.sha256(files["box"].read_bytes()).hexdigest()


def test_analyze_takes_a_trailing_slash(client: httpx.Client, files: dict[str, Path]) -> None:
    answer = client.post(f"{API}/analyze/", files=upload(files["box"]), data={"options": '{"store": false}'})
    assert answer.status_code == 200


def test_analyze_does_only_what_is_asked(client: httpx.Client, files: dict[str, Path]) -> None:
    options = '{"store": false, "features": false, "classify": false, "similar": false}'
    body = client.post(f"{API}/analyze", files=upload(files["box"]), data={"options": options}).json()
    assert (body["features"], body["similar"], body["id"]) == (None, None, None)
    assert body["classification"]["status"] == "not_asked"


def test_the_same_bytes_under_the_same_number_are_one_entry(
    client: httpx.Client, files: dict[str, Path], library: dict[str, str]
) -> None:
    data = {"part_number": "N-0"}
    again = client.post(f"{API}/parts", files=upload(files["box"]), data=data)
    assert again.status_code == 200
    assert again.json()["id"] == library["box"]
    other = client.post(f"{API}/parts", files=upload(files["box"]), data={"part_number": "N-other"})
    assert other.status_code == 201
    assert other.headers["location"].endswith(other.json()["id"])
    assert other.json()["sha256"] == again.json()["sha256"]
    assert client.delete(other.headers["location"]).status_code == 204
    assert client.get(other.headers["location"]).status_code == 404
    assert client.get(f"{API}/parts/{library['box']}/source").content == files["box"].read_bytes()


def test_an_entry_shows_what_was_given(client: httpx.Client, library: dict[str, str]) -> None:
    body = PartReply.model_validate(client.get(f"{API}/parts/{library['longer']}").json())
    assert (body.name, body.part_number) == ("longer.stl", "N-1")
    assert body.metadata == {"material": "steel", "rank": 1}
    assert body.geometry["depth"] == pytest.approx(33)


def test_every_link_of_an_entry_leads_somewhere(client: httpx.Client, library: dict[str, str]) -> None:
    for name in ("box", "drawing"):
        links = client.get(f"{API}/parts/{library[name]}").json()["links"]
        for link in links.values():
            assert client.get(link).status_code == 200, link


def test_metadata_changes_and_keys_go_with_null(client: httpx.Client, files: dict[str, Path]) -> None:
    made = client.post(
        f"{API}/parts", files=upload(files["flat"]), data={"part_number": "changing", "a": "1", "b": "2"}
    )
    place = made.headers["location"]
    changed = client.patch(place, json={"metadata": {"a": None, "b": 3, "c": True}, "name": "renamed.stl"})
    assert changed.status_code == 200, changed.text
    assert changed.json()["metadata"] == {"b": 3, "c": True}
    assert changed.json()["name"] == "renamed.stl"
    assert client.get(place).json() == changed.json()
    client.delete(place)


def test_pages_hold_every_entry_once(client: httpx.Client, library: dict[str, str]) -> None:
    seen: list[str] = []
    after = None
    for _ in range(20):
        query = {"limit": 2, "sort": "-name"} | ({"after": after} if after else {})
        page = PageReply.model_validate(client.get(f"{API}/parts", params=query).json())
        seen += [part.id for part in page.parts]
        after = page.next
        if after is None:
            break
    assert len(seen) == len(set(seen)) == page.total
    assert set(library.values()) <= set(seen)


@pytest.mark.parametrize(
    ("conditions", "names"),
    [
        (["material=steel"], {"longer", "ball"}),
        (["depth=29..34"], {"box", "longer"}),
        (["depth=29..34", "material=brass"], {"box"}),
        (["rank=0,2"], {"box", "flat"}),
        (["kind=drawing"], {"drawing"}),
        (["material=gold"], set()),
    ],
)
def test_conditions_keep_what_fits(
    client: httpx.Client, library: dict[str, str], conditions: list[str], names: set[str]
) -> None:
    page = client.get(f"{API}/parts", params={"where": conditions, "limit": 100}).json()
    found = {part["id"] for part in page["parts"]} & set(library.values())
    assert found == {library[name] for name in names}


def test_similar_finds_the_longer_box_first(client: httpx.Client, library: dict[str, str]) -> None:
    body = client.get(f"{API}/parts/{library['box']}/similar", params={"k": 3}).json()
    found = SearchReply.model_validate(body)
    assert found.neighbours[0].id == library["longer"]
    assert library["box"] not in [n.id for n in found.neighbours]
    assert [n.distance for n in found.neighbours] == sorted(n.distance for n in found.neighbours)


def test_features_of_v1_are_the_extents(client: httpx.Client, library: dict[str, str]) -> None:
    answer = client.get(f"{API}/parts/{library['box']}/features", params={"version": "v1"})
    body = FeaturesReply.model_validate(answer.json())
    slots = client.get(f"{API}/features/slots", params={"version": "v1"}).json()["slots"]
    values = dict(zip([slot["name"] for slot in slots], body.values, strict=True))
    assert [values[f"bbox_{s}"] for s in ("width", "height", "depth")] == pytest.approx([10, 20, 30])


@pytest.mark.parametrize(
    ("name", "view", "magic"),
    [
        ("box", "preview.glb", b"glTF"),
        ("box", "thumbnail.png", b"\x89PNG"),
        ("drawing", "preview.svg", b"<"),
        ("drawing", "thumbnail.png", b"\x89PNG"),
    ],
)
def test_views_are_made_once_and_known_by_their_tag(
    client: httpx.Client, library: dict[str, str], name: str, view: str, magic: bytes
) -> None:
    place = f"{API}/parts/{library[name]}/{view}"
    first = client.get(place)
    assert first.status_code == 200, first.text
    assert first.content.startswith(magic)
    again = client.get(place, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get(place).content == first.content


def test_a_mesh_has_no_svg_and_a_drawing_no_glb(client: httpx.Client, library: dict[str, str]) -> None:
    for name, view in (("box", "preview.svg"), ("drawing", "preview.glb")):
        answer = client.get(f"{API}/parts/{library[name]}/{view}")
        assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")
