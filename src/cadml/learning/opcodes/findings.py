"""What the scan of a pickle stream says."""

from __future__ import annotations

from dataclasses import dataclass, field

from cadml.learning.verdict import SecurityReason

# The label values of the counters by opcode: the opcodes that a rule can blame. Every other place
# where a stream cannot be read counts as ``other``.
OPCODES: tuple[str, ...] = (
    "GLOBAL",
    "STACK_GLOBAL",
    "INST",
    "OBJ",
    "NEWOBJ",
    "NEWOBJ_EX",
    "REDUCE",
    "BUILD",
    "APPENDS",
    "SETITEMS",
    "EXT",
    "PERSID",
    "BUFFER",
    "STOP",
    "other",
)
_FAMILIES = {
    "EXT1": "EXT",
    "EXT2": "EXT",
    "EXT4": "EXT",
    "BINPERSID": "PERSID",
    "NEXT_BUFFER": "BUFFER",
    "READONLY_BUFFER": "BUFFER",
    "APPEND": "APPENDS",
    "ADDITEMS": "APPENDS",
    "SETITEM": "SETITEMS",
}


def opcode_label(opcode: str) -> str:
    """Return the value of the label ``opcode`` under which a blamed opcode is counted."""
    name = _FAMILIES.get(opcode, opcode)
    return name if name in OPCODES else "other"


@dataclass(frozen=True, slots=True)
class Finding:
    """Why a stream is refused: which opcode, at which byte of the (unpacked) stream."""

    reason: SecurityReason
    opcode: str
    position: int
    message: str


@dataclass(slots=True)
class Scan:
    """The result of one scan: no ``finding`` means that every rule was kept."""

    finding: Finding | None = None  # the first
    imports: dict[tuple[str, str], None] = field(default_factory=dict)  # in order, each once
    arrays: int = 0  # of joblib's raw arrays
    opcodes: int = 0
    text: int = 0  # bytes of the short texts that were kept
    makes_object: bool = False  # what the stream leaves is an instance of something

    def blame(self, finding: Finding) -> None:
        """Keep the first finding."""
        if self.finding is None:
            self.finding = finding
