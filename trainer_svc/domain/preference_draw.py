"""Which held-out rows reviewers compare, in which order, and what stands on which side."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from trainer_svc.domain.evaluation import EvaluatedRow
from trainer_svc.domain.preference import PreferencePair

_ID_DIGITS = 16
"""64 bits: two of a study's 1,000 pairs share an id once in 10^13 studies."""


@dataclass(frozen=True)
class CommonRows:
    """Held-out rows that both revisions answered."""

    count: int
    equal_count: int
    """Of these, both answered alike."""
    different: tuple[tuple[EvaluatedRow, EvaluatedRow], ...]
    """The others, as a answered them and as b did."""


def common_rows(rows_a: Iterable[EvaluatedRow], rows_b: Iterable[EvaluatedRow]) -> CommonRows:
    """Joins by the digest of input and golden output. Alike is the same text, or both equal to the golden output."""
    others = {row.key: row for row in rows_b}
    first = {row.key: row for row in rows_a if row.key in others}
    different = tuple((row, others[key]) for key, row in first.items() if not _are_alike(row, others[key]))
    return CommonRows(len(first), len(first) - len(different), different)


def _are_alike(row: EvaluatedRow, other: EvaluatedRow) -> bool:
    one, two = row.adapter, other.adapter
    return one.text == two.text or (one.score.is_exact and two.score.is_exact)


def draw_pairs(rows: CommonRows, max_pairs: int, seed: int, secret: bytes) -> tuple[PreferencePair, ...]:
    """At most `max_pairs` rows by the seed; ids, order and sides by the secret, which nobody keeps.

    Either revision is on the left as often as on the right, give or take one pair: reviewers who like one side more
    then favour neither. HMAC-SHA256 (RFC 2104) of the row's key stands for random bits.
    """
    drawn = sorted(rows.different, key=lambda pair: hashlib.sha256(f"{seed}\n{pair[0].key}".encode()).digest())
    chosen = sorted(drawn[:max_pairs], key=lambda pair: _mark(secret, "side", pair[0].key))
    turn = int(_mark(secret, "first", ""), 16) % 2
    pairs = [
        PreferencePair(
            id=_mark(secret, "id", row.key)[:_ID_DIGITS],
            input=row.input,
            answer_a=row.adapter.text,
            answer_b=other.adapter.text,
            is_a_left=(place + turn) % 2 == 0,
        )
        for place, (row, other) in enumerate(chosen)
    ]
    return tuple(sorted(pairs, key=lambda pair: pair.id))


def _mark(secret: bytes, purpose: str, key: str) -> str:
    return hmac.digest(secret, f"{purpose}\n{key}".encode(), "sha256").hex()
