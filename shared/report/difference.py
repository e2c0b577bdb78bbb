"""Where an answer differs from the golden output."""

from __future__ import annotations

import enum
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Indel

_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_WORD = re.compile(r"\w+(?:[.,:/-]\w+)*|\s+|.", re.DOTALL)
"""A word, number or date whole, so that an amount is not patched together from digits of another."""


class SpanKind(enum.StrEnum):
    """In which of the two texts a span stands."""

    BOTH = "both"
    GOLDEN = "golden"
    """The answer lacks it."""
    ANSWER = "answer"
    """The golden output lacks it."""


@dataclass(frozen=True)
class Span:
    """A part of either text, or of both."""

    kind: SpanKind
    text: str


def differences(golden: str, answer: str) -> tuple[Span, ...]:
    """Both texts as one: without the spans of ANSWER it is the golden one, without those of GOLDEN the answer.

    By lines, so that values of one member are not matched with those of another, then by words within lines that were
    replaced. Each by a longest common subsequence (Hyyro's bit-parallel algorithm), in time and memory of the product
    of both lengths over 64.
    """
    return tuple(itertools.chain.from_iterable(_spans(*pair) for pair in _pairs(golden, answer, _LINE)))


def _spans(golden: str, answer: str) -> Iterator[Span]:
    for left, right in _pairs(golden, answer, _WORD) if golden and answer else [(golden, answer)]:
        if left == right:
            yield Span(SpanKind.BOTH, left)
            continue
        if left:
            yield Span(SpanKind.GOLDEN, left)
        if right:
            yield Span(SpanKind.ANSWER, right)


def _pairs(golden: str, answer: str, token: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    """Both texts in order, piece by piece: pieces are equal, or what stands there in one and in the other."""
    left, right = token.findall(golden), token.findall(answer)
    steps = Indel.opcodes(left, right)
    for is_equal, group in itertools.groupby(steps, key=lambda step: step.tag == "equal"):
        mine, other = "", ""
        for step in group:
            mine += _joined(left, step.src_start, step.src_end)
            other += _joined(right, step.dest_start, step.dest_end)
        assert not is_equal or mine == other
        yield mine, other


def _joined(tokens: Sequence[str], begin: int, end: int) -> str:
    return "".join(tokens[begin:end])
