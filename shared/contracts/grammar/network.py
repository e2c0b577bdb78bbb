"""A grammar as a recursive transition network over bytes, with the least that each of its parts takes to complete.

Source of the least costs: Knuth 1977, "A generalization of Dijkstra's algorithm", here as a fixpoint over the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from shared.contracts.grammar.call_order import components
from shared.contracts.grammar.expression import Alternation, Chars, Expression, Reference, Repeat, Sequence, Text
from shared.contracts.grammar.grammar import Grammar, Rule
from shared.contracts.grammar.text_tree import text_nodes
from shared.contracts.grammar.utf8 import ByteNode, charset_node

ENDLESS = 1 << 40
"""The cost of what never completes."""
_Costs = Callable[[bytes], list[int]]


class Item:
    """A part of a rule. Compared by identity.

    `cost`: tokens that are enough for the part's cheapest text. `size`: bytes of its shortest text. `need`: nested
    recursive calls of the cheapest text. `keys`: open keys of the cheapest text that belong to the scope around it.
    """

    __slots__ = ("cost", "keys", "need", "size", "terminal")

    def __init__(self, terminal: RuleNetwork | None) -> None:
        self.terminal = terminal
        self.cost = self.size = ENDLESS
        self.need = self.keys = 0

    def measure(self) -> None:
        """Compute the measures from those of the parts; without parts there is nothing to do."""


class Unit(Item):
    """One unit of text, read byte by byte."""

    __slots__ = ("node",)

    def __init__(self, node: ByteNode, terminal: RuleNetwork | None) -> None:
        super().__init__(terminal)
        self.node, self.cost, self.size = node, node.cost, node.size


class Empty(Item):
    """The empty text."""

    __slots__ = ()

    def __init__(self, terminal: RuleNetwork | None) -> None:
        super().__init__(terminal)
        self.cost = self.size = 0


class Mark(Item):
    """What stands on the stack under a rule that has to know when it ends: a terminal, or a scope of keys."""

    __slots__ = ("rule",)

    def __init__(self, rule: RuleNetwork) -> None:
        super().__init__(rule if rule.is_terminal else None)
        self.rule = rule
        self.cost = self.size = 0


class Pair(Item):
    """One part, then another."""

    __slots__ = ("first", "second")

    def __init__(self, first: Item, second: Item, terminal: RuleNetwork | None) -> None:
        super().__init__(terminal)
        self.first, self.second = first, second

    def measure(self) -> None:
        """See `Item`."""
        first, second = self.first, self.second
        self.cost = min(first.cost + second.cost, ENDLESS)
        self.size = min(first.size + second.size, ENDLESS)
        self.need, self.keys = max(first.need, second.need), first.keys + second.keys


class Choice(Item):
    """One of several parts; `best` is the cheapest."""

    __slots__ = ("best", "branches")

    def __init__(self, branches: list[Item], terminal: RuleNetwork | None) -> None:
        super().__init__(terminal)
        self.branches = branches
        self.best = branches[0] if branches else None

    def measure(self) -> None:
        """See `Item`."""
        if self.branches:
            self.best = best = min(self.branches, key=lambda branch: branch.cost)
            self.cost, self.need, self.keys = best.cost, best.need, best.keys
            self.size = min(branch.size for branch in self.branches)


class Loop(Item):
    """A part from `least` to `most` times; `most` None: without end. `rest` counts down, made as needed."""

    __slots__ = ("_rest", "item", "least", "most")

    def __init__(self, item: Item, least: int, most: int | None, terminal: RuleNetwork | None) -> None:
        super().__init__(terminal)
        self.item, self.least, self.most = item, least, most
        self._rest: Loop | None = None

    def measure(self) -> None:
        """See `Item`."""
        item, least = self.item, self.least
        if least:
            self.cost, self.size = min(least * item.cost, ENDLESS), min(least * item.size, ENDLESS)
            self.need, self.keys = item.need, least * item.keys
        else:
            self.cost = self.size = 0

    @property
    def rest(self) -> Loop | None:
        """What remains after one time; None when nothing does."""
        if self.most == 1:
            return None
        if self.most is None and not self.least:
            return self
        if self._rest is None:
            most = None if self.most is None else self.most - 1
            rest = Loop(self.item, max(self.least - 1, 0), most, self.terminal)
            rest.measure()
            self._rest = rest  # whole, or not there: other threads read it too
        return self._rest


class Call(Item):
    """Another rule. `is_recursive` when that rule can come back here."""

    __slots__ = ("is_recursive", "rule")

    def __init__(self, rule: RuleNetwork, *, is_recursive: bool) -> None:
        super().__init__(None)
        self.rule, self.is_recursive = rule, is_recursive

    def measure(self) -> None:
        """See `Item`."""
        body = self.rule.body
        self.cost = ENDLESS if self.rule.is_dead else max(body.cost, self.rule.key_cost)
        self.size = body.size
        # What never completes may go round for ever: it is left out everywhere, so its need is nobody's.
        self.need = body.need + self.is_recursive if self.cost < ENDLESS else 0
        # A rule with a scope of its own keeps its keys to itself.
        self.keys = int(self.rule.is_open_key) if self.rule.taken is None else 0
        if self.rule.taken is None and self.cost < ENDLESS:
            self.keys += body.keys


class RuleNetwork:
    """One rule: its body, and its parts in an order in which each comes after its own parts."""

    def __init__(self, name: str, rule: Rule) -> None:
        self.name = name
        self.is_terminal = rule.terminal
        self.is_open_key = rule.open_key
        self.taken = None if rule.taken is None else frozenset(text.encode() for text in rule.taken)
        self.key_cost = 0
        """For an open key: tokens that are enough for it although some keys are used already."""
        self.is_dead = False
        """For a map: it asks for more keys than there are, or than are looked for."""
        self.own_keys: tuple[RuleNetwork, ...] = ()
        """For a map: the open keys that it holds, those of maps inside left out."""
        self.parts: list[Item] = []
        self.body: Item = Empty(None)
        self.mark = Mark(self)
        self.needs_mark = self.is_terminal or self.taken is not None


class Network:
    """All rules of a grammar, measured. `costs(text)[i]` gives the fewest tokens of `text[i:]`.

    Raises `ValueError` for a rule that calls itself before it has read anything (left recursion).
    """

    def __init__(self, grammar: Grammar, costs: _Costs) -> None:
        self._costs = costs
        self.rules = {name: RuleNetwork(name, grammar.rules[name]) for name in grammar.calls}
        self.root = self.rules[grammar.root]
        self.has_open_keys = any(rule.is_open_key for rule in self.rules.values())
        numbers = components(grammar.calls)
        nodes: dict[frozenset[str], list[ByteNode]] = {}
        for name, rule in self.rules.items():
            builder = _Builder(self.rules, rule, numbers, costs, nodes)
            rule.body = builder.item(grammar.rules[name].expression)
            rule.parts = builder.parts
        for rule in self.rules.values():
            rule.own_keys = _own_keys(rule) if rule.taken is not None else ()
        self.is_recursive = any(
            isinstance(part, Call) and part.is_recursive for rule in self.rules.values() for part in rule.parts
        )
        self.measure()

    def measure(self) -> None:
        """Relax until nothing changes: costs only fall, and a cheapest text repeats no rule on its way down."""
        parts = [part for rule in self.rules.values() for part in rule.parts]
        changed = True
        while changed:
            changed = False
            for part in parts:
                before = (part.cost, part.size, part.need, part.keys)
                part.measure()
                changed |= before != (part.cost, part.size, part.need, part.keys)

    @property
    def state_count(self) -> int:
        """Parts of all rules: a measure of the grammar's size."""
        return sum(len(rule.parts) for rule in self.rules.values())

    @property
    def bytes(self) -> frozenset[int]:
        """Every byte that a text can hold."""
        seen: set[ByteNode] = set()
        stack = [part.node for rule in self.rules.values() for part in rule.parts if isinstance(part, Unit)]
        found: set[int] = set()
        while stack:
            node = stack.pop()
            if node not in seen:
                seen.add(node)
                found.update(node.table)
                stack.extend(following for following in node.table.values() if following)
        return frozenset(found)


