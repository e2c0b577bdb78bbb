"""How the SQL contracts say no."""

from __future__ import annotations

import re
from collections.abc import Sequence

from shared.errors import FieldViolation, InvalidInput

_HINT = "Send CREATE TABLE statements only, with columns, types and keys."


def unsupported(*violations: FieldViolation, hint: str = _HINT) -> InvalidInput:
    """The DDL cannot become a contract; the message names the first fault, the violations all of them."""
    first = violations[0]
    return InvalidInput(
        "CONTRACT_UNSUPPORTED",
        f"{first.path}: {first.description}",
        hint=hint,
        violations=violations,
    )


def violated(violations: Sequence[str], hint: str = "") -> InvalidInput:
    """The statement is not in the contract's language; `hint` says what the contract's owner may declare."""
    return InvalidInput(
        "CONTRACT_VIOLATED",
        f"The SQL is outside the contract: {violations[0]}",
        hint=hint,
        violations=[FieldViolation("output", text) for text in violations],
    )


def one_line(err: Exception) -> str:
    """What a library's error says, without colours and control characters, in at most 200 characters."""
    return re.sub(r"\x1b\[\d+m|[\x00-\x1f\x7f]+", " ", str(err)).strip()[:200] or type(err).__name__
