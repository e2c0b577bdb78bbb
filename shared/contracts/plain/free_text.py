"""Kind `text`: plain text of bounded length, for adapters that teach a style; no format is promised."""

from __future__ import annotations

from shared.contracts.grammar.expression import ANY, repeat
from shared.contracts.grammar.grammar import Grammar
from shared.contracts.plain.alphabet import foreign
from shared.contracts.report import KeywordFate, KeywordVerdict, LoweredContract
from shared.errors import FieldViolation, InvalidInput

MAX_CHARS = 1_000_000
"""More characters than the context of any model holds."""


def lower_text(max_chars: int) -> LoweredContract:
    """Every text of at most `max_chars` code points (0: of any length), the empty one too.

    Raises `InvalidInput` (`CONTRACT_UNSUPPORTED`) for a limit below 0 or above `MAX_CHARS`.
    """
    if not 0 <= max_chars <= MAX_CHARS:
        what = f"must lie in [0, {MAX_CHARS}], got {max_chars}"
        raise InvalidInput(
            "CONTRACT_UNSUPPORTED",
            f"max_chars {what}",
            hint="Leave it 0 for texts that only the token limit bounds.",
            violations=[FieldViolation("max_chars", what)],
        )
    expression = repeat(ANY, 0, max_chars or None)
    fate = KeywordFate.ENFORCED if max_chars else KeywordFate.ANNOTATION
    note = f"at most {max_chars} characters (code points)" if max_chars else "no limit but that of the request"
    verdict = KeywordVerdict("max_chars", fate, f"{note}; no format is promised beyond UTF-8")
    return LoweredContract(Grammar.of(expression), (verdict,), promises_format=False)


def check_text(max_chars: int, text: str) -> str:
    """What is wrong with a text; empty when nothing is."""
    held = foreign(text)
    if held:
        return f"holds {held}, which no answer can hold"
    return f"has {len(text)} characters, the limit is {max_chars}" if max_chars and len(text) > max_chars else ""
