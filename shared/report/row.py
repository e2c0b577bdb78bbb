"""Held-out rows with their answers, ready to be looked at."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from goldsmith.trainer.v1 import evaluation_pb2
from shared.report.difference import Span, SpanKind, differences
from shared.report.figure import Figures
from shared.report.text import CutText, cut, laid_out, shown

_BREAK = re.compile(r"((?:\n|^)[^\S\n]*)")
_OTHERS: Mapping[Literal["unconstrained", "live", "base"], str] = {
    "unconstrained": "Its free answer, without the output contract",
    "live": "Answer of the revision that was live",
    "base": "Answer of the base model with the instructions",
}


@dataclass(frozen=True)
class Side:
    """A text beside another, with what differs."""

    path: str
    spans: Sequence[Span]
    left_out_count: int


@dataclass(frozen=True)
class Answer:
    """One answer beside the golden output."""

    path: str
    label: str
    golden: Side
    own: Side


@dataclass(frozen=True)
class ExampleRow:
    """One row of the report."""

    path: str
    input: CutText
    answer: Answer
    others: Sequence[Answer]


def example_rows(figures: Figures) -> list[ExampleRow]:
    """All that were gathered, in their order."""
    return [_row(f"rows[{place}]", row) for place, row in enumerate(figures.value("rows"))]


def _row(path: str, row: evaluation_pb2.EvaluatedRow) -> ExampleRow:
    source = cut(row.input)
    return ExampleRow(
        path=path,
        input=CutText(shown(source.text), source.left_out_count),
        answer=_answer(path, row, "adapter", "Answer"),
        others=[_answer(path, row, name, label) for name, label in _OTHERS.items() if row.HasField(name)],
    )


def _answer(path: str, row: evaluation_pb2.EvaluatedRow, name: str, label: str) -> Answer:
    golden, own = cut(laid_out(row.golden_output)), cut(laid_out(getattr(row, name).text))
    spans = differences(golden.text, own.text)
    return Answer(
        path=f"{path}.{name}",
        label=label,
        golden=Side(f"{path}.golden_output", _side(spans, SpanKind.GOLDEN), golden.left_out_count),
        own=Side(f"{path}.{name}.text", _side(spans, SpanKind.ANSWER), own.left_out_count),
    )


def _side(spans: Sequence[Span], kind: SpanKind) -> list[Span]:
    own = (span for span in spans if span.kind in (SpanKind.BOTH, kind))
    return [Span(span.kind, shown(span.text)) for whole in own for span in _unmarked_breaks(whole)]


def _unmarked_breaks(span: Span) -> Iterator[Span]:
    """Line ends and the indent after them are of no kind: a stroke through them shows nothing."""
    if span.kind is SpanKind.BOTH or span.text.isspace():
        yield span
        return
    for part in _BREAK.split(span.text):
        if part:
            yield Span(SpanKind.BOTH if part.isspace() else span.kind, part)