class _Builder:
    """Makes the parts of one rule."""

    def __init__(
        self, rules: Mapping[str, RuleNetwork], rule: RuleNetwork, components: Mapping[str, int], costs: _Costs,
        nodes: dict[frozenset[str], list[ByteNode]],
    ) -> None:  # fmt: skip
        self._rules, self._components, self._costs = rules, components, costs
        self._nodes = nodes
        """Of texts that stood somewhere before: names and keywords recur in thousands of places."""
        self._own = components[rule.name]
        self._terminal = rule if rule.is_terminal else None
        self.parts: list[Item] = []

    def item(self, expression: Expression) -> Item:
        """The part for an expression; it stands in `parts` after its own parts."""
        item = self._make(expression)
        self.parts.append(item)
        return item

    def _make(self, expression: Expression) -> Item:  # noqa: PLR0911  # one for each kind
        match expression:
            case Chars(chars) if chars:
                return Unit(charset_node(chars), self._terminal)
            case Chars():
                return Choice([], self._terminal)
            case Text(text):
                return self._texts([text])
            case Reference(name):
                return Call(self._rules[name], is_recursive=self._components[name] == self._own)
            case Sequence(items):
                return self._sequence([self.item(item) for item in items])
            case Alternation(branches):
                texts = [branch.text for branch in branches if isinstance(branch, Text)]
                others = [self.item(branch) for branch in branches if not isinstance(branch, Text)]
                if texts:
                    others.append(self._texts(texts))
                    self.parts.append(others[-1])
                return Choice(others, self._terminal)
            case Repeat(_, _, 0):
                return Empty(self._terminal)
            case Repeat(item, least, most):
                return Loop(self.item(item), least, most, self._terminal)
        raise AssertionError(expression)

    def _texts(self, texts: list[str]) -> Item:
        key = frozenset(texts)
        if key not in self._nodes:
            self._nodes[key] = text_nodes((text.encode() for text in texts if text), self._costs)
        units: list[Item] = [Unit(node, self._terminal) for node in self._nodes[key]]
        if "" in texts:
            units.append(Empty(self._terminal))
        self.parts.extend(units)
        return units[0] if len(units) == 1 else Choice(units, self._terminal)

    def _sequence(self, items: list[Item]) -> Item:
        if not items:
            return Empty(self._terminal)
        whole = items[-1]
        for item in reversed(items[:-1]):
            self.parts.append(whole)
            whole = Pair(item, whole, self._terminal)
        return whole


def _own_keys(scope: RuleNetwork) -> tuple[RuleNetwork, ...]:
    seen, stack = {scope}, [scope]
    while stack:
        below = {part.rule for part in stack.pop().parts if isinstance(part, Call)}
        fresh = [rule for rule in below - seen if rule.taken is None]
        seen.update(fresh)
        stack.extend(fresh)
    return tuple(rule for rule in seen if rule.is_open_key)
