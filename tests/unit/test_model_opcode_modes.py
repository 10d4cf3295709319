"""The three modes of the opcode scan over real files."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from cadml.learning.assembly import STOP, call, line_global, proto, text
from cadml.learning.attacks import UNLISTED_ONLY, recipes
from cadml.learning.guard import Expected, Guard
from cadml.learning.verdict import MODES
from model_service import model_service
from scraped import assert_exported

ATTACK = proto() + call(line_global("os", "system"), text("exit 97")) + STOP
UNLISTED = proto() + call(line_global("fractions", "Fraction"), text("1/3")) + STOP


def test_the_modes_are_in_the_order_of_the_gauge():
    assert MODES == ("audit", "blocklist", "whitelist")


@pytest.mark.parametrize(
    ("mode", "status", "security"),
    [
        ("audit", "load_error", None),
        ("blocklist", "opcode_blocked", "opcode_blocked"),
        ("whitelist", "opcode_blocked", "opcode_whitelist_violation"),
    ],
)
def test_a_dangerous_import_is_refused_in_every_mode(mode, status, security):
    verdict = Guard(mode, 1 << 20).inspect(ATTACK, "model.pkl", trusted=True)
    assert (verdict.status, verdict.security) == (status, security)
    assert (verdict.opcode, verdict.position, verdict.scanned) == ("GLOBAL", 2, True)
    assert verdict.imports == (("os", "system"),)


@pytest.mark.parametrize(("mode", "accepted"), [("audit", False), ("blocklist", True), ("whitelist", False)])
def test_an_unlisted_import_is_refused_by_the_whitelist_alone(mode, accepted):
    verdict = Guard(mode, 1 << 20).inspect(UNLISTED, "model.pkl", trusted=True)
    assert verdict.accepted == accepted
    if mode == "audit":  # it tells what the whitelist would say
        assert verdict.opcode == "GLOBAL"
        assert "fractions.Fraction" in verdict.message


def test_audit_loads_no_pickle_however_harmless():
    data = pickle.dumps({"a": 1})
    verdict, predictor = Guard("audit", 1 << 20).admit(
        data, "model.pkl", trusted=True, expected=Expected(3), floor=None
    )
    assert predictor is None
    assert (verdict.status, verdict.security, verdict.scanned) == ("load_error", None, True)


@pytest.mark.parametrize("mode", MODES)
def test_the_guard_passes_its_own_test_in_every_mode(mode):
    Guard(mode, 50 << 20).self_test()


def test_what_only_the_whitelist_refuses_is_known():
    guard = Guard("blocklist", 50 << 20)
    passed = {
        name for name, (filename, data) in recipes("exit 97").items()
        if guard.inspect(data, filename, trusted=True).accepted
    }  # fmt: skip
    assert passed == UNLISTED_ONLY


@pytest.mark.parametrize(
    ("mode", "answer", "counter", "reason"),
    [
        ("audit", (422, "MODEL_LOAD_ERROR"), "model_opcode_audit_total", None),
        ("blocklist", (403, "MODEL_OPCODE_BLOCKED"), "model_opcode_blocked_total", "opcode_blocked"),
        (
            "whitelist",
            (403, "MODEL_OPCODE_BLOCKED"),
            "model_opcode_whitelist_violations_total",
            "opcode_whitelist_violation",
        ),
    ],
)
def test_the_service_answers_counts_and_serves_on(
    tmp_path: Path, mode: str, answer: tuple[int, str], counter: str, reason: str | None
) -> None:
    mark = tmp_path / "it ran"
    attack = proto() + call(line_global("os", "system"), text(f"touch '{mark}'")) + STOP
    with model_service(tmp_path / "data", model_opcode_mode=mode) as service:
        service.activate("first-1")  # a bundle is data: every mode loads it
        refused = service.reload(path=service.put("attack.pkl", attack), force=True)
        assert (refused.status_code, refused.json()["code"]) == answer
        assert service.classify()["model"] == "first-1"
        exported = {
            "model_opcode_mode": MODES.index(mode),
            "model_opcode_scans_total": 1,
            f'{counter}{{opcode="GLOBAL"}}': 1,
        }
        if reason:
            exported[f'model_security_fail_total{{reason="{reason}"}}'] = 1
        assert_exported(service.scrape(), exported)
        told = service.get("/model/opcode-audit")
        assert (told["mode"], told["opcodes"]) == (mode, {"GLOBAL": 1})
    assert not mark.exists()
