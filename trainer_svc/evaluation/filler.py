"""Filler: text around an answer, like "Sure, here is" or a code fence."""

from __future__ import annotations

import json
import re

from shared.contracts.spec import ContractKind, ContractSpec
from trainer_svc.curation.chatter import chatter
from trainer_svc.evaluation.statement import is_select

_JSON_START = re.compile(r"""[\[{"0-9-]|true\b|false\b|null\b""")
_SQL_START = re.compile(r"(?i)\(|select\b|with\b|values\b")
_SQL_END = re.compile(r";|\n\s*\n|```")
_MAX_ENDS = 20
"""Places where a statement may end and filler begin that are tried."""


def has_filler(spec: ContractSpec, golden: str, generated: str) -> bool:
    """Whether text stands around the first whole JSON value, SQL statement or choice of an answer.

    A broken value without anything around it is no filler, nor is a wrong choice. An answer of another kind has filler
    when it holds the golden output and more (regular expressions), or speaks to a person (text).
    """
    text = generated.strip()
    match spec.kind:
        case ContractKind.JSON:
            return _around_json(text)
        case ContractKind.SQL:
            return _around_statement(text, spec.dialect)
        case ContractKind.CHOICE:
            return text not in _stripped(spec.choices) and any(_holds(text, choice) for choice in spec.choices)
        case ContractKind.REGEX:
            return _holds(text, golden)
        case ContractKind.TEXT:
            return bool(chatter(generated, golden))


def _around_json(text: str) -> bool:
    if not text:
        return False
    if not _JSON_START.match(text):
        return True
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return False
    return end < len(text)


def _around_statement(text: str, dialect: str) -> bool:
    if not text or is_select(text, dialect):
        return False
    if not _SQL_START.match(text):
        return True
    ends = [found for _, found in zip(range(_MAX_ENDS), _SQL_END.finditer(text), strict=False)]
    return any(text[found.end() :].strip() and is_select(text[: found.start()], dialect) for found in ends)


def _stripped(choices: tuple[str, ...]) -> frozenset[str]:
    return frozenset(choice.strip() for choice in choices)


def _holds(text: str, answer: str) -> bool:
    """Whether an answer stands in a text as whole words, with something around it."""
    answer = answer.strip()
    return text != answer and bool(answer) and bool(re.search(rf"(?<!\w){re.escape(answer)}(?!\w)", text))
