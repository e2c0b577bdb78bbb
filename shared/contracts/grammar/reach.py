"""How far one byte can take an answer from its end: bounds that hold everywhere in a network.

They let a mask be made for most tokens at once: a token that leaves no unit of text costs nothing, and each unit that
it completes can commit the answer to at most `commitment` more tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from shared.contracts.grammar.network import ENDLESS, Call, Choice, Item, Loop, Network, Pair, RuleNetwork, Unit
from shared.contracts.grammar.utf8 import ByteNode


@dataclass(frozen=True)
class Reach:
    """The bounds of one network."""

    peaks: dict[RuleNetwork, int]
    """Per terminal: most tokens that its cheapest completion takes, from anywhere inside."""
    exits: dict[RuleNetwork, frozenset[int]]
    """Per terminal: the bytes that can complete it."""
    endings: frozenset[int]
    """The bytes that can complete a unit: a terminal, or a text or character outside of one."""
    commitment: int
    """Most tokens by which the cheapest completion grows when a unit is completed and the next one begun."""
    chain: int
    """Most recursive calls that are opened before the next byte is read."""


def measure_reach(network: Network) -> Reach:
    """The bounds of a network; raises `ValueError` when a rule calls itself before anything is read."""
    _refuse_left_recursion(network)
    parts = [part for rule in network.rules.values() for part in rule.parts]
    peaks: dict[Item, int] = {}
    lasts: dict[Item, frozenset[int]] = {}
    for part in parts:
        if part.terminal is not None:
            peaks[part], lasts[part] = _peak(part, peaks), _last(part, lasts)
    terminals = [rule for rule in network.rules.values() if rule.is_terminal]
    terminal_peaks = {rule: max(peaks[rule.body], rule.body.cost, rule.key_cost) for rule in terminals}
    exits = {rule: lasts[rule.body] for rule in terminals}
    outside = [_last(part, {}) for part in parts if isinstance(part, Unit) and part.terminal is None]
    growths, chains = _entries(network, parts, terminal_peaks)
    return Reach(
        peaks=terminal_peaks,
        exits=exits,
        endings=frozenset[int]().union(*exits.values(), *outside),
        commitment=max(growths, default=0),
        chain=max(chains, default=0),
    )


def _refuse_left_recursion(network: Network) -> None:
    """Depth-first search for a cycle among the rules that can be called before anything is read."""
    opened: set[RuleNetwork] = set()
    finished: set[RuleNetwork] = set()
    stack = [(network.root, False), *((rule, False) for rule in network.rules.values())]
    while stack:
        rule, is_left = stack.pop()
        if is_left:
            finished.add(rule)
        elif rule not in opened:
            opened.add(rule)
            stack.append((rule, True))
            for other in _corner(rule.body):
                if other in opened and other not in finished:
                    raise ValueError(f"the rule {other.name} calls itself before anything is read")
                stack.append((other, False))


def _corner(body: Item) -> list[RuleNetwork]:
    found, stack = [], [body]
    while stack:
        match stack.pop():
            case Call() as call:
                found.append(call.rule)
            case Pair() as pair:
                stack.extend([pair.first, pair.second] if pair.first.size == 0 else [pair.first])
            case Choice() as choice:
                stack.extend(choice.branches)
            case Loop() as loop:
                stack.append(loop.item)
    return found


def _nodes(root: ByteNode) -> set[ByteNode]:
    seen, stack = {root}, [root]
    while stack:
        for node in stack.pop().table.values():
            if node is not None and node not in seen:
                seen.add(node)
                stack.append(node)
    return seen


@lru_cache(maxsize=65_536)
def node_peak(node: ByteNode) -> int:
    """Most tokens that completing a unit takes, from this place in it or any further on.

    A rest that is shorter may take more tokens: `items":` is two, `tems":` four.
    """
    return max(place.cost for place in _nodes(node))


@lru_cache(maxsize=65_536)
def _node_ends(node: ByteNode) -> frozenset[int]:
    """The bytes that can complete a unit from this place in it."""
    return frozenset(byte for place in _nodes(node) for byte, rest in place.table.items() if rest is None)


def _peak(part: Item, peaks: dict[Item, int]) -> int:
    match part:
        case Unit():
            return node_peak(part.node)
        case Pair():
            return max(peaks[part.first] + part.second.cost, peaks[part.second])
        case Choice():
            return max((peaks[branch] for branch in part.branches if branch.cost < ENDLESS), default=0)
        case Loop():
            return peaks[part.item] + max(part.least - 1, 0) * part.item.cost
    return 0


def _last(part: Item, lasts: dict[Item, frozenset[int]]) -> frozenset[int]:
    match part:
        case Unit():
            return _node_ends(part.node)
        case Pair():
            return lasts[part.second] | (lasts[part.first] if part.second.size == 0 else frozenset())
        case Choice():
            return frozenset[int]().union(*(lasts[branch] for branch in part.branches))
        case Loop():
            return lasts[part.item]
    return frozenset()


def _entries(
    network: Network, parts: list[Item], peaks: dict[RuleNetwork, int]
) -> tuple[list[int], list[int]]:  # fmt: skip
    """Per part, by how much beginning it can raise the cost, and how many recursive calls that opens: a fixpoint."""
    growth: dict[Item, int] = dict.fromkeys(parts, 0)
    chain: dict[Item, int] = dict.fromkeys(parts, 0)

    def of(part: Item) -> tuple[int, int]:  # noqa: PLR0911  # one for each kind
        match part:
            case Unit():
                return node_peak(part.node) - part.cost, 0
            case Pair():
                firsts = [part.first, part.second] if part.first.size == 0 else [part.first]
                return max(growth[p] for p in firsts), max(chain[p] for p in firsts)
            case Choice():
                live = [branch for branch in part.branches if branch.cost < ENDLESS]
                return (
                    max((branch.cost + growth[branch] - part.cost for branch in live), default=0),
                    max((chain[branch] for branch in live), default=0),
                )
            case Loop():  # as if every time were one too many
                return part.item.cost + growth[part.item], chain[part.item]
            case Call():
                if part.rule.is_terminal:
                    return max(peaks[part.rule] - part.cost, 0), int(part.is_recursive)
                body = part.rule.body
                return growth.get(body, 0), chain.get(body, 0) + part.is_recursive
        return 0, 0

    live = [part for part in parts if part.cost < ENDLESS and part.terminal is None]
    changed = True
    while changed:
        changed = False
        for part in live:
            new = of(part)
            changed |= new != (growth[part], chain[part])
            growth[part], chain[part] = new
    return [growth[part] for part in live], [chain[part] for part in live]
