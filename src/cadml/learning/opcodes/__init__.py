"""The pickle machine: what a stream would import and call, told without doing either.

:func:`scan` reads one stream; :mod:`~cadml.learning.opcodes.containers` unpacks files first;
:mod:`~cadml.learning.opcodes.loader` is the unpickler that obeys the same rules.
"""

from __future__ import annotations

from cadml.learning.opcodes.allowlist import allowlist
from cadml.learning.opcodes.findings import Finding, Scan
from cadml.learning.opcodes.machine import Machine, Rules
from cadml.learning.opcodes.rules import Blocklist, Whitelist
from cadml.learning.opcodes.steps import STEPS
from cadml.learning.opcodes.stream import Stream
from cadml.learning.opcodes.values import Made
from cadml.learning.verdict import Mode


def rules_of(mode: Mode) -> Rules:
    """Return the rules of a mode; audit reports what whitelist would refuse."""
    return Blocklist() if mode == "blocklist" else Whitelist(allowlist())


def scan(data: bytes, rules: Rules) -> Scan:
    """Run the abstract machine over ``data``, one whole pickle (or joblib) stream; loads nothing."""
    found = Scan()
    stream = Stream(data)
    machine = Machine(stream, rules, found, STEPS)
    value = machine.run()
    if found.finding is None and stream.position != len(data):
        message = f"{len(data) - stream.position} bytes follow the end of the stream"
        found.blame(Finding("opcode_scan_error", "STOP", stream.position - 1, message))
    found.makes_object = isinstance(value, Made)
    return found
