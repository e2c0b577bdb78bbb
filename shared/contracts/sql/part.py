"""Pieces of a regular expression that know about how many automaton states they cost."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_META = re.compile(r"([\\.+*?()|\[\]{}^$])")


@dataclass(frozen=True)
class Part:
    """An expression in the syntax that Rust's regex-automata and Python's `re` share, safe to concatenate.

    `states` estimates the states that it adds to the determinised, unminimised automaton.
    """

    text: str
    states: int

    def __add__(self, other: Part) -> Part:
        """One after the other."""
        return Part(self.text + other.text, self.states + other.states)

    @property
    def shadow(self) -> Part:
        """The same expression where the automaton reads it in step with another copy: it costs nothing more."""
        return Part(self.text, 0)

    @property
    def optional(self) -> Part:
        """Present or not."""
        return Part(f"(?:{self.text})?", self.states)

    @property
    def many(self) -> Part:
        """Any number of times."""
        return Part(f"(?:{self.text})*", self.states)


def literal(text: str) -> Part:
    """Exactly this text."""
    return Part(_META.sub(r"\\\1", text), len(text.encode()))


def alternatives(parts: Iterable[Part]) -> Part:
    """One of the parts; `NOTHING` when there are none."""
    kept = [part for part in parts if part is not NOTHING]
    if not kept:
        return NOTHING
    return Part("(?:" + "|".join(part.text for part in kept) + ")", sum(part.states for part in kept))


def separated(part: Part, separator: Part) -> Part:
    """`part`, or several with separators between. Both copies are read in step, so the states count once."""
    return (part.shadow + separator).many + part


def words(texts: Iterable[str]) -> Part:
    """One of these texts; common beginnings share their states."""
    ordered = list(dict.fromkeys(texts))
    prefixes = {text[:end] for text in ordered for end in range(1, len(text) + 1)}
    return Part(_tree(ordered), len(prefixes))


def _tree(texts: list[str]) -> str:
    """The texts with common beginnings written once; one that begins another becomes an empty alternative."""
    groups: dict[str, list[str]] = {}
    for text in texts:
        groups.setdefault(text[:1], []).append(text)
    branches = []
    for group in groups.values():
        prefix = _common_prefix(group)
        rest = [text[len(prefix) :] for text in group]
        branches.append(literal(prefix).text + (_tree(rest) if len(rest) > 1 else ""))
    return "(?:" + "|".join(branches) + ")"


def _common_prefix(texts: list[str]) -> str:
    first, last = min(texts), max(texts)
    length = next(
        (end for end, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last))
    )
    return first[:length]


NOTHING = Part("[^\\s\\S]", 0)
"""The expression that matches no text; `alternatives` drops it."""
EMPTY = Part("", 0)
