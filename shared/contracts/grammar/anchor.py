"""Anchors inside of patterns: which texts an expression matches where `^` and `$` hold."""

from __future__ import annotations

from collections.abc import Iterable

from shared.contracts.grammar.charset import CharSet
from shared.contracts.grammar.expression import (
    EMPTY,
    NOTHING,
    Alternation,
    Chars,
    Expression,
    Repeat,
    Sequence,
    alternation,
    chars,
    repeat,
    sequence,
)

BEGIN, END = (Chars(CharSet.of([(code, code)])) for code in (0xD800, 0xDFFF))
"""`^` and `$` as characters of their own: surrogates, which no text of ours holds."""

_MARKS = BEGIN.chars | END.chars
_MAX_POSITIONS = 2_000
"""Of what is repeated: it is written out up to three times, and what holds it as well."""
_Needs = tuple[bool, bool]
"""Whether nothing may stand before, and whether nothing may follow."""
_FREE: _Needs = (False, False)
_Sorted = dict[_Needs, Expression]
"""Texts without marks, by what they need of their surroundings; none that is `NOTHING`."""


class AnchorError(Exception):
    """An anchor stands where its meaning is not worked out; the text says where."""


def settled(expression: Expression) -> Expression:
    """The texts of an expression in which `BEGIN` and `END` are anchors; raises `AnchorError`."""
    return alternation(_sorted(expression).values())


def _sorted(expression: Expression) -> _Sorted:
    if not _has_marks(expression):
        return _either([{_FREE: expression}])
    found: _Sorted = {_FREE: EMPTY}
    match expression:
        case Chars(members):
            marks: list[_Sorted] = [{needs: EMPTY} for mark, needs in _NEEDS.items() if mark.chars & members]
            found = _either([{_FREE: chars(members - _MARKS)}, *marks])
        case Sequence(items):
            for item in items:
                found = _joined(found, _sorted(item))
        case Alternation(branches):
            found = _either(_sorted(branch) for branch in branches)
        case Repeat(item, least, most):
            found = _repeated(_sorted(item), least, most)
    return found


def _has_marks(expression: Expression) -> bool:
    match expression:
        case Chars(members):
            return bool(members & _MARKS)
        case Sequence(parts) | Alternation(parts):
            return any(map(_has_marks, parts))
        case Repeat(item):
            return _has_marks(item)
    return False


def _either(options: Iterable[_Sorted]) -> _Sorted:
    found: dict[_Needs, list[Expression]] = {}
    for option in options:
        for needs, expression in option.items():
            if expression != NOTHING:
                found.setdefault(needs, []).append(expression)
    return {needs: alternation(branches) for needs, branches in found.items()}


def _joined(left: _Sorted, right: _Sorted) -> _Sorted:
    """One after the other: what needs a border there leaves only the empty text to its neighbour."""
    return _either(
        {
            (first[0] or second[0], first[1] or second[1]): sequence(
                [_if_empty(before) if second[0] else before, _if_empty(after) if first[1] else after]
            )
        }
        for first, before in left.items()
        for second, after in right.items()
    )


def _if_empty(expression: Expression) -> Expression:
    return NOTHING if expression.min_length else EMPTY


def _repeated(item: _Sorted, least: int, most: int | None) -> _Sorted:
    """Only the first and the last round can need a border: all between them are free.

    Rounds without text may stand anywhere, as long as they need nothing.
    """
    if most == 1:
        return item if least else _either([{_FREE: EMPTY}, item])
    if any(needs != _FREE and expression.min_length == 0 for needs, expression in item.items()):
        raise AnchorError("^ or $ is repeated by itself")
    if sum(expression.positions for expression in item.values()) > _MAX_POSITIONS:
        raise AnchorError("^ or $ stands inside of repeats of repeats")
    between = repeat(item.get(_FREE, NOTHING), max(least - 2, 0), None if most is None else most - 2)
    options = [_joined(_joined(item, {_FREE: between}), item)]
    if least <= 1:
        options.append(item)
    if least == 0:
        options.append({_FREE: EMPTY})
    return _either(options)


_NEEDS = {BEGIN: (True, False), END: (False, True)}
