"""Membership in a language, the long runs of one kind of character without an automaton."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from shared.contracts.grammar.charset import CharSet
from shared.contracts.grammar.expression import Chars, Expression, Repeat
from shared.contracts.grammar.machine import Machine


class Acceptor(Protocol):
    """Decides whether a text is in a language."""

    def accepts(self, text: str) -> bool:
        """Whether the whole text is."""


@dataclass(frozen=True)
class Run:
    """The texts of `least` to `most` characters out of a set: lengths are counted, not built."""

    chars: CharSet
    least: int
    most: int | None

    def accepts(self, text: str) -> bool:
        """See `Acceptor`."""
        is_short = self.most is None or len(text) <= self.most
        return is_short and len(text) >= self.least and all(ord(char) in self.chars for char in text)


def acceptor(expression: Expression) -> Acceptor:
    """Who decides about an expression; raises `TooComplex`."""
    match expression:
        case Repeat(Chars(chars), least, most):
            return Run(chars, least, most)
    return Machine.of(expression)
