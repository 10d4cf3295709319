"""What a judgement of a model file says; the words are the contract's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Status = Literal[
    "success",
    "not_found",
    "version_mismatch",
    "size_exceeded",
    "hash_mismatch",
    "magic_invalid",
    "opcode_blocked",
    "opcode_scan_error",
    "interface_invalid",
    "canary_failed",
    "score_too_low",
    "load_error",
]
SecurityReason = Literal[
    "magic_number_invalid",
    "size_exceeded",
    "hash_mismatch",
    "opcode_blocked",
    "opcode_whitelist_violation",
    "opcode_scan_error",
]
InterfaceReason = Literal[
    "missing_required_methods",
    "invalid_signature",
    "large_attribute_graph",
    "suspicious_methods_found",
    "wrong_input_dimension",
    "wrong_classes",
]
Mode = Literal["audit", "blocklist", "whitelist"]
ModelFormat = Literal["bundle", "skops", "pickle", "joblib"]

STATUSES: tuple[Status, ...] = get_args(Status)
SECURITY_REASONS: tuple[SecurityReason, ...] = get_args(SecurityReason)
INTERFACE_REASONS: tuple[InterfaceReason, ...] = get_args(InterfaceReason)
MODES: tuple[Mode, ...] = get_args(Mode)  # in the order of the gauge: 0, 1, 2
MODEL_FORMATS: tuple[ModelFormat, ...] = get_args(ModelFormat)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a model file may serve and, if not, which check refused it and why.

    ``opcode`` and ``position`` (bytes from the start of its pickle stream) are those of the first
    refused opcode; ``imports`` every (module, name) that the file can reach; ``scanned`` tells
    whether there was a pickle stream to read.
    """

    status: Status
    message: str
    sha256: str | None = None
    format: ModelFormat | None = None
    security: SecurityReason | None = None
    interface: InterfaceReason | None = None
    opcode: str | None = None
    position: int | None = None
    imports: tuple[tuple[str, str], ...] = ()
    scanned: bool = False

    @property
    def accepted(self) -> bool:
        """Whether no check refused the file."""
        return self.status == "success"
