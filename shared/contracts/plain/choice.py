"""Kind `choice`: the answer is one of a list of texts, as in classification."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from shared.contracts.grammar.expression import Text, alternation
from shared.contracts.grammar.grammar import Grammar
from shared.contracts.plain.alphabet import foreign
from shared.contracts.report import KeywordFate, KeywordVerdict, LoweredContract
from shared.errors import FieldViolation, InvalidInput

MAX_CHOICES = 4_096
"""More classes than any golden dataset teaches; 4,096 answers of 19 characters compile in 2 s."""
MAX_CHOICE_CHARS = 2_000
"""Longer than any class has a name, and what the context of a small model holds."""
_MAX_FAULTS = 100


def lower_choice(choices: Sequence[str]) -> LoweredContract:
    """The language that holds exactly the choices.

    Raises `InvalidInput` (`CONTRACT_UNSUPPORTED`) naming each choice that is empty, a repeat, longer than
    `MAX_CHOICE_CHARS` or holds a character that no answer can hold, and the list itself when it is empty or longer than
    `MAX_CHOICES`.
    """
    faults = _faults(choices)
    if faults:
        raise InvalidInput(
            "CONTRACT_UNSUPPORTED",
            f"{len(faults)} fault(s) in the choices, the first: {faults[0].path} {faults[0].description}",
            hint="List each answer once, in full, as it is to be written.",
            violations=faults[:_MAX_FAULTS],
            metadata={"faults": str(len(faults))},
        )
    expression = alternation(Text(choice) for choice in choices)
    verdict = KeywordVerdict("choices", KeywordFate.ENFORCED, f"{len(choices)} answer(s), spelled exactly so")
    return LoweredContract(Grammar.of(expression), (verdict,))


def _faults(choices: Sequence[str]) -> list[FieldViolation]:
    if not 1 <= len(choices) <= MAX_CHOICES:
        return [FieldViolation("choices", f"holds {len(choices)} answers, it must hold 1 to {MAX_CHOICES}")]
    first: dict[str, int] = {}
    faults = []
    for index, choice in enumerate(choices):
        if first.setdefault(choice, index) != index:
            faults.append(FieldViolation(f"choices[{index}]", f"repeats choices[{first[choice]}]"))
        elif not choice:
            faults.append(FieldViolation(f"choices[{index}]", "is empty"))
        elif len(choice) > MAX_CHOICE_CHARS:
            what = f"has {len(choice)} characters, the limit is {MAX_CHOICE_CHARS}"
            faults.append(FieldViolation(f"choices[{index}]", what))
        elif foreign(choice):
            faults.append(FieldViolation(f"choices[{index}]", f"holds {foreign(choice)}, which no answer can hold"))
    return faults


def check_choice(choices: Sequence[str], text: str) -> str:
    """Why the text is none of the choices; empty when it is one."""
    if text in choices:
        return ""
    near = difflib.get_close_matches(text[:200], choices, 1)
    return f"is none of the {len(choices)} choices" + (f"; the nearest is {near[0]!r}" if near else "")
