"""Fuzz the opcode scan for some minutes: crashes, hangs, memory, and imports that it did not tell.

nice .venv/bin/python benchmarks/fuzz_scan.py [minutes] [seed]
"""

from __future__ import annotations

import random
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/learning"))

from fuzzing import check, mutated, seeds


def main() -> None:
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    source = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    streams = seeds()
    for stream in streams:
        check(stream)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    count = passed = 0
    slowest = 0.0
    end = time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        data = mutated(source.choice(streams), streams, source)
        begin = time.process_time()
        passed += check(data).finding is None
        slowest = max(slowest, time.process_time() - begin)
        count += 1
    growth = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / 1024
    print(
        f"{minutes:g} min: {count:,} streams, {passed:,} passed the scan and asked for nothing untold; "
        f"slowest {slowest:.3f} s of processor time, memory grew by {growth:.0f} MiB"
    )


if __name__ == "__main__":
    main()
