"""Held-out metrics: pure functions over golden and generated texts."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from shared.contracts.spec import ContractKind

_SQL_TOKEN = re.compile(r"'(?:[^']|'')*'|[A-Za-z_][\w.]*|\d+(?:\.\d+)?|[^\s\w]+")


@dataclass(frozen=True)
class Counts:
    """True positives, and how many leaves the generated and the golden texts hold."""

    matched: int
    generated: int
    golden: int

    def f1(self) -> float:
        """Micro F1: `2 * matched / (generated + golden)`; 1 when both are empty."""
        total = self.generated + self.golden
        return 2 * self.matched / total if total else 1.0


def exact_match(golden: Sequence[str], generated: Sequence[str]) -> float:
    """Share of canonical texts that are equal, 0..1."""
    return sum(g == o for g, o in zip(golden, generated, strict=True)) / len(golden) if golden else 0.0


def field_f1(kind: ContractKind, golden: Sequence[str], generated: Sequence[str]) -> float:
    """Micro F1 over all rows' leaves; see `leaves`."""
    rows = [_count(leaves(kind, g), leaves(kind, o)) for g, o in zip(golden, generated, strict=True)]
    return Counts(
        sum(row.matched for row in rows), sum(row.generated for row in rows), sum(row.golden for row in rows)
    ).f1()


def leaves(kind: ContractKind, text: str) -> Counter[str]:
    """What is compared, by kind.

    JSON: scalar leaves with their path (list order ignored). SQL: its tokens. Choice and regex: the answer as a whole.
    Text: its words, as SQuAD's F1 counts them but as written (Rajpurkar et al. 2016).
    """
    if kind is ContractKind.SQL:
        return Counter(_SQL_TOKEN.findall(text))
    if kind in (ContractKind.CHOICE, ContractKind.REGEX):
        return Counter([text])
    if kind is ContractKind.TEXT:
        return Counter(text.split())
    try:
        value = json.loads(text)
    except ValueError:
        return Counter()
    found: Counter[str] = Counter()
    _collect(value, "", found)
    return found


def _collect(value: object, path: str, found: Counter[str]) -> None:
    if isinstance(value, dict):
        for key, child in value.items():
            _collect(child, f"{path}/{key}", found)
    elif isinstance(value, list):
        for child in value:
            _collect(child, f"{path}/-", found)
    else:
        found[f"{path}={json.dumps(value, ensure_ascii=False)}"] += 1


def _count(golden: Counter[str], generated: Counter[str]) -> Counts:
    return Counts((golden & generated).total(), generated.total(), golden.total())
