"""Write the allow-list of what is installed: what honest estimators import, and how they use it.

    .venv/bin/python scripts/derive_allowlist.py [--check]

Every estimator of :mod:`honest` is saved in every protocol and by joblib; the abstract machine
records each use. Read the difference before you commit it: a pair on the list can be reached by
anyone whose file is trusted.
"""

from __future__ import annotations

import io
import json
import pickle
import sys
import warnings
from pathlib import Path

import joblib

from cadml.learning.opcodes import scan
from cadml.learning.opcodes.allowlist import release_line
from cadml.learning.opcodes.names import RECONSTRUCTOR, Pair
from cadml.learning.opcodes.rules import objection_to_name, use_of_making, use_of_state
from cadml.learning.opcodes.values import Global, Made, Value

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/learning"))

from honest import ESTIMATORS  # noqa: E402 - found through the line above

TARGET = ROOT / "src/cadml/learning/opcodes/allowlists" / f"{release_line()}.json"


class Recorder:
    """Rules that allow what they see and remember it."""

    reason = "opcode_whitelist_violation"

    def __init__(self) -> None:
        self.uses: dict[Pair, set[str]] = {}

    def imported(self, found: Global) -> str | None:
        """Note an import."""
        self._add(found, "value")
        return objection_to_name(found)

    def made(self, maker: Value, args: Value, how: str) -> str | None:
        """Note a call."""
        if not isinstance(maker, Global):
            return "called a result"
        self._add(maker, str(use_of_making(args, how)))
        if maker.pair == RECONSTRUCTOR:
            self._add(args.items[0], f"base:{args.items[1]}")
            return None
        for item in args.items:
            if isinstance(item, Global):
                self._add(maker, f"takes:{item}")
        return None

    def built(self, target: Made, state: Value) -> str | None:
        """Note a state."""
        self._add(target.origin, use_of_state(state))
        return None

    def filled(self, target: Made, how: str) -> str | None:
        """Note a filling."""
        self._add(target.origin, how)
        return None

    def _add(self, found: Global, use: str) -> None:
        self.uses.setdefault(found.pair, set()).add(use)


def main() -> int:
    """Write the list, or with --check compare it; 1 if it differs or something is not scanned."""
    recorder = Recorder()
    failures = []
    for name, build in ESTIMATORS.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = build()
        streams = [pickle.dumps(model, protocol) for protocol in range(6)]
        target = io.BytesIO()
        joblib.dump(model, target)
        for index, stream in enumerate([*streams, target.getvalue()]):
            finding = scan(stream, recorder).finding
            if finding is not None:
                failures.append(f"{name}, stream {index}: {finding}")
    listed: dict[str, dict[str, list[str]]] = {}
    for (module, name), uses in sorted(recorder.uses.items()):
        listed.setdefault(module, {})[name] = sorted(uses)
    text = json.dumps(listed, indent=1) + "\n"
    print("\n".join(failures) or f"{len(recorder.uses)} pairs of {len(ESTIMATORS)} estimators")
    if "--check" in sys.argv:
        return int(bool(failures) or TARGET.read_text(encoding="utf-8") != text)
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(text, encoding="utf-8")
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
