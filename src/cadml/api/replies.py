"""How the engine's answers look as JSON (described by :mod:`cadml.api.schemas`)."""

from __future__ import annotations

from typing import Any

from cadml.api.routing import API
from cadml.engine import NOT_ASKED, VIEW_NAMES, Analysis, Classified
from cadml.geometry.part import Kind
from cadml.store.parts import PartRow
from cadml.store.vectors import Found

RUNNER_UPS = 3


def part(row: PartRow) -> dict[str, Any]:
    """Return a library entry."""
    return {
        "id": row.id,
        "sha256": row.sha256,
        "name": row.name,
        "part_number": row.part_number,
        "metadata": row.metadata,
        "format": row.format,
        "kind": row.kind,
        "bytes": row.bytes,
        "geometry": row.facts,
        "findings": row.findings,
        "classification": _stored_class(row.prediction),
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "links": links(row.id, row.kind),
    }


def links(part_id: str, kind: str | None) -> dict[str, str]:
    """Return where more of an entry can be found."""
    base = f"{API}/parts/{part_id}"
    pictures = [] if kind is None else ["source", VIEW_NAMES["png"]]
    if kind is not None:
        pictures.append(VIEW_NAMES["svg" if kind == Kind.DRAWING else "glb"])
    named = {name.split(".")[0]: f"{base}/{name}" for name in ["similar", "features", *pictures]}
    return {"self": base, **named}


def found(result: Found, classified: Classified = NOT_ASKED) -> dict[str, Any]:
    """Return what a search found, and the class of what was asked."""
    return {
        "classification": None if classified is NOT_ASKED else classification(classified),
        "version": result.version,
        "exact": result.exact,
        "requested": result.requested,
        "returned": len(result.neighbours),
        "neighbours": [
            {
                "id": n.part_id,
                "name": n.name,
                "part_number": n.part_number,
                "sha256": n.sha256,
                "distance": n.distance,
                "metadata": n.metadata,
                "facts": n.facts,
            }
            for n in result.neighbours
        ],
    }


def classification(answer: Classified) -> dict[str, Any]:
    """Return the class of a part, or why there is none."""
    prediction, error = answer.prediction, answer.error
    ranked = prediction.ranked if prediction else []
    return {
        "status": answer.status,
        "label": prediction.label if prediction else None,
        "confidence": prediction.confidence if prediction else None,
        "probabilities": dict(ranked) if prediction else None,
        "runner_ups": _runner_ups(ranked, answered=answer.status == "classified"),
        "model": prediction.model_version if prediction else None,
        "feature_version": prediction.feature_version if prediction else None,
        "code": error.code if error else None,
        "message": error.message if error else None,
    }


def _runner_ups(ranked: list[tuple[str, float]], *, answered: bool) -> list[dict[str, Any]]:
    """Return the next classes; where the model abstained, the best is one of them."""
    begin = int(answered)
    return [{"label": label, "probability": share} for label, share in ranked[begin : begin + RUNNER_UPS]]


def _stored_class(prediction: dict[str, Any] | None) -> dict[str, Any] | None:
    if prediction is None:
        return None
    shares = zip(prediction["classes"], prediction["probabilities"], strict=True)
    ranked = sorted(shares, key=lambda pair: (-pair[1], pair[0]))
    return {
        "model": prediction["model"],
        "label": prediction["label"],
        "confidence": ranked[0][1],
        "probabilities": dict(ranked),
        "runner_ups": _runner_ups(ranked, answered=prediction["label"] is not None),
    }


def analysis(result: Analysis, name: str, *, features: bool) -> dict[str, Any]:
    """Return all that one file tells."""
    content, row = result.content, result.part
    values = content.vectors.get(result.version) if features else None
    return {
        "id": row.id if row else None,
        "added": result.added,
        "sha256": content.sha256,
        "name": name,
        "format": content.format,
        "kind": content.kind,
        "bytes": content.size,
        "geometry": content.facts,
        "findings": content.findings,
        "features": None if values is None else vector(result.version, values),
        "classification": classification(result.classified),
        "similar": found(result.neighbours) if result.neighbours else None,
        "links": links(row.id, row.kind) if row else {},
    }


def vector(version: str, values: Any, part_id: str | None = None) -> dict[str, Any]:
    """Return one feature vector."""
    return {"id": part_id, "version": version, "length": len(values), "values": values}
