"""Train on a manifest by each feature version, and print what each estimator and the whole procedure reach.

    python benchmarks/classifiers.py ../shared/cad/parts.csv [fewest families of a class, 3]

Families are held apart throughout. The last two columns are of what is left after abstention.
"""

from __future__ import annotations

import csv
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from cadml.cli.training import train_classifier
from cadml.config import Settings
from cadml.evaluation import Entry, read_manifest
from cadml.learning.vocabulary import DISTRACTORS

VERSIONS = ("v4", "v5", "v6")
SCORES = ("accuracy", "macro_f1", "abstained", "accuracy_answered", "macro_f1_answered")


def of_classes_with(families: int, entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries whose class has so many families or more, and is no distractor."""
    found: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        found[entry.label].add(entry.family)
    kept = {label for label, names in found.items() if len(names) >= families} - DISTRACTORS
    return [entry for entry in entries if entry.label in kept]


def write_manifest(path: Path, entries: Iterable[Entry]) -> None:
    """Write what training reads; an entry without a family of its own stays without one."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("path", "label", "family", "duplicate_of"))
        for entry in entries:
            family = "" if entry.family.startswith("\0") else entry.family
            writer.writerow((entry.path.resolve(), entry.label, family, entry.same_as))


def main() -> None:
    manifest = Path(sys.argv[1])
    fewest = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    entries = of_classes_with(fewest, read_manifest(manifest))
    table = Table("version", "what", *SCORES)
    with tempfile.TemporaryDirectory(prefix="cadml-classifiers-") as name:
        settings = Settings(data_dir=Path(name) / "data", feature_version="v6", log_level="error")
        labels = Path(name) / "labels.csv"
        write_manifest(labels, entries)
        for version in VERSIONS:
            report = train_classifier(settings, labels, "benchmark", version, quiet=True)["scores"]
            rows = {f"all of it, by {report['estimator']} in the end": report} | report["estimators"]
            for what, scores in rows.items():
                table.add_row(version, what, *(f"{scores[score]:.3f}" for score in SCORES))
    Console(width=120).print(table, f"{report['parts']} parts, {report['families']} families")


if __name__ == "__main__":
    main()
