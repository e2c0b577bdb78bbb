"""From answers to row scores."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence

from shared.contracts.spec import ContractKind, ContractSpec
from shared.errors import FieldViolation
from trainer_svc.domain.row_score import FieldCount, Generated, RowScore
from trainer_svc.evaluation.alignment import count_fields
from trainer_svc.evaluation.execution import executes_alike
from trainer_svc.evaluation.filler import has_filler
from trainer_svc.evaluation.rouge import rouge_l
from trainer_svc.evaluation.statement import canonical_statement, is_select
from trainer_svc.evaluation.tree import read_tree

Check = Callable[[str], Sequence[FieldViolation]]
"""Every fault of a text under the contract."""

_SQL_TOKEN = re.compile(r"'(?:[^']|'')*'|[A-Za-z_][\w.]*|\d+(?:\.\d+)?|[^\s\w]+")


def score_rows(
    spec: ContractSpec,
    check: Check,
    golden: Sequence[str],
    generated: Sequence[Generated],
    *,
    database_sql: str = "",
) -> list[RowScore]:
    """One score a row, in order.

    An answer may be any text. So may a golden output: one that breaks the contract stays in the holdout as a miss, and
    no answer equals one that is no JSON.

    Leaves are, by kind: scalars of JSON; SQL's tokens in canonical spelling; the words of a text, as SQuAD's F1 counts
    them but as written (Rajpurkar et al. 2016); a choice or an answer to a regular expression as a whole.

    Raises:
        InvalidInput: FIELD_INVALID, `database_sql` cannot be run, or asks for the tables of a DDL that cannot.
    """
    texts = [answer.text for answer in generated]
    executed: Sequence[bool | None] = [None] * len(texts)
    if spec.kind is ContractKind.SQL:
        executed = executes_alike(spec, database_sql, golden, texts)
    return [
        _score(spec, check, gold, answer, alike)
        for gold, answer, alike in zip(golden, generated, executed, strict=True)
    ]


def _score(spec: ContractSpec, check: Check, golden: str, answer: Generated, alike: bool | None) -> RowScore:
    is_exact, fields = _compare(spec, golden, answer.text)
    is_parsed = is_select(answer.text, spec.dialect) if spec.kind is ContractKind.SQL else None
    return RowScore(
        is_valid=is_parsed is not False and not check(answer.text),
        is_exact=is_exact,
        fields=fields,
        has_filler=has_filler(spec, golden, answer.text),
        ended=answer.ended,
        token_count=answer.token_count,
        is_parsed=is_parsed,
        executes_alike=alike,
        rouge_l=rouge_l(golden, answer.text) if spec.kind is ContractKind.TEXT else None,
    )


def _compare(spec: ContractSpec, golden: str, generated: str) -> tuple[bool, tuple[FieldCount, ...]]:
    """Whether they are equal, and their leaves."""
    if spec.kind is ContractKind.JSON:
        tree, other = read_tree(golden), read_tree(generated)
        return tree is not None and tree == other, count_fields(tree, other)
    text, answer = (unicodedata.normalize("NFC", side) for side in (golden, generated))
    if spec.kind is ContractKind.SQL:
        text, answer = (canonical_statement(spec, side) for side in (text, answer))
        return text == answer, _count_words(_SQL_TOKEN.findall(text), _SQL_TOKEN.findall(answer))
    if spec.kind is ContractKind.TEXT:
        return text == answer, _count_words(text.split(), answer.split())
    return text == answer, (_count_whole(text, answer),)


def _count_words(golden: Sequence[str], generated: Sequence[str]) -> tuple[FieldCount, ...]:
    """As multisets: a word has no place of its own, so that none is mismatched."""
    wanted, got = Counter(golden), Counter(generated)
    matched = (wanted & got).total()
    return (FieldCount("", matched=matched, omitted=wanted.total() - matched, invented=got.total() - matched),)


def _count_whole(golden: str, generated: str) -> FieldCount:
    if golden == generated:
        return FieldCount("", matched=1)
    return FieldCount("", mismatched=1) if generated else FieldCount("", omitted=1)
