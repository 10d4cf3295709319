"""Print how often drift alarms without a reason, and how often a real shift is seen.

    python benchmarks/drift.py [windows] [folder of CAD files]

Categories: ten materials of very different frequency. Features: a synthetic mix of twelve part
classes in the slots of v5 or, where a folder is given, the v5 vectors of its STEP and STL files; a
shift of s means that a share s of the window comes from one class that the baseline does not have
(materials: from one that it has, or has not; files: those of the fullest subfolder, which are kept out
of the baseline).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from cadml.drift import categories
from cadml.drift.slots import SlotBaseline
from cadml.errors import CadmlError
from cadml.extraction import extract, warm_up
from cadml.features.versions import VERSIONS
from cadml.geometry.formats import recognise
from cadml.geometry.isolate import Workers

SIZES, SHIFTS, BASELINE = (30, 100, 1000), (0.1, 0.2, 0.5), 500
V5 = VERSIONS["v5"]
RANDOM = np.random.default_rng(2024)
SHARES = np.array([35, 20, 15, 10, 8, 5, 3, 2, 1, 1]) / 100
Draw = Callable[[int, float], np.ndarray]


KNOWN, NEW = 3, 10  # the material that a tenth of the parts has, and one that none has


def materials(size: int, shift: float = 0.0, to: int = KNOWN) -> list[int]:
    moved = int(RANDOM.binomial(size, shift))
    return [*RANDOM.choice(10, size - moved, p=SHARES).tolist(), *([to] * moved)]


def mix() -> Draw:
    centres = np.random.default_rng(7).normal(size=(13, V5.length))

    def draw(size: int, shift: float) -> np.ndarray:
        classes = RANDOM.integers(0, 12, size)
        classes[RANDOM.random(size) < shift] = 12
        usual = centres[classes] + 0.7 * RANDOM.normal(size=(size, V5.length))
        return (V5.offset + usual / V5.scale).astype(np.float32)

    return draw


def files(folder: Path) -> Draw:
    """Return draws, with replacement, from the described files of ``folder``."""
    vectors, groups = [], []
    with Workers(2, 120, 4096, warm=warm_up) as workers:
        for path in sorted(folder.rglob("*")):
            try:
                chosen = recognise(path, path.name) if path.is_file() else None
                found = workers.run(extract, str(path), chosen.name, ("v5",)).vectors if chosen else {}
            except CadmlError:
                continue
            if "v5" in found:
                vectors.append(found["v5"])
                groups.append(path.relative_to(folder).parts[0])
    values, names = np.stack(vectors), np.array(groups)
    common = max(set(groups), key=groups.count)
    print(f"{len(values)} files; the shift is {(names == common).sum()} of {common}")
    usual, other = values[names != common], values[names == common]

    def draw(size: int, shift: float) -> np.ndarray:
        moved = RANDOM.binomial(size, shift)
        rows = [usual[RANDOM.integers(0, len(usual), size - moved)]]
        return np.concatenate([*rows, other[RANDOM.integers(0, len(other), moved)]])

    return draw


def rate(windows: int, alarm: Callable[[], bool]) -> str:
    return f"{100 * np.mean([alarm() for _ in range(windows)]):.1f} %"


def category_rows(windows: int) -> None:
    def own(baseline: dict, labels: np.ndarray, size: int) -> bool:
        window = categories.counted(RANDOM.choice(labels, size))
        return categories.compare(baseline, window).verdict == "drifted"

    def fresh(size: int, shift: float, to: int) -> bool:
        before, after = (
            categories.counted(each) for each in (materials(BASELINE), materials(size, shift, to))
        )
        return categories.compare(before, after).verdict == "drifted"

    baseline = categories.counted(materials(BASELINE))
    labels = np.repeat(list(baseline), list(baseline.values()))

    for size in SIZES:
        start = time.process_time()
        cells = [
            rate(windows, partial(own, baseline, labels, size)),
            rate(windows, partial(fresh, size, 0.0, KNOWN)),
        ]
        each = (time.process_time() - start) / (2 * windows)
        for name, to in (("a known material", KNOWN), ("a new material", NEW)):
            shifted = [rate(windows, partial(fresh, size, shift, to)) for shift in SHIFTS]
            print(f"| {name} |", size, "|", " | ".join(cells + shifted), "|", flush=True)
        print(f"  (each window {each:.4f} s of processor time)", flush=True)


def feature_rows(windows: int, draw: Draw) -> None:
    baseline = SlotBaseline(V5, draw(BASELINE, 0))

    def alarms(vectors: np.ndarray) -> bool:
        return baseline.compare(vectors).verdict == "drifted"

    def own(size: int) -> bool:
        return alarms(baseline.raw[RANDOM.integers(0, BASELINE, size)])

    def fresh(size: int, shift: float) -> bool:
        return alarms(draw(size, shift))

    for size in SIZES:
        start = time.process_time()
        own(size)
        first = time.process_time() - start
        cells = [rate(windows, partial(own, size))]
        each = (time.process_time() - start - first) / windows
        # A fifth of the windows tells a detection rate well enough.
        cells += [rate(windows // 5, partial(fresh, size, shift)) for shift in (0.0, *SHIFTS)]
        print("| features |", size, "|", " | ".join(cells), "|", flush=True)
        print(f"  (first window {first:.2f} s of processor time, each further one {each:.3f} s)", flush=True)


def main() -> None:
    windows = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    print("| what | window | from the baseline itself | fresh | 10 % | 20 % | 50 % |")
    category_rows(windows)
    feature_rows(windows, files(Path(sys.argv[2])) if len(sys.argv) > 2 else mix())


if __name__ == "__main__":
    main()
