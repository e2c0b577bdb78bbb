"""The inside of an object: members in their order, each there or not, with commas between."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from shared.contracts.grammar.expression import (
    EMPTY,
    NOTHING,
    Expression,
    Reference,
    Text,
    alternation,
    optional,
    repeat,
    sequence,
)

_MAX_COUNTED = 4_000
_COMMA = Text(",")


class MemberList:
    """`members` are (key and value, required); `extras` is one undeclared member, or `NOTHING`.

    `rule` puts an expression into a rule of its own, so that counting members does not copy them.
    """

    def __init__(
        self,
        members: Sequence[tuple[Expression, bool]],
        extras: Expression,
        least: int,
        most: int | None,
        rule: Callable[[str, Expression], Reference],
    ) -> None:
        self._members = [(member, required) for member, required in members if member != NOTHING]
        self._extras, self._rule = extras, rule
        needed = sum(required for _, required in self._members)
        possible = None if extras != NOTHING else len(self._members)
        self._least = 0 if least <= needed else least
        self._most = None if most is None or (possible is not None and possible <= most) else most

    def expression(self) -> Expression | None:
        """All lists of the allowed size; None when counting them takes too many rules."""
        if self._most is None and self._least <= 1:
            return self._uncounted(may_be_empty=self._least == 0)
        cap = self._least if self._most is None else self._most
        if (cap + 1) * (len(self._members) + 1) > _MAX_COUNTED:
            return None
        return _Counted(self._members, self._extras, self._least, self._most, self._rule).expression()

    def _uncounted(self, *, may_be_empty: bool) -> Expression:
        members = list(self._members)
        if self._extras != NOTHING:
            following = repeat(sequence([_COMMA, self._extras]), 0, None)
            members.append((sequence([self._extras, following]), False))
        pivot = next((i for i, (_, required) in enumerate(members) if required), None)
        if not members:
            return EMPTY if may_be_empty else NOTHING
        if pivot is None:
            some = _some_of([member for member, _ in members])
            return optional(some) if may_be_empty else some
        # Commas need to know whether something stands on their other side: a required member always does.
        before = [optional(sequence([member, _COMMA])) for member, _ in members[:pivot]]
        after = [
            sequence([_COMMA, member]) if required else optional(sequence([_COMMA, member]))
            for member, required in members[pivot + 1 :]
        ]
        return sequence([*before, members[pivot][0], *after])


def _some_of(members: Sequence[Expression]) -> Expression:
    """At least one of optional members: what matters is which is the *last*, as that one has no comma.

    Either it is in the right half, and the left half is a plain list of optional "member comma", or it is in the left
    half: O(n log n) places. What was left out before is forgotten, so an automaton stays linear in the members; "which
    is the first" would need a copy of the rest for each.
    """
    if len(members) == 1:
        return members[0]
    middle = len(members) // 2
    left = [optional(sequence([member, _COMMA])) for member in members[:middle]]
    return alternation([sequence([*left, _some_of(members[middle:])]), _some_of(members[:middle])])


class _Counted:
    """One rule for each member and each number of members that stand before it."""

    def __init__(
        self,
        members: Sequence[tuple[Expression, bool]],
        extras: Expression,
        least: int,
        most: int | None,
        rule: Callable[[str, Expression], Reference],
    ) -> None:
        self._members, self._extras, self._least, self._most, self._rule = members, extras, least, most, rule
        self._cap = least if most is None else most
        self._done: dict[tuple[int, int], Expression] = {}

    def expression(self) -> Expression:
        """The whole list."""
        for index in reversed(range(len(self._members) + 1)):
            for count in range(min(index, self._cap) + 1):
                self._done[index, count] = self._from(index, count)
        return self._done[0, 0]

    def _from(self, index: int, count: int) -> Expression:
        """What may follow when `count` of the first `index` members are there; the cap also stands for more."""
        if index == len(self._members):
            return self._end(count)
        member, required = self._members[index]
        branches = [] if required else [self._done[index + 1, count]]
        if self._most is None or count < self._most:
            comma = [_COMMA] if count else []
            branches.append(sequence([*comma, member, self._done[index + 1, min(count + 1, self._cap)]]))
        found = alternation(branches)
        is_small = found in (NOTHING, EMPTY) or isinstance(found, Reference)
        return found if is_small or (index, count) == (0, 0) else self._rule("members", found)

    def _end(self, count: int) -> Expression:
        least = max(self._least - count, 0)
        most = None if self._most is None else self._most - count
        if self._extras == NOTHING or most == 0:
            return EMPTY if least == 0 else NOTHING
        more = sequence([_COMMA, self._extras])
        if count:
            return repeat(more, least, most)
        some = sequence([self._extras, repeat(more, max(least - 1, 0), None if most is None else most - 1)])
        return some if least else optional(some)
