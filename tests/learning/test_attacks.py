"""Every known attack, as a real file in the guard's hands: refused, and nothing of it runs."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc

import pytest

from cadml.learning.attacks import UNLISTED_ONLY, recipes
from cadml.learning.guard import OPCODES, Expected, Guard, opcode_label
from cadml.learning.opcodes import rules_of, scan

NAMES = list(recipes("true"))
EXPECTED = Expected(12)
MIB = 1 << 20
# These work in any unpickler: they show that a mark would be seen.
LIVE = ["os.system", "posix.system", "GLOBAL, protocol 0", "INST", "framed", "BINGET", "texts of hex",
        "call in a list", "result dropped", "payload before a broken tail"]  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    mark = tmp_path_factory.mktemp("attacks") / "ran"
    return mark, recipes(f"touch {mark}")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", ["whitelist", "blocklist", "audit"])
def test_it_is_refused_and_does_not_run(name, mode, files):
    mark, attacks = files
    filename, data = attacks[name]
    guard = Guard(mode, 50 << 20)
    verdict = guard.inspect(data, filename, trusted=True)
    if mode == "blocklist" and name in UNLISTED_ONLY:
        return
    assert not verdict.accepted
    assert guard.admit(data, filename, trusted=True, expected=EXPECTED, floor=None) == (verdict, None)
    assert not mark.exists()
    assert verdict.status in {"opcode_blocked", "opcode_scan_error", "magic_invalid", "load_error"}
    if mode == "audit":
        return
    assert (verdict.status == "opcode_blocked") == (
        verdict.security in {"opcode_blocked", "opcode_whitelist_violation"}
    )
    assert verdict.security is not None
    if verdict.scanned:
        assert verdict.opcode is not None
        assert verdict.position >= 0
        assert opcode_label(verdict.opcode) in OPCODES


@pytest.mark.parametrize("name", LIVE)
def test_the_recipes_are_live(name, tmp_path):
    mark = tmp_path / "ran"
    _, data = recipes(f"touch {mark}")[name]
    (tmp_path / "attack").write_bytes(data)
    program = f"import pickle; pickle.load(open({str(tmp_path / 'attack')!r}, 'rb'))"
    subprocess.run([sys.executable, "-c", program], stderr=subprocess.DEVNULL, check=False)
    assert mark.exists()


@pytest.mark.parametrize(
    "stream",
    [
        b"V" + b"a" * MIB + b"\n.",
        b"V" + b"\\x" * (MIB // 2) + b"\n.",
        b"S'" + b"a" * MIB + b"'\n.",
        b"L" + b"9" * 999 + b"\n.",
        b"\x80\x04" + (b"\x8b\x00\x10\x00\x00" + b"\x01" * 4096 + b"\x940") * 255 + b"N.",
    ],
)
def test_a_scan_needs_little_more_memory_than_the_file(stream):
    tracemalloc.start()
    found = scan(stream, rules_of("whitelist"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.finding is None
    assert peak < 8 * MIB


def test_texts_that_are_remembered_by_the_thousand_end_the_scan():
    text = ("a" * 248 + "\N{GRINNING FACE}").encode()  # a kilobyte in memory
    stream = b"\x80\x04" + (b"\x8c" + bytes([len(text)]) + text + b"\x940") * 40_000 + b"N."
    finding = scan(stream, rules_of("whitelist")).finding
    assert finding is not None
    assert finding.reason == "opcode_scan_error"
    assert finding.position < len(stream) - 1


def test_there_are_attacks_enough():
    assert len({data for _, data in recipes("true").values()}) >= 250


@pytest.mark.parametrize(
    ("name", "status", "security", "opcode"),
    [
        ("os.system", "opcode_blocked", "opcode_whitelist_violation", "STACK_GLOBAL"),
        ("GLOBAL, protocol 0", "opcode_blocked", "opcode_whitelist_violation", "GLOBAL"),
        ("INST", "opcode_blocked", "opcode_whitelist_violation", "INST"),
        ("EXT 1", "opcode_blocked", "opcode_blocked", "EXT1"),
        ("BINPERSID", "opcode_blocked", "opcode_blocked", "BINPERSID"),
        ("integer as module", "opcode_scan_error", "opcode_scan_error", "STACK_GLOBAL"),
        ("missing memo key", "opcode_scan_error", "opcode_scan_error", "BINGET"),
        ("second stream", "opcode_scan_error", "opcode_scan_error", "STOP"),
        ("odd integer", "opcode_scan_error", "opcode_scan_error", "INT"),
        ("constructor called", "opcode_blocked", "opcode_whitelist_violation", "REDUCE"),
        ("objects that deny it", "opcode_blocked", "opcode_whitelist_violation", "BUILD"),
        ("gzip bomb", "opcode_scan_error", "opcode_scan_error", None),
        ("zip as a pickle", "magic_invalid", "magic_number_invalid", None),
        ("pickle as skops", "magic_invalid", "magic_number_invalid", None),
    ],
)
def test_the_reason_is_the_right_one(name, status, security, opcode, files):
    filename, data = files[1][name]
    verdict = Guard("whitelist", 50 << 20).inspect(data, filename, trusted=True)
    assert (verdict.status, verdict.security, verdict.opcode) == (status, security, opcode)
