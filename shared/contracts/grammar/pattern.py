"""Reads patterns: the regular part of ECMA-262, to be found in a text (as JSON Schema has it) or to match all of it."""

from __future__ import annotations

from shared.contracts.grammar.anchor import BEGIN, END, AnchorError, settled
from shared.contracts.grammar.charset import DOT, CharClass, CharSet, shorthand
from shared.contracts.grammar.expression import (
    ANYTHING,
    Expression,
    alternation,
    chars,
    repeat,
    sequence,
)

MAX_PATTERN_CHARS = 2_000
_MAX_DEPTH = 30
_MAX_COUNT = 10_000
_CONTROL = {"t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r", "0": "\0"}
_SYNTAX = set("^$\\.*+?()[]{}|/-")


class PatternError(Exception):
    """The pattern is malformed or not regular; the text says what and where."""


def parse_pattern(source: str, *, wide: bool = False) -> Expression:
    r"""The language of all texts in which both ECMA-262 and Python's `re` find `source`; `wide`: in which either does.

    They differ about shorthand classes, about `.`, and about `$` before a last line break. What both find in two ways
    may be missing (`\s|\S` in U+FEFF), and what neither finds may be in the wide language.

    Raises `PatternError` for look-around, back references, word boundaries, Unicode properties and anchors that are
    repeated by themselves.
    """
    return _parsed(source, anchored=False, max_chars=MAX_PATTERN_CHARS, wide=wide)


def parse_whole_pattern(source: str, *, max_chars: int | None = MAX_PATTERN_CHARS) -> Expression:
    """The language of all texts that `source` matches from the first character to the last.

    As if each alternative stood between `^` and `$`, which may be written all the same. Raises as `parse_pattern`.
    """
    return _parsed(source, anchored=True, max_chars=max_chars, wide=False)


def _parsed(source: str, *, anchored: bool, max_chars: int | None, wide: bool) -> Expression:
    if max_chars is not None and len(source) > max_chars:
        raise PatternError(f"has {len(source)} characters, the limit is {max_chars}")
    parser = _Parser(source, wide=wide)
    found = parser.alternatives(0)
    if parser.position < len(source):
        raise parser.error("unbalanced )")
    try:
        return settled(found if anchored else sequence([ANYTHING, found, ANYTHING]))
    except AnchorError as err:
        raise PatternError(str(err)) from err


