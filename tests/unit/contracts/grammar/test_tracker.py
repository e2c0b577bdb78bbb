"""The tracker: which texts a grammar holds, and how far from an end each beginning is."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.contracts.grammar.expression import Reference, Sequence, Text
from shared.contracts.grammar.grammar import Grammar, Rule
from shared.contracts.grammar.longest import longest_bytes
from shared.contracts.grammar.network import ENDLESS, Network
from shared.contracts.grammar.planner import Planner
from shared.contracts.grammar.reach import measure_reach
from shared.contracts.grammar.serial import grammar_from_json, grammar_to_json
from shared.contracts.grammar.tracker import MAX_LEVEL
from shared.contracts.token_table import TokenTable
from tests.unit.contracts.grammar.grammars import GRAMMARS, every_text, json_values, language, machine, small_grammars
from tests.unit.contracts.sample import vocabulary

TABLE = TokenTable(vocabulary())
_LONGEST = 5


def holds(planner: Planner, text: str) -> bool:
    """Whether the whole text is in the language."""
    state = planner.tracker.walk(planner.tracker.start, text.encode())
    return state is not None and state.is_accepting


class TestLanguage:
    """The tracker accepts exactly the texts of the grammar."""

    @settings(max_examples=150, deadline=None)
    @given(small_grammars())
    def test_holds_what_the_expressions_hold(self, grammar: Grammar) -> None:
        """Every text of up to five characters is accepted if and only if the written-out language has it."""
        expected = language(grammar, _LONGEST)
        planner = Planner(Network(grammar, TABLE.costs), TABLE)

        assert {text for text in every_text(_LONGEST) if holds(planner, text)} == expected

    @settings(max_examples=100, deadline=None)
    @given(small_grammars(), st.integers(0, 2**32))
    def test_every_beginning_can_be_ended_as_planned(self, grammar: Grammar, seed: int) -> None:
        """Along random texts the plan leads to an end, in no more tokens than the cost says, and the cost is finite."""
        planner, rng = Planner(Network(grammar, TABLE.costs), TABLE), random.Random(seed)
        state = planner.tracker.start
        if planner.cost(state) >= ENDLESS:
            assert language(grammar, 8) == set()
            return
        for _ in range(12):
            plan = planner.plan(state)
            assert plan is not None
            assert len(plan) + 1 <= planner.cost(state) < ENDLESS
            end = planner.tracker.walk(state, b"".join(vocabulary().token_bytes[token] for token in plan))
            assert end is not None
            assert end.is_accepting
            following = [s for byte in b"ab[]" if (s := planner.tracker.step(state, byte)) is not None]
            if not following:
                return
            state = rng.choice(following)

    def test_a_long_repeat_costs_no_more_than_a_short_one(self) -> None:
        """Counts are kept on the stack: the network of a string of 1,000 characters has as many parts as one of 10."""
        assert machine("records").network.state_count < 60
        assert holds(machine("records").planner, text := record_text("é" * 1000)), text
        assert not holds(machine("records").planner, record_text("é" * 1001))

    def test_refuses_a_rule_that_calls_itself_first(self) -> None:
        """Left recursion is a mistake of whoever wrote the grammar."""
        grammar = Grammar({"root": Rule(Sequence((Reference("root"), Text("a"))))}, "root")

        with pytest.raises(ValueError, match="calls itself"):
            measure_reach(Network(grammar, TABLE.costs))

    def test_nesting_is_bounded_and_every_depth_below_can_be_ended(self) -> None:
        """Arrays open until the level is reached, then no more; what is open can always be closed."""
        planner = machine("nested arrays").planner
        state, depth = planner.tracker.start, 0
        while (following := planner.tracker.step(state, ord("["))) is not None:
            state, depth = following, depth + 1
            assert planner.cost(state) < ENDLESS

        assert MAX_LEVEL // 2 - 1 <= depth <= MAX_LEVEL
        assert planner.tracker.walk(state, b"]" * depth) is not None

    @pytest.mark.parametrize("name", GRAMMARS)
    def test_survives_serialisation(self, name: str) -> None:
        """A grammar read back is equal to the one written."""
        assert grammar_from_json(grammar_to_json(GRAMMARS[name])) == GRAMMARS[name]


class TestOpenKeys:
    """Keys of an open map occur once."""

    @pytest.mark.parametrize(
        ("text", "is_valid"),
        [
            ('{"a":1,"b":2}', True),
            ('{"a":1,"a":2}', False),
            ('{"name":1}', False),
            ('{"nam":1,"names":2}', True),
            ('{"a":{"a":1,"b":{"a":2}},"b":[{"a":3},{"a":4}]}', True),
            ('{"a":{"b":1,"b":2}}', False),
            ('{"a":[{"x":1}],"a":1}', False),
        ],
    )
    def test_a_key_is_used_once_in_its_own_map(self, text: str, is_valid: bool) -> None:
        """Inner maps have keys of their own; taken keys are used from the beginning."""
        assert holds(machine("open map").planner, text) is is_valid

    def test_the_way_to_the_end_never_repeats_a_key(self) -> None:
        """After `{"` the shortest key is planned, and another one where that is used."""
        planner = machine("at least three keys").planner
        start = planner.tracker.walk(planner.tracker.start, b'{"":1,"0":2,"')
        assert start is not None

        plan = planner.plan(start)

        assert plan is not None
        text = '{"":1,"0":2,"' + b"".join(vocabulary().token_bytes[token] for token in plan).decode()
        assert holds(planner, text)

    def test_a_map_whose_every_key_is_used_takes_no_more(self) -> None:
        """`n` is taken; after `a`, `b` and `c` nothing can begin another key."""
        planner = machine("few possible keys").planner
        state = planner.tracker.walk(planner.tracker.start, b'{"a":0,"b":0,"c":0')
        assert state is not None
        begun = planner.tracker.walk(state, b',"')

        assert begun is None or planner.cost(begun) >= ENDLESS
        assert planner.tracker.walk(state, b"}") is not None

    def test_a_map_that_must_have_more_keys_than_there_are_has_no_text(self) -> None:
        """At least three keys out of one possible: the start costs more than any answer."""
        grammar = json_values("object", min_keys=3, key=Text('"k"'))

        planner = Planner(Network(grammar, TABLE.costs), TABLE)

        assert planner.cost(planner.tracker.start) >= ENDLESS or planner.plan(planner.tracker.start) is None


class TestLength:
    """The longest text."""

    def test_counts_bytes_and_knows_what_has_no_end(self) -> None:
        """Characters count four bytes at most; recursion and open repeats have no longest text."""
        assert longest_bytes(machine("nested arrays").network) is None
        longest = longest_bytes(machine("records").network)
        assert longest is not None
        assert (
            len(record_text("\U0001f600" * 1000, kind="yy", extra='"of":"abcdefghijklmnopqrstuvwxyz",').encode())
            == longest
        )


def record_text(text: str, kind: str = "x", extra: str = "") -> str:
    """A text of `records`, all three strings alike."""
    record = f'{{"kind":"{kind}",{extra}"text":"{text}"}}'
    return f'{{"a":"{text}","b":[{record},{record}]}}'
