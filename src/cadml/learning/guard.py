"""Model files are programs until proven data: every check in its order, on bytes read once.

size → hash allowed → magic → opcode scan → construct → interface → canaries → score floor. The caller
reads the bytes, says whether their hash is trusted, and switches atomically to what it gets::

    guard = Guard("whitelist", max_bytes=50 << 20)
    guard.self_test()                                      # raises GuardBroken; admit does it too, once
    verdict = guard.inspect(data, "a.joblib", trusted=True)    # loads nothing: size … scan
    verdict, predictor = guard.admit(data, "a.joblib", trusted=True,
                                     expected=Expected(length=128), floor=0.71)

``predictor`` is there exactly when ``verdict.accepted``; whoever drops it calls its ``close()``.
``floor=None`` skips the score floor (what ``force`` means); no argument skips a security check.
The counters follow from the verdict: ``scanned`` (model_opcode_scans_total), ``status``
(model_reload_total), ``security`` (model_security_fail_total), ``interface``
(model_interface_validation_fail_total), ``opcode_label(opcode)`` (the three counters by opcode).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

from cadml.errors import GuardBroken, MalformedModel, ModelProcessFailed
from cadml.learning.archive import MAGIC
from cadml.learning.artifact import SUFFIX, ModelCard, read_bundle
from cadml.learning.attacks import UNLISTED_ONLY, recipes
from cadml.learning.confined.predictor import ConfinedPredictor, RefusalError, try_onnx
from cadml.learning.conversion import lightest
from cadml.learning.judgement import Expected, judge
from cadml.learning.onnx_checks import check_onnx
from cadml.learning.onnx_predictor import OnnxPredictor
from cadml.learning.opcodes import rules_of, scan
from cadml.learning.opcodes.allowlist import allowlist
from cadml.learning.opcodes.containers import ContainerError, is_compressed, looks_like_pickle, unpack
from cadml.learning.opcodes.findings import OPCODES, opcode_label
from cadml.learning.opcodes.values import readable
from cadml.learning.predictor import Predictor
from cadml.learning.skops_audit import SkopsViolationError, audit_skops
from cadml.learning.verdict import INTERFACE_REASONS, Mode, ModelFormat, Verdict

__all__ = ["OPCODES", "Expected", "Guard", "opcode_label"]

_SUFFIXES: dict[str, ModelFormat] = {
    SUFFIX: "bundle",
    ".skops": "skops",
    ".pkl": "pickle",
    ".pickle": "pickle",
    ".joblib": "joblib",
}
_UNPACKED = 4  # how many times its limit a compressed file may unpack to


@dataclass(frozen=True, slots=True)
class _Content:
    """What the scan has seen and construction is given: the same bytes."""

    card: ModelCard | None = None
    stream: bytes = b""  # the ONNX graph, the unpacked pickle, or the skops file
    trusted: tuple[str, ...] = ()  # names that skops may import


class Guard:
    """Judges model files; holds no state but whether it has passed its own test.

    Parameters
    ----------
    mode
        What the opcode scan does: audit, blocklist or whitelist.
    max_bytes
        Largest file that is looked at, bytes.
    """

    def __init__(self, mode: Mode, max_bytes: int) -> None:
        self.mode = mode
        self.max_bytes = max_bytes
        self._is_tested = False

    def card(self, data: bytes, filename: str) -> ModelCard | None:
        """Return the card of a trusted bundle, read within the same bounds as when it is judged.

        None: it is no bundle, or one that :meth:`admit` refuses for its size or content.
        """
        if PurePath(filename).suffix.lower() != SUFFIX or len(data) > self.max_bytes:
            return None
        try:
            return read_bundle(data, _UNPACKED * self.max_bytes)[0]
        except MalformedModel:
            return None

    def inspect(self, data: bytes, filename: str, *, trusted: bool) -> Verdict:
        """Return what the checks up to the scan say of the file; loads nothing of it."""
        return self._look(data, filename, trusted=trusted)[0]

    def admit(
        self, data: bytes, filename: str, *, trusted: bool, expected: Expected, floor: float | None
    ) -> tuple[Verdict, Predictor | None]:
        """Return the verdict of all checks and, if it is a success, the model ready to serve."""
        verdict, content = self._look(data, filename, trusted=trusted)
        if not verdict.accepted:
            return verdict, None
        card = content.card or expected.card
        try:
            self.self_test()
            predictor = self._construct(verdict.format, content, expected)
        except RefusalError as error:
            return _refused(verdict, error.head), None
        except (MalformedModel, ModelProcessFailed, GuardBroken) as error:
            return replace(verdict, status="load_error", message=error.message), None
        verdict = judge(verdict, predictor, card, expected, floor)
        if not verdict.accepted:
            predictor.close()
            return verdict, None
        if isinstance(predictor, ConfinedPredictor):
            predictor = lightest(predictor, (card.canaries if card else ()) + expected.canaries)
        return verdict, predictor

    def self_test(self) -> None:
        """Judge the known attacks, once; returns when each is refused.

        Raises
        ------
        GuardBroken
            One passed, so this guard loads no model at all.
        """
        if self._is_tested:
            return
        passed = [
            name
            for name, (filename, data) in recipes("exit 97").items()
            if self.inspect(data, filename, trusted=True).accepted
            and not (self.mode == "blocklist" and name in UNLISTED_ONLY)
        ]
        if passed:
            raise GuardBroken(f"the guard lets known attacks pass: {', '.join(passed[:5])}", passed=passed)
        self._is_tested = True

    def _look(self, data: bytes, filename: str, *, trusted: bool) -> tuple[Verdict, _Content]:
        found = Verdict("success", "no check refuses this file", hashlib.sha256(data).hexdigest())
        if len(data) > self.max_bytes:
            message = f"{len(data)} bytes, the limit is {self.max_bytes}"
            return replace(
                found, status="size_exceeded", security="size_exceeded", message=message
            ), _Content()
        if not trusted:
            message = "nobody has trusted this file: cadml model trust"
            return replace(
                found, status="hash_mismatch", security="hash_mismatch", message=message
            ), _Content()
        kind = _SUFFIXES.get(PurePath(filename).suffix.lower())
        if kind is None:
            return _not_magic(found, f"a model's name ends with one of {', '.join(_SUFFIXES)}")
        found = replace(found, format=kind)
        match kind:
            case "bundle":
                return _look_at_bundle(data, found, _UNPACKED * self.max_bytes)
            case "skops":
                return self._data_only(*_look_at_skops(data, found, _UNPACKED * self.max_bytes))
            case _:
                return self._data_only(*self._look_at_pickle(data, found))

    def _look_at_pickle(self, data: bytes, found: Verdict) -> tuple[Verdict, _Content]:
        try:
            stream = unpack(data, _UNPACKED * self.max_bytes)
        except ContainerError as error:
            if error.is_foreign:
                return _not_magic(found, str(error))
            return _scan_error(found, str(error)), _Content()
        if not looks_like_pickle(stream):
            return _not_magic(found, "the file does not begin like a pickle or joblib file")
        result = scan(stream, rules_of(self.mode))
        is_joblib = found.format == "joblib" or result.arrays > 0 or is_compressed(data)
        found = replace(
            found, scanned=True, format="joblib" if is_joblib else "pickle", imports=tuple(result.imports)
        )
        if result.finding is None:
            return found, _Content(stream=stream)
        finding = result.finding
        return replace(
            found,
            status="opcode_scan_error" if finding.reason == "opcode_scan_error" else "opcode_blocked",
            security=finding.reason,
            opcode=finding.opcode,
            position=finding.position,
            message=finding.message,
        ), _Content()

    def _data_only(self, found: Verdict, content: _Content) -> tuple[Verdict, _Content]:
        """In audit mode, report and load nothing that is more than data."""
        if self.mode != "audit" or found.status == "magic_invalid":
            return found, content
        told = "nothing to object to" if found.accepted else found.message
        message = f"audit mode loads bundles only; the scan found: {told}"
        return replace(found, status="load_error", security=None, message=message), _Content()

    def _construct(self, kind: ModelFormat | None, content: _Content, expected: Expected) -> Predictor:
        if content.card is not None:
            card = content.card
            refusal = try_onnx(content.stream, card.classes, card.length)
            if refusal is not None:
                raise MalformedModel(refusal)
            return OnnxPredictor(content.stream, card.classes, card.length)
        request = {"format": kind, "mode": self.mode, "length": expected.length, "trusted": content.trusted}
        return ConfinedPredictor(request, content.stream)


def _not_magic(found: Verdict, message: str) -> tuple[Verdict, _Content]:
    refusal = replace(found, status="magic_invalid", security="magic_number_invalid", message=message)
    return refusal, _Content()


def _scan_error(found: Verdict, message: str) -> Verdict:
    return replace(found, status="opcode_scan_error", security="opcode_scan_error", message=message)


def _look_at_bundle(data: bytes, found: Verdict, most_bytes: int) -> tuple[Verdict, _Content]:
    if not data.startswith(MAGIC):
        return _not_magic(found, "a bundle is a zip file, this is none")
    try:
        card, onnx = read_bundle(data, most_bytes)
    except MalformedModel as error:
        return _not_magic(found, error.message)
    try:
        check_onnx(onnx, card.length, len(card.classes))
    except MalformedModel as error:
        return replace(found, status="load_error", message=error.message), _Content()
    return found, _Content(card, onnx)


def _look_at_skops(data: bytes, found: Verdict, most_bytes: int) -> tuple[Verdict, _Content]:
    if not data.startswith(MAGIC):
        return _not_magic(found, "a skops file is a zip file, this is none")
    try:
        pairs = audit_skops(data, most_bytes, allowlist())
    except MalformedModel as error:
        return _not_magic(found, error.message)
    except SkopsViolationError as error:
        found = replace(found, status="opcode_blocked", security="opcode_whitelist_violation")
        return replace(found, message=str(error)), _Content()
    names = tuple(f"{module}.{name}" for module, name in pairs)
    return replace(found, imports=pairs), _Content(stream=data, trusted=names)


def _refused(verdict: Verdict, head: dict[str, Any]) -> Verdict:
    """Return the confined process's refusal, whose words are not believed to be the contract's."""
    reason = head.get("interface")
    message = readable(" ".join(str(head.get("message")).split()))
    if reason in INTERFACE_REASONS:
        return replace(verdict, status="interface_invalid", interface=reason, message=message)
    return replace(verdict, status="load_error", message=message)
