"""The longest text of a grammar."""

from __future__ import annotations

from functools import lru_cache

from shared.contracts.grammar.network import ENDLESS, Call, Choice, Item, Loop, Network, Pair, RuleNetwork, Unit
from shared.contracts.grammar.utf8 import ByteNode


def longest_bytes(network: Network) -> int | None:
    """Bytes of the longest text; None when there is none: a rule recurs, or a part repeats without end."""
    if network.is_recursive:
        return None
    longest: dict[Item, int | None] = {}
    rules: dict[RuleNetwork, int | None] = {}
    for rule in network.rules.values():  # each after those that it calls, where nothing recurs
        for part in rule.parts:
            longest[part] = _longest(part, longest, rules)
        rules[rule] = longest.get(rule.body, 0)
    return rules[network.root]


def _longest(  # noqa: PLR0911  # one for each kind
    part: Item, longest: dict[Item, int | None], rules: dict[RuleNetwork, int | None]
) -> int | None:
    match part:
        case Unit():
            return _unit(part.node)
        case Call():
            return rules[part.rule]
        case Pair():
            first, second = longest[part.first], longest[part.second]
            return None if first is None or second is None else first + second
        case Choice():
            return _most([longest[branch] for branch in part.branches if branch.cost < ENDLESS])
        case Loop():
            once = longest[part.item]
            if once == 0 or part.item.cost >= ENDLESS:
                return 0
            return None if once is None or part.most is None else once * part.most
    return 0


def _most(lengths: list[int | None]) -> int | None:
    known = [length for length in lengths if length is not None]
    return max(known, default=0) if len(known) == len(lengths) else None


@lru_cache(maxsize=65_536)
def _unit(root: ByteNode) -> int:
    lengths: dict[ByteNode, int] = {}
    stack = [root]
    while stack:
        node = stack[-1]
        below = [following for following in node.table.values() if following is not None]
        missing = [following for following in below if following not in lengths]
        if missing:
            stack += missing
        else:
            lengths[node] = 1 + max((lengths[following] for following in below), default=0)
            stack.pop()
    return lengths[root]
