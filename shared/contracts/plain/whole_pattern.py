"""Kind `regex`: a pattern that the whole answer matches."""

from __future__ import annotations

from functools import lru_cache

from shared.contracts.grammar.expression import NOTHING, Alternation, Expression, Repeat, Sequence
from shared.contracts.grammar.grammar import Grammar
from shared.contracts.grammar.machine import Machine
from shared.contracts.grammar.pattern import PatternError, parse_whole_pattern
from shared.contracts.plain.alphabet import foreign
from shared.contracts.report import KeywordFate, KeywordVerdict, LoweredContract
from shared.errors import FieldViolation, InvalidInput

MAX_POSITIONS = 4_000
"""Single-character places with every counted repeat written out. Checking a text of n characters takes at most n times
as many steps, whatever the pattern, since nothing backtracks."""
MAX_CHOICES_AT_ONCE = 256
"""Places that one character may stand at, with every counted repeat written out: 4,000 for `(a?b?){2000}`, which takes
a minute to compile and 3 s to check 2,000 characters; 1 for `.{0,4000}`."""
_NOTE = r"matches the whole answer; \d and \w are ASCII, as in ECMA-262; of controls only \b \t \n \f \r may occur"


def lower_pattern(pattern: str) -> LoweredContract:
    """The language of a pattern that is anchored at both ends, in characters that an answer can hold.

    Raises `InvalidInput` at the path `pattern`: `CONTRACT_UNSUPPORTED` for what is malformed, not regular or matches no
    such text, with its place; `CONTRACT_TOO_LARGE` above `MAX_POSITIONS`.
    """
    expression = _expression(pattern)
    verdict = KeywordVerdict("pattern", KeywordFate.ENFORCED, _NOTE)
    return LoweredContract(Grammar.of(expression), (verdict,))


def check_pattern(pattern: str, text: str) -> str:
    """Why the pattern does not match the whole text; empty when it does."""
    held = foreign(text)
    if held:
        return f"holds {held}, which no answer can hold"
    return "" if _machine(pattern).accepts(text) else "is not matched by the pattern from end to end"


@lru_cache(maxsize=256)
def _machine(pattern: str) -> Machine:
    return Machine.of(_expression(pattern))


def _expression(pattern: str) -> Expression:
    if not pattern:
        raise _refusal("is required")
    try:
        expression = parse_whole_pattern(pattern)
    except PatternError as err:
        raise _refusal(str(err)) from err
    if expression == NOTHING:
        raise _refusal("matches no text that an answer can hold")
    if expression.positions > MAX_POSITIONS:
        what = f"takes {expression.positions} places with its repeats written out, the limit is {MAX_POSITIONS}"
        raise _refusal(what, "CONTRACT_TOO_LARGE")
    if widest(expression) > MAX_CHOICES_AT_ONCE:
        what = f"lets one character stand at {widest(expression)} places, the limit is {MAX_CHOICES_AT_ONCE}"
        raise _refusal(f"{what}: repeat what cannot be empty", "CONTRACT_TOO_LARGE")
    return expression


def widest(expression: Expression) -> int:
    """Most places at which a character may stand where some part of the expression begins."""
    match expression:
        case Sequence(items):
            run, most = 0, max(map(widest, items), default=0)
            for item in reversed(items):
                run = _first(item) + (run if item.min_length == 0 else 0)
                most = max(most, run)
            return most
        case Alternation(branches):
            return max(_first(expression), *map(widest, branches))
        case Repeat(item):
            return max(_first(expression), widest(item))
    return 1


def _first(expression: Expression) -> int:
    """Places at which the first character may stand: Glushkov's `first` set, counted repeats written out."""
    match expression:
        case Sequence(items):
            count = 0
            for item in items:
                count += _first(item)
                if item.min_length:
                    break
            return count
        case Alternation(branches):
            return sum(map(_first, branches))
        case Repeat(item, least, most):
            return _first(item) * (1 if item.min_length else max(least, most or 1))
    return 1


def _refusal(what: str, reason: str = "CONTRACT_UNSUPPORTED") -> InvalidInput:
    return InvalidInput(
        reason,
        f"The pattern {what}.",
        hint="Write a regular expression of ECMA-262 without look-around, back references and word boundaries.",
        violations=[FieldViolation("pattern", what)],
    )
