"""What became of each part of a contract when it was compiled: the report its owner reads."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field


class KeywordFate(enum.StrEnum):
    """What the guarantee does with one keyword."""

    ENFORCED = "enforced"
    """No output can break it: the token automaton holds it."""
    CHECKED = "checked"
    """Verified on the finished text; a failure is an error, never an answer."""
    ANNOTATION = "annotation"
    """Says nothing about validity (`title`, `description`)."""


@dataclass(frozen=True)
class KeywordVerdict:
    """The fate of one keyword. `pointer` is a JSON Pointer into the schema, or `table/NAME` for DDL."""

    pointer: str
    fate: KeywordFate
    note: str = ""


@dataclass(frozen=True)
class LoweredContract:
    """A contract as a regular language over text: what every front end (JSON Schema, DDL) hands to the index builder.

    `regex` is in the dialect of Rust's regex-automata without look-around, anchored by its use (the whole output must
    match). Every text of the language satisfies the contract; texts outside may satisfy it too in another spelling.
    """

    regex: str
    verdicts: tuple[KeywordVerdict, ...] = field(default_factory=tuple)
