"""Retrieval and classification quality on a labelled set, by the rules of the evaluation manifest.

A manifest is a CSV with ``path,label,family`` (and optionally ``duplicate_of``), paths relative to
the CSV. A query never meets its own family, because a size variant is no proof of recognition; a
part without a family is a family of its own. Distractors stand in the gallery and never ask.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cadml.errors import InvalidRequest
from cadml.features.distance import distances
from cadml.features.spec import FeatureVersion
from cadml.learning.validation import LabelledSet, labelled_set, scores, scores_by_class, validate
from cadml.learning.vocabulary import DISTRACTORS

REQUIRED = ("path", "label", "family")
MEASURES = ("nearest_neighbour", "map", "hit_at_10")

Bools = NDArray[np.bool_]
Names = NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a manifest; ``family`` is never empty here."""

    path: Path
    label: str
    family: str
    same_as: str


def read_manifest(manifest: Path) -> list[Entry]:
    """Return the manifest's rows in order.

    Raises
    ------
    InvalidRequest
        The file is not there, is no CSV, or lacks a column.
    """
    try:
        with manifest.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            rows = list(reader)
            columns = reader.fieldnames or ()
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidRequest(f"the manifest {manifest} cannot be read: {error}") from error
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        raise InvalidRequest(f"the manifest {manifest} lacks the column {missing[0]!r}", missing=missing)
    entries = []
    for line, row in enumerate(rows, start=2):
        path, label = (row["path"] or "").strip(), (row["label"] or "").strip()
        if not path or not label:
            raise InvalidRequest(f"line {line} of {manifest} has no path or no label", line=line)
        # A NUL cannot stand in a family's name read from a CSV row that names its path instead.
        family = (row["family"] or "").strip() or f"\0{path}"
        same_as = (row.get("duplicate_of") or "").strip() or path
        entries.append(Entry(manifest.parent / path, label, family, same_as))
    return entries


def evaluate(
    entries: Sequence[Entry],
    vectors: Mapping[Path, NDArray[np.floating]],
    version: FeatureVersion,
    unreadable: Sequence[dict[str, str]] = (),
) -> dict[str, Any]:
    """Return the contract's report for the entries that ``vectors`` holds a ``(N,)`` vector of."""
    present = _once_each([entry for entry in entries if entry.path in vectors])
    if not present:
        raise InvalidRequest("no file of the manifest could be described", unreadable=len(unreadable))
    values = np.stack([vectors[entry.path] for entry in present])
    labels = np.array([entry.label for entry in present])
    families = np.array([entry.family for entry in present])
    asks = _asking(labels, families)
    retrieval = _retrieval(distances(version, values[asks], values), asks, labels, families)
    return {
        "retrieval": retrieval,
        "classification": _classification(
            labelled_set(version.scaled(values[asks]), labels[asks], families[asks])
        ),
        "queries": int(asks.sum()),
        "classes": len(set(labels[asks])),
        "unreadable": list(unreadable),
    }


def _once_each(entries: list[Entry]) -> list[Entry]:
    first: dict[str, Entry] = {}
    for entry in entries:
        first.setdefault(entry.same_as, entry)
    return list(first.values())


def _asking(labels: Names, families: Names) -> Bools:
    """Return which parts are queries: no distractors, and another family bears the label."""
    bearing = defaultdict(set)
    for label, family in zip(labels, families, strict=True):
        bearing[label].add(family)
    return np.array([label not in DISTRACTORS and len(bearing[label]) > 1 for label in labels])


def _retrieval(table: NDArray[np.float64], asks: Bools, labels: Names, families: Names) -> dict[str, Any]:
    scores: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    for row, query in zip(table, np.flatnonzero(asks), strict=True):
        gallery = np.flatnonzero(families != families[query])
        ranked = gallery[np.argsort(row[gallery], kind="stable")]
        scores[labels[query]].append(_measures(labels[ranked] == labels[query]))
    every = np.array([score for group in scores.values() for score in group]).reshape(-1, len(MEASURES))
    by_class = np.array([np.mean(group, axis=0) for group in scores.values()]).reshape(-1, len(MEASURES))
    return {
        name: dict(zip(MEASURES, map(float, rows.mean(axis=0)), strict=True)) if len(rows) else None
        for name, rows in (("micro", every), ("macro", by_class))
    }


def _measures(relevant: Bools) -> tuple[float, float, float]:
    """Return nearest-neighbour hit, average precision and hit@10 of one ranking."""
    ranks = np.flatnonzero(relevant) + 1
    precision = np.arange(1, len(ranks) + 1) / ranks
    return float(relevant[0]), float(precision.mean()), float(relevant[:10].any())


def _classification(parts: LabelledSet) -> dict[str, Any] | None:
    """Return how good a classifier of these parts is, or None where there is one class only.

    It is trained as `cadml train` does it, within each fold.
    """
    if len(parts.classes) < 2:
        return None
    validation = validate(parts)
    return scores(validation.procedure, parts.codes) | {
        "estimators": {name: scores(judged, parts.codes) for name, judged in validation.estimators.items()},
        "by_class": scores_by_class(validation.procedure, parts.codes, parts.classes),
    }
