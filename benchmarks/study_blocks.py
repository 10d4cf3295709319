"""Report what each block of a version is worth on a labelled manifest: alone, left out, together.

    python benchmarks/study_blocks.py ../shared/cad/parts.csv v5

A report after the fact: no constant of a version is ever chosen from it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from scipy.spatial.distance import cdist, pdist

from cadml.errors import CadmlError
from cadml.evaluation import Entry, _asking, _once_each, _retrieval, read_manifest
from cadml.extraction import extract, warm_up
from cadml.features.versions import version
from cadml.geometry.formats import recognise
from cadml.geometry.isolate import Workers


def described(entries: list[Entry], name: str) -> tuple[list[Entry], np.ndarray]:
    kept, values = [], []
    with Workers(2, 120, 4096, warm=warm_up) as workers:
        for entry in _once_each(entries):
            try:
                chosen = recognise(entry.path, entry.path.name)
                found = workers.run(extract, str(entry.path), chosen.name, (name,)).vectors
            except CadmlError as error:
                print(f"left out: {entry.path.name}: {error.message}")
                continue
            kept.append(entry)
            values.append(found[name])
    return kept, np.stack(values)


def table(
    entries: list[Entry], values: np.ndarray, name: str
) -> list[tuple[str, float, float, float, float]]:
    """Return, per block, its share of the distance, and nearest neighbour and mAP alone and left out."""
    row = version(name)
    labels = np.array([entry.label for entry in entries])
    families = np.array([entry.family for entry in entries])
    asks = _asking(labels, families)
    scaled = row.scaled(values).astype(np.float16).astype(np.float64)

    def score(distance: np.ndarray) -> tuple[float, float]:
        macro = _retrieval(distance, asks, labels, families)["macro"]
        return macro["nearest_neighbour"], macro["map"]

    whole = cdist(scaled[asks], scaled, "cityblock")
    typical = pdist(scaled, "cityblock").mean()
    rows, start = [("together", 1.0, *score(whole), np.nan, np.nan)], 0
    for descriptor in row.descriptors:
        block = scaled[:, start : start + len(descriptor.slots)]
        start += len(descriptor.slots)
        own = cdist(block[asks], block, "cityblock")
        share = pdist(block, "cityblock").mean() / typical
        rows.append((f"{descriptor.name} ({len(descriptor.slots)})", share, *score(own), *score(whole - own)))
    return rows


def main() -> None:
    manifest, name = Path(sys.argv[1]), sys.argv[2]
    rows = table(*described(read_manifest(manifest), name), name)
    print("| block (slots) | share of distance | NN alone | mAP alone | NN without | mAP without |")
    print("| --- | --- | --- | --- | --- | --- |")
    for label, *numbers in rows:
        print(f"| {label} | " + " | ".join("" if np.isnan(n) else f"{n:.2f}" for n in numbers) + " |")


if __name__ == "__main__":
    main()
