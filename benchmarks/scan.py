"""Speed of the opcode scan, MB/s of processor time, beside picklescan and fickling on the same files.

    .venv/bin/python benchmarks/scan.py [python of an environment that holds picklescan and fickling]

The others are no dependency of cadml: give them an environment of their own.
"""

from __future__ import annotations

import json
import pickle
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from cadml.learning.opcodes import rules_of, scan

ROUNDS = 5
OTHERS = """
import io, json, statistics, sys, time, warnings
warnings.simplefilter("ignore")
def measured(judge, data):
    times = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        verdict = judge(data)
        times.append(time.process_time() - begin)
    return statistics.median(times), str(verdict)
import logging; logging.disable()
from picklescan.scanner import scan_pickle_bytes
from fickling.fickle import Pickled
from fickling.analysis import check_safety
judges = {
    "picklescan": lambda data: "clean" if not any(
        each.safety.value != "innocuous" for each in scan_pickle_bytes(io.BytesIO(data), "x").globals
    ) else "suspicious or worse",
    "fickling": lambda data: check_safety(Pickled.load(data)).severity.name,
}
data = open(sys.argv[1], "rb").read()
found = {}
for name, judge in judges.items():
    try:
        found[name] = measured(judge, data)
    except Exception as error:
        found[name] = [None, type(error).__name__]
print(json.dumps(found))
"""


def models() -> dict[str, object]:
    """Return honest models whose pickles are mostly opcodes, mostly arrays, or both."""
    random = np.random.default_rng(0)
    x = random.normal(size=(1500, 128)).astype(np.float32)
    y = random.integers(12, size=1500)
    return {
        "forest of 500 trees": ExtraTreesClassifier(500, n_jobs=2, random_state=0).fit(x, y),
        "boosting, 480 trees": HistGradientBoostingClassifier(max_iter=40, random_state=0).fit(x, y),
        "logistic regression": LogisticRegression(max_iter=20).fit(x, y),
    }


def main() -> None:
    """Print a line per file and scanner."""
    rules = rules_of("whitelist")
    for name, model in models().items():
        data = pickle.dumps(model)
        times = []
        for _ in range(ROUNDS):
            begin = time.process_time()
            found = scan(data, rules)
            times.append(time.process_time() - begin)
        verdict = "accepted" if found.finding is None else found.finding.message
        rows = {"cadml": (statistics.median(times), verdict)}
        if len(sys.argv) > 1:
            with tempfile.NamedTemporaryFile(suffix=".pkl") as target:
                target.write(data)
                target.flush()
                program = OTHERS.replace("ROUNDS", "1")
                done = subprocess.run(
                    [sys.argv[1], "-c", program, target.name], capture_output=True, check=True, text=True
                )
            rows |= json.loads(done.stdout.splitlines()[-1])
        size = len(data) / 1e6
        for scanner, (seconds, said) in rows.items():
            speed = f"{size / seconds:8.1f} MB/s" if seconds else "   failed"
            print(f"{name} ({size:.2f} MB, {found.opcodes:,} opcodes) {scanner:12} {speed}  {said}")


if __name__ == "__main__":
    main()
