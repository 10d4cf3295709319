"""``/model`` over HTTP: every refusal with its status, force, foreign files, probation, other processes."""

from __future__ import annotations

import os
import pickle
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import joblib
import numpy as np
import psycopg
import pytest
from sklearn.linear_model import LogisticRegression

from cadml.engine import Engine
from cadml.engine.serving import LOOK_S
from cadml.errors import Conflict
from cadml.features.versions import VERSIONS
from cadml.learning.artifact import write_bundle
from cadml.learning.graph import convert
from cadml.learning.probation import MOST_ERRORS, WATCHED
from made_models import broken, bundle, card, keep, trust, vectors
from model_service import ModelService, model_service
from scraped import growing
from served import API, queue_working

HOSTILE = b"cos\nsystem\n(S'touch %s'\ntR."


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelService]:
    with model_service(tmp_path_factory.mktemp("model"), model_max_mb=1) as opened:
        opened.activate("base-1")
        yield opened


@pytest.fixture
def service(running: ModelService) -> ModelService:
    """The service that all share, with base-1 active whatever the test before left behind."""
    answer = running.reload(version="base-1", force=True)
    assert answer.status_code == 200, answer.text
    return running


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def outcome(answer: object) -> tuple[int, str, str]:
    body = answer.json()
    return answer.status_code, body["code"], body["context"]["status"]


def test_each_refusal_has_its_status_and_leaves_the_active_model(service: ModelService) -> None:
    first = card("x").canaries[0]
    wrong = (type(first)(first.vector, "round"),)
    cases = {
        ("none.cadml",): (404, "MODEL_NOT_FOUND", "not_found"),
        ("big.cadml", bytes((1 << 20) + 1)): (413, "MODEL_SIZE_EXCEEDED", "size_exceeded"),
        ("foreign.cadml", bundle("foreign"), False): (403, "MODEL_HASH_MISMATCH", "hash_mismatch"),
        ("text.cadml", b"not a bundle"): (415, "MODEL_MAGIC_INVALID", "magic_invalid"),
        ("attack.pkl", HOSTILE): (403, "MODEL_OPCODE_BLOCKED", "opcode_blocked"),
        ("cut.pkl", pickle.dumps([1.5] * 9)[:-3]): (422, "MODEL_OPCODE_SCAN_ERROR", "opcode_scan_error"),
        ("wide.cadml", bundle("wide", feature_version="v2")): (
            422,
            "MODEL_INTERFACE_INVALID",
            "interface_invalid",
        ),
        ("liar.cadml", bundle("liar", canaries=wrong)): (422, "MODEL_CANARY_FAILED", "canary_failed"),
        ("weak.cadml", bundle("weak", scores={"macro_f1": 0.5})): (
            409,
            "MODEL_SCORE_TOO_LOW",
            "score_too_low",
        ),
    }
    for (name, *content), expected in cases.items():
        if content:
            service.put(name, content[0], trusted=len(content) == 1)
        status = expected[2]
        with growing(service.scrape, "model_reload_total", {status: 1}):
            assert outcome(service.reload(path=name)) == expected, name
        event = service.get("/model/versions?limit=1")["events"][0]
        assert (event["what"], event["who"], event["verdict"]["status"]) == ("refused", "local", status)
        assert name in event["why"]
        assert service.classify()["model"] == "base-1"


def test_the_audit_tells_opcode_position_and_imports(service: ModelService) -> None:
    service.put("audit.pkl", HOSTILE + b"")
    service.reload(path="audit.pkl")
    body = service.get("/model/opcode-audit?limit=1")
    assert body["mode"] == "whitelist"
    verdict = body["events"][0]["verdict"]
    assert (verdict["opcode"], verdict["position"]) == ("GLOBAL", 0)
    assert verdict["imports"] == ["os.system"]
    assert body["opcodes"] == {"GLOBAL": 1}


def test_nothing_outside_the_folder_and_no_link_is_read(service: ModelService, tmp_path: Path) -> None:
    outside = tmp_path / "out.cadml"
    outside.write_bytes(bundle("out-1"))
    trust(service.engine, bundle("out-1"))
    folder = service.folder
    (folder / "link.cadml").symlink_to(outside)
    (folder / "links").symlink_to(tmp_path)
    (folder / "deep").mkdir()
    (folder / "deep" / "in.cadml").write_bytes(bundle("deep-1"))
    trust(service.engine, bundle("deep-1"))
    os.mkfifo(folder / "pipe.cadml")
    places = [
        str(outside),
        "link.cadml",
        "links/out.cadml",
        "../models/link.cadml",
        ".",
        "deep",
        "pipe.cadml",
    ]
    for place in [*places, "a\0b", "deep/../link.cadml", "/", "..", f"{folder}/../out.cadml"]:
        assert outcome(service.reload(path=place))[0] == 404, place
    assert service.reload(path="deep/in.cadml").status_code == 200
    assert service.reload(path=str(folder / "deep" / "in.cadml")).status_code == 200  # its own absolute path


