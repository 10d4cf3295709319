"""What a rule file is made of, and how it is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import yaml

Severity = Literal["critical", "warning", "info"]


@dataclass(frozen=True, slots=True)
class Recording:
    """A series that Prometheus computes ahead, because several rules need it."""

    name: str
    expression: str

    def document(self) -> dict[str, Any]:
        """Return the rule as Prometheus reads it."""
        return {"record": self.name, "expr": self.expression}


@dataclass(frozen=True, slots=True)
class Alert:
    """A state that somebody has to know of. ``hold``: how long it lasts before it is told."""

    name: str
    severity: Severity
    hold: str
    expression: str
    summary: str
    description: str

    def document(self) -> dict[str, Any]:
        """Return the rule as Prometheus reads it."""
        return {
            "alert": self.name,
            "expr": self.expression,
            "for": self.hold,
            "labels": {"severity": self.severity, "service": "cadml"},
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "runbook": f"docs/runbooks/{self.name}.md",
            },
        }


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that are computed together, every ``interval``."""

    name: str
    rules: tuple[Recording | Alert, ...]
    interval: str = "30s"


def rule_file(groups: tuple[Group, ...]) -> str:
    """Return the text of the rule file that holds ``groups``."""
    document = {
        "groups": [
            {
                "name": group.name,
                "interval": group.interval,
                "rules": [rule.document() for rule in group.rules],
            }
            for group in groups
        ]
    }
    note = "# Written by `cadml dashboards`; do not edit.\n"
    return note + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)