class _Parser:
    """Recursive descent over one pattern."""

    def __init__(self, source: str, *, wide: bool) -> None:
        self._source, self._wide = source, wide
        self.position = 0

    def error(self, what: str) -> PatternError:
        return PatternError(f"{what} at character {self.position}")

    def alternatives(self, depth: int) -> Expression:
        """Branches up to `)` or the end."""
        if depth > _MAX_DEPTH:
            raise self.error(f"more than {_MAX_DEPTH} nested groups")
        branches = [self._branch(depth)]
        while self._take("|"):
            branches.append(self._branch(depth))
        return alternation(branches)

    def _branch(self, depth: int) -> Expression:
        items: list[Expression] = []
        while self.position < len(self._source) and self._peek() not in "|)":
            items.append(self._quantified(depth))
        return sequence(items)

    def _peek(self) -> str:
        return self._source[self.position]

    def _take(self, text: str) -> bool:
        if self._source.startswith(text, self.position):
            self.position += len(text)
            return True
        return False

    def _open_group(self) -> bool:
        if not self._take("("):
            return False
        if self._take("?:"):
            return True
        if self._take("?<") and self.position < len(self._source) and self._peek() not in "=!":
            end = self._source.find(">", self.position)
            if end < 0:
                raise self.error("group name without end")
            self.position = end + 1
            return True
        if self._source.startswith(("?", "<"), self.position) or self._source.startswith("?<", self.position - 2):
            raise self.error("look-around is not supported")
        return True

    def _quantified(self, depth: int) -> Expression:
        item = self._atom(depth)
        least, most = self._bounds()
        if (least, most) != (1, 1) and self.position < len(self._source) and self._peek() in "*+{":
            raise self.error("a repeat of a repeat")
        return repeat(item, least, most)

    def _bounds(self) -> tuple[int, int | None]:
        bounds: tuple[int, int | None] | None = None
        for operator, meaning in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if bounds is None and self._take(operator):
                bounds = meaning
        if bounds is None and self._take("{"):
            bounds = self._counts()
        if bounds is None:
            return 1, 1
        self._take("?")  # a lazy repeat matches the same texts
        return bounds

    def _counts(self) -> tuple[int, int | None]:
        end = self._source.find("}", self.position)
        least, comma, most = self._source[self.position : end].partition(",")
        digits = [text for text in (least, most) if text]
        if end < 0 or not least or not all(text.isascii() and text.isdigit() and len(text) < 7 for text in digits):
            raise self.error("a { that begins no repeat must be written \\{")
        low = int(least)
        high = int(most) if most else (None if comma else low)
        if max(low, high or 0) > _MAX_COUNT or (high is not None and high < low):
            raise self.error(f"a repeat out of order or above {_MAX_COUNT}")
        self.position = end + 1
        return low, high

    def _atom(self, depth: int) -> Expression:
        if self._open_group():
            inside = self.alternatives(depth + 1)
            if not self._take(")"):
                raise self.error("missing )")
            return inside
        if self._take("["):
            return self._members(self._bracket())
        if self._take("."):
            return self._members(DOT)
        if self._take("\\"):
            return self._members(self._escape(in_class=False))
        char = self._peek()
        if char in "*+?{}])":
            raise self.error(f"{char} must be escaped here")
        self.position += 1
        return {"^": BEGIN, "$": self._end}.get(char, chars(CharSet.chars(char)))

    @property
    def _end(self) -> Expression:
        """Python finds `$` before a last line break, too."""
        return sequence([repeat(chars(CharSet.chars("\n")), 0, 1), END]) if self._wide else END

    def _members(self, found: CharClass) -> Expression:
        return chars(found.wide if self._wide else found.narrow)

    def _bracket(self) -> CharClass:
        negated = self._take("^")
        members = CharClass.exact(CharSet(()))
        while not self._take("]"):
            if self.position >= len(self._source):
                raise self.error("missing ]")
            low = self._class_atom()
            if self._source.startswith("-", self.position) and not self._source.startswith("-]", self.position):
                self.position += 1
                if self.position >= len(self._source):
                    raise self.error("missing ]")
                members |= CharClass.exact(self._range(low, self._class_atom()))
            else:
                members |= low
        return ~members if negated else members

    def _range(self, low: CharClass, high: CharClass) -> CharSet:
        ends = [bound.narrow.ranges for bound in (low, high)]
        if any(len(ranges) != 1 or ranges[0][0] != ranges[0][1] for ranges in ends) or ends[0][0][0] > ends[1][0][0]:
            raise self.error("a character range out of order or with a class as its end")
        return CharSet(((ends[0][0][0], ends[1][0][0]),))

    def _class_atom(self) -> CharClass:
        if self._take("\\"):
            return self._escape(in_class=True)
        char = self._peek()
        self.position += 1
        return CharClass.exact(CharSet.chars(char))

    def _escape(self, *, in_class: bool) -> CharClass:
        if self.position >= len(self._source):
            raise self.error("a \\ at the end")
        letter = self._peek()
        self.position += 1
        if letter in "dDwWsS":
            return shorthand(letter)
        if in_class and letter == "b":
            return CharClass.exact(CharSet.chars("\b"))
        if letter in _CONTROL and not (letter == "0" and self._source[self.position : self.position + 1].isdigit()):
            return CharClass.exact(CharSet.chars(_CONTROL[letter]))
        if letter in "xu":
            return CharClass.exact(CharSet.chars(self._hex(2 if letter == "x" else 4)))
        if letter.isascii() and letter.isalnum():
            kind = "a back reference" if letter.isdigit() else f"\\{letter}"
            raise self.error(f"{kind} is not supported")
        if letter not in _SYNTAX and letter.isascii() and not letter.isprintable():
            raise self.error("an escaped control character")
        return CharClass.exact(CharSet.chars(letter))

    def _hex(self, digits: int) -> str:
        text = self._source[self.position : self.position + digits]
        if len(text) < digits or any(char not in "0123456789abcdefABCDEF" for char in text):
            raise self.error(f"\\{'x' if digits == 2 else 'u'} needs {digits} hexadecimal digits")
        self.position += digits
        return chr(int(text, 16))