def test_force_overrides_version_and_score_but_no_security_check(service: ModelService) -> None:
    data = bundle("low-1", scores={"macro_f1": 0.1})
    service.put("low.cadml", data)
    assert outcome(service.reload(path="low.cadml", expected_version="low-2"))[2] == "version_mismatch"
    assert service.reload(path="low.cadml", expected_version="low-2", force=True).status_code == 200
    service.put("attack.pkl", HOSTILE)
    assert outcome(service.reload(path="attack.pkl", force=True))[0] == 403
    service.put("stranger.cadml", bundle("stranger-1"), trusted=False)
    assert outcome(service.reload(path="stranger.cadml", force=True))[2] == "hash_mismatch"


def test_no_attack_runs(service: ModelService, tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    for name in ("a.pkl", "a.joblib", "a.pickle", "a.skops", "a.cadml"):
        service.put(name, HOSTILE % str(marker).encode())
        assert service.reload(path=name).status_code in {403, 415, 422}
    assert not marker.exists()


def test_a_trusted_foreign_pickle_serves_and_predicts_as_before_saving(service: ModelService) -> None:
    values, codes = vectors()
    honest = LogisticRegression().fit(values, np.array(["box", "round"])[codes])
    joblib.dump(honest, service.folder / "theirs.joblib")
    data = (service.folder / "theirs.joblib").read_bytes()
    assert outcome(service.reload(path="theirs.joblib"))[2] == "hash_mismatch"
    sha256 = trust(service.engine, data)
    assert outcome(service.reload(path="theirs.joblib"))[2] == "score_too_low"  # no score is known of it
    answer = service.reload(path="theirs.joblib", force=True)
    assert answer.status_code == 200, answer.text
    model = answer.json()["active"]["model"]
    assert (model["version"], model["format"]) == (f"theirs-{sha256[:8]}", "joblib")
    with service.engine.models.serving.slot.use() as place:
        assert place is not None
        found = place.loaded.predictor.probabilities(values)
    assert found == pytest.approx(honest.predict_proba(values.astype(np.float64)), abs=1e-4)
    assert service.classify()["model"] == f"theirs-{sha256[:8]}"
    assert service.reload(version="base-1").status_code == 200


def test_the_stored_library_is_classified_after_a_switch(service: ModelService) -> None:
    answer = service.client.post(f"{API}/parts", files={"file": ("stored.stl", service.box)}).json()
    place = service.engine.models.serving.place()
    assert place is not None
    assert answer["classification"]["model"] == place.loaded.card.version
    service.activate("later-1")
    with queue_working(service.engine):
        wait_for(lambda: service.get(f"/parts/{answer['id']}")["classification"]["model"] == "later-1")
    found = service.client.post(
        f"{API}/search", json={"part_id": answer["id"], "k": 1, "classify": True}
    ).json()
    assert found["classification"]["label"] == service.classify()["label"]
    stored = service.get(f"/parts/{answer['id']}")["classification"]
    assert stored["label"] == found["classification"]["label"]
    for name in ("probabilities", "confidence"):
        assert stored[name] == pytest.approx(found["classification"][name], rel=1e-6), name
    assert [row["label"] for row in stored["runner_ups"]] == list(stored["probabilities"])[1:]
    assert sum(found["classification"]["probabilities"].values()) == pytest.approx(1)


def test_an_unsure_model_abstains_and_says_what_else_it_could_be(service: ModelService) -> None:
    service.activate("shy-1", abstain_below=1.1)
    with growing(service.scrape, "classification_prediction_distribution_total", {"abstained": 1}):
        answer = service.classify()
    assert (answer["status"], answer["label"]) == ("abstained", None)
    assert {row["label"] for row in answer["runner_ups"]} == {"box", "round"}


def test_a_model_that_errs_goes_back_by_itself_and_no_request_notices(service: ModelService) -> None:
    service.put("bad.cadml", broken("bad-1"))
    assert service.reload(path="bad.cadml").json()["active"]["model"]["version"] == "bad-1"
    answers = [service.classify() for _ in range(MOST_ERRORS + 2)]
    assert {answer["status"] for answer in answers} == {"classified"}
    assert {answer["model"] for answer in answers} == {"base-1"}
    body = service.get("/model")
    assert (body["model"]["version"], body["level"]) == ("base-1", 1)
    event = service.get("/model/versions?limit=1")["events"][0]
    assert (event["what"], event["who"]) == ("rolled_back", "cadml")
    # A prediction that meets a look at the database leaves the judgement to the next.
    assert re.match(r"probation: [345] errors in its first", event["why"]), event["why"]


def test_without_a_predecessor_the_reply_says_that_the_model_failed(tmp_path: Path) -> None:
    with model_service(tmp_path) as alone:
        alone.put("bad.cadml", broken("bad-1"))
        assert alone.reload(path="bad.cadml").status_code == 200
        answer = alone.classify(store=True)
        assert (answer["status"], answer["code"], answer["label"]) == ("failed", "MALFORMED_MODEL", None)
        assert alone.get("/parts")["parts"][0]["classification"] is None  # kept, without a class


def test_a_model_that_abstains_from_everything_goes_back(service: ModelService) -> None:
    service.activate("mute-1", abstain_below=1.1)
    row = vectors()[0][0]

    def is_back() -> bool:  # a prediction that meets a switch under way leaves the judgement to the next
        service.engine.classify({"v1": row})
        return bool(service.get("/model")["level"])

    wait_for(is_back)
    assert service.get("/model")["model"]["version"] == "base-1"
    assert "abstained from 100%" in service.get("/model/versions?limit=1")["events"][0]["why"]


def test_a_good_model_passes_its_probation(service: ModelService) -> None:
    service.activate("good-1")
    assert service.get("/model")["probation"]["needed"] == WATCHED
    values = vectors()[0]
    for number in range(WATCHED):
        service.engine.classify({"v1": values[number % len(values)]})

    def is_proven() -> bool:  # a prediction that meets a switch under way leaves the judgement to the next
        service.engine.classify({"v1": values[0]})
        return service.get("/model")["probation"] is None

    wait_for(is_proven)
    assert service.get("/model")["level"] == 0
    assert service.get("/model/versions?limit=1")["events"][0]["what"] == "proven"


def test_a_part_the_model_cannot_describe_has_no_class_but_an_answer(
    service: ModelService, files: dict[str, Path]
) -> None:
    service.activate("five-1", feature_version="v1")
    service.engine.classify({"v5": np.zeros(VERSIONS["v5"].length, dtype=np.float32)})
    assert service.engine.classify({"d1": np.zeros(3, dtype=np.float32)}).status == "not_applicable"
    assert files["drawing"].exists()


def test_a_model_of_a_version_that_is_not_kept_is_refused(service: ModelService) -> None:
    six = VERSIONS["v6"]
    rows = np.random.default_rng(6).normal(size=(40, six.length)).astype(np.float32)
    model = LogisticRegression().fit(rows, np.arange(40) % 2)
    given = card("six-1", feature_version="v6", length=six.length, canaries=())
    service.put("six.cadml", write_bundle(given, convert(model, six, 1.0)))
    with growing(service.scrape, "model_interface_validation_fail_total", {"wrong_input_dimension": 1}):
        answer = service.reload(path="six.cadml", force=True)
    assert outcome(answer) == (422, "MODEL_INTERFACE_INVALID", "interface_invalid")
    assert "cadml migrate v6" in answer.json()["detail"]
    assert service.classify()["model"] == "base-1"


def test_another_process_on_the_database_follows(service: ModelService) -> None:
    settings = service.engine.settings.model_copy(update={"extract_workers": 1})
    with Engine(settings) as other:
        place = other.models.serving.place()
        assert place is not None
        keep(service.engine, bundle("two-1"), "two-1")
        other.models.reload("the other", version="two-1")
        wait_for(lambda: service.get("/model")["model"]["version"] == "two-1")
        service.rollback()
        wait_for(lambda: other.models.serving.state().level == 1)
        here, there = service.get("/model"), other.models.serving.place()
        assert there is not None
        assert (here["level"], here["load_seq"]) == (there.level, there.load_seq)


def test_a_defect_while_it_looks_does_not_end_the_looking(service: ModelService) -> None:
    """The table is renamed under it; the process follows again as soon as it is back."""
    database = service.engine.database
    settings = service.engine.settings.model_copy(update={"extract_workers": 1})
    with Engine(settings) as other:
        assert other.models.serving.place() is not None
        with database.connection() as connection:
            connection.execute("ALTER TABLE model_state RENAME TO elsewhere")
        try:
            with pytest.raises(psycopg.errors.UndefinedTable):
                other.models.serving.refresh()
            time.sleep(2 * LOOK_S)  # it has looked in vain
            answer = service.rollback()
            assert (answer.status_code, answer.json()["code"]) == (500, "INTERNAL_ERROR")
            assert answer.headers["content-type"] == "application/problem+json"
        finally:
            with database.connection() as connection:
                connection.execute("ALTER TABLE elsewhere RENAME TO model_state")
        keep(service.engine, bundle("after-1"), "after-1")
        service.reload(version="after-1")
        wait_for(lambda: other.models.serving.state().version == "after-1")


def test_a_version_or_a_file_that_is_known_otherwise_is_refused_and_recorded(service: ModelService) -> None:
    service.put("other.cadml", bundle("base-1", made_by="another"))
    with growing(service.scrape, "model_reload_total", {"version_mismatch": 1}):
        answer = service.reload(path="other.cadml")
    assert outcome(answer) == (409, "MODEL_VERSION_MISMATCH", "version_mismatch")
    assert service.get("/model/versions?limit=1")["events"][0]["what"] == "refused"
    with pytest.raises(Conflict, match="known as base-1"):
        keep(service.engine, bundle("base-1"), "base-2")


@pytest.mark.parametrize(
    "body", [{}, {"path": "a", "version": "b"}, {"path": 5}, {"version": "b", "forse": True}]
)
def test_a_malformed_request_is_no_reload(service: ModelService, body: object) -> None:
    assert service.client.post(f"{API}/model/reload", json=body).status_code == 422
