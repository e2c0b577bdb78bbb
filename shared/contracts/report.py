"""What became of each part of a contract when it was compiled: the report its owner reads."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from shared.contracts.grammar.grammar import Grammar


class KeywordFate(enum.StrEnum):
    """What the guarantee does with one keyword."""

    ENFORCED = "enforced"
    """No output can break it: the engine holds it token by token."""
    CHECKED = "checked"
    """Verified on the finished text; a failure is retried a bounded number of times, then an error, never an answer."""
    ANNOTATION = "annotation"
    """Says nothing about validity (`title`, `description`)."""


@dataclass(frozen=True)
class KeywordVerdict:
    """The fate of one keyword. `pointer` is a JSON Pointer into the schema, or `table/NAME` for DDL."""

    pointer: str
    fate: KeywordFate
    note: str = ""


class Guarantee(enum.StrEnum):
    """What is promised of every answer, whatever the weights."""

    CERTAIN = "certain"
    """Complete and valid whenever `max_tokens >= min_tokens`."""
    SOUND = "sound"
    """Never invalid; an answer that breaks a checked keyword is an error in its place."""
    NONE = "none"
    """UTF-8 within its length, and no more: kind `text`."""


class EngineName(enum.StrEnum):
    """Who holds a contract token by token."""

    OUTLINES = "outlines"
    """outlines_core's index: a finite automaton over tokens."""
    LLGUIDANCE = "llguidance"
    """llguidance's parser, with our own shortest completions for the budget."""


@dataclass(frozen=True)
class LoweredContract:
    """A contract as a language over text: what every front end (JSON Schema, DDL) hands to the engines.

    Every text of the grammar satisfies what is enforced of the contract; texts outside may satisfy it in another
    spelling. `guarantee` is `NONE` only for plain text; otherwise it follows from the verdicts.
    """

    grammar: Grammar
    verdicts: tuple[KeywordVerdict, ...]
    promises_format: bool = True
    largest: str = ""
    """JSON Pointer of the part that most of the grammar is for; empty for the whole, or where nothing has pointers."""

    @property
    def guarantee(self) -> Guarantee:
        """What an engine that holds the grammar to the end makes of it."""
        if not self.promises_format:
            return Guarantee.NONE
        is_checked = any(verdict.fate is KeywordFate.CHECKED for verdict in self.verdicts)
        return Guarantee.SOUND if is_checked else Guarantee.CERTAIN


@dataclass(frozen=True)
class CompileReport:
    """What the owner of a contract reads: everything about its compiled form for one base model's vocabulary."""

    guarantee: Guarantee
    engine: EngineName
    state_count: int
    """States of the token automaton, or of the grammar's networks: a measure of its size."""
    min_tokens: int
    """Fewest tokens of a complete answer, the stop token included; a smaller `max_tokens` is refused."""
    typical_tokens: int
    """Median length of random answers, the stop token included; 0 when it is not known."""
    max_tokens: int | None
    """Most tokens that an answer can take, the stop token included; None when there is no limit below 2**31."""
    verdicts: tuple[KeywordVerdict, ...]
