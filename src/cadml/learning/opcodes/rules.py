"""Two readings of "may": what is not listed may not (whitelist); what is notorious may not (blocklist)."""

from __future__ import annotations

from typing import Literal

from cadml.learning.opcodes.allowlist import Allowlist
from cadml.learning.opcodes.arrays import objection_to_call, objection_to_state
from cadml.learning.opcodes.names import RECONSTRUCTOR
from cadml.learning.opcodes.notorious import HARMLESS, NAMES, PACKAGES
from cadml.learning.opcodes.values import Global, Made, Mapping, Sequence, Value, is_dunder
from cadml.learning.verdict import SecurityReason

Filling = Literal["items", "append"]
Making = Literal["new", "call"]


def use_of_making(args: Value, how: Making) -> str | None:
    """Return the use that a call is, or None if its arguments are no tuple."""
    if not isinstance(args, Sequence) or args.kind != "tuple":
        return None
    return f"{how}:{args.count}"


def use_of_state(state: Value) -> str:
    """Return the use that a BUILD is."""
    if isinstance(state, Mapping):
        return "build:dict"
    if isinstance(state, Sequence) and state.kind == "tuple":
        return f"build:tuple{state.count}"
    return "build:other"


def objection_to_name(found: Global) -> str | None:
    """Return why no honest model imports such a name, whatever a list says."""
    if "." in found.name:
        return f"the name of {found} reaches through an attribute"
    if is_dunder(found.name) or any(map(is_dunder, found.module.split("."))):
        return f"{found} has a meaning of Python's own"
    return None


class Whitelist:
    """Only exact pairs on the list, each used as the list says."""

    reason: SecurityReason = "opcode_whitelist_violation"

    def __init__(self, listed: Allowlist) -> None:
        self._listed = listed

    def imported(self, found: Global) -> str | None:
        """Judge an import."""
        objection = objection_to_name(found)
        if objection is None and found.pair not in self._listed:
            return (
                f"{found} is not on the list of what a model file may import; a bundle (ONNX) imports nothing"
            )
        return objection

    def made(self, maker: Value, args: Value, how: Making) -> str | None:
        """Judge ``maker.__new__(maker, *args)`` or ``maker(*args)``."""
        if not isinstance(maker, Global):
            return "what is called is itself the result of a call, or no callable at all"
        use = use_of_making(args, how)
        uses = self._uses(maker)
        if use is None or use not in uses:
            return f"no honest model does this with {maker} ({use})"
        if maker.pair == RECONSTRUCTOR:
            return self._reconstructed(args)
        for item in args.items:
            if isinstance(item, Global) and f"takes:{item}" not in uses:
                return f"no honest model hands {item} to {maker}"
        return objection_to_call(maker, args) if how == "call" else None

    def built(self, target: Made, state: Value) -> str | None:
        """Judge BUILD of an instance that had none yet."""
        if use_of_state(state) not in self._uses(target.origin):
            return f"no honest model gives {target.origin} such a state ({use_of_state(state)})"
        parts = state.items if isinstance(state, Sequence) else [state]
        if any(isinstance(each, Mapping) and each.has_odd_key for each in parts):
            return f"the state of {target.origin} has a key that is no plain attribute's name"
        return objection_to_state(target, state)

    def filled(self, target: Made, how: Filling) -> str | None:
        """Judge putting items into an instance that is no plain container."""
        return None if how in self._uses(target.origin) else f"no honest model fills {target.origin}"

    def _uses(self, origin: Global) -> frozenset[str]:
        return self._listed.get(origin.pair, frozenset())

    def _reconstructed(self, args: Sequence) -> str | None:
        kind, base = args.items[:2]
        if not isinstance(kind, Global) or not isinstance(base, Global):
            return "what is reconstructed is no class"
        if f"base:{base}" not in self._uses(kind):
            return f"no honest model makes {kind} on {base}"
        return None


class Blocklist:
    """Everything but what is known to be dangerous; weaker than a whitelist by nature."""

    reason: SecurityReason = "opcode_blocked"

    def imported(self, found: Global) -> str | None:
        """Judge an import."""
        objection = objection_to_name(found)
        if objection is not None or found.pair in HARMLESS:
            return objection
        package = found.module.partition(".")[0]
        inner = [part for part in found.module.split(".")[1:] if part in PACKAGES]
        if package in PACKAGES or inner or found.name in NAMES:
            return f"{found} is known to be dangerous"
        # numpy.builtins, pandas.os and the like: a module in a module's attribute.
        return f"{found} is known to be dangerous" if found.name in PACKAGES else None

    def made(self, maker: Value, args: Value, how: Making) -> str | None:
        """Judge ``maker.__new__(maker, *args)`` or ``maker(*args)``."""
        if not isinstance(maker, Global):
            return "what is called is itself the result of a call, or no callable at all"
        if not isinstance(args, Sequence):
            return "what is called gets no tuple of arguments"
        return objection_to_call(maker, args) if how == "call" else None

    def built(self, target: Made, state: Value) -> str | None:
        """Judge BUILD of an instance that had none yet."""
        parts = state.items if isinstance(state, Sequence) else [state]
        if any(isinstance(each, Mapping) and each.has_odd_key for each in parts):
            return f"the state of {target.origin} has a key that is no plain attribute's name"
        return objection_to_state(target, state)

    def filled(self, target: Made, how: Filling) -> str | None:  # noqa: ARG002 - as the rules ask
        """Judge putting items into an instance that is no plain container."""
        return None
