"""Words of labelled sets."""

from __future__ import annotations

# What parts are called that belong to no class: they are never asked about and never learnt.
DISTRACTORS = frozenset({"other", "printed_part"})
