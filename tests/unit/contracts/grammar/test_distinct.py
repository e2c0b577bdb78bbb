"""Items of which none may occur twice: how many there are, how dear they are, how the next one is found."""

from __future__ import annotations

import random
import string
from typing import Any

import pytest

from shared.contracts.grammar import key_text
from shared.contracts.grammar.charset import CharSet
from shared.contracts.grammar.expression import (
    Chars,
    Expression,
    Reference,
    Text,
    alternation,
    repeat,
    sequence,
)
from shared.contracts.grammar.grammar import Grammar, Rule
from shared.contracts.grammar_guide import GrammarGuide
from shared.contracts.grammar_machine import GrammarMachine
from shared.errors import InvalidInput
from tests.unit.contracts.grammar.walks import uniform, walk
from tests.unit.contracts.sample import byte_tokens, vocabulary


def distinct_items(item: Expression, least: int) -> Grammar:
    """Lists of at least so many items, none twice; or `none`."""
    unit = Reference("item")
    items = sequence([unit, repeat(sequence([Text(","), unit]), least - 1, None)])
    return Grammar(
        {
            "root": Rule(alternation([Text("none"), Reference("list")])),
            "list": Rule(sequence([Text("["), items, Text("]")]), taken=frozenset()),
            "item": Rule(item, terminal=True, open_key=True),
        },
        "root",
    )


LETTER = Chars(CharSet(((ord("a"), ord("z")),)))


class TestDistinct:
    """Items of which none occurs twice."""

    def test_more_items_than_there_are_is_refused(self) -> None:
        """Twenty-six letters make no list of twenty-seven: nobody is led into one."""
        machine = GrammarMachine.of(distinct_items(LETTER, 26), vocabulary())

        assert machine.min_tokens <= 5
        with pytest.raises(InvalidInput) as caught:
            GrammarMachine.of(distinct_items(LETTER, 27), vocabulary())
        assert caught.value.reason == "CONTRACT_TOO_LARGE"

    def test_long_lists_are_asked_for_from_the_beginning(self) -> None:
        """A list inside of an answer is priced before it is begun, however many items it must have."""
        grammar = distinct_items(alternation([LETTER, sequence([Text("x"), repeat(LETTER, 8, 8)])]), 80)
        machine = GrammarMachine.of(
            Grammar({**grammar.rules, "root": Rule(sequence([Text("a"), Reference("list")]))}, "root"), vocabulary()
        )

        for extra in (0, 1, 7):
            text = walk(GrammarGuide(machine), machine.min_tokens + extra, uniform, random.Random(extra))
            items = text[2:-1].split(",")
            assert len(items) == len(set(items)) >= 80

    def test_a_search_begins_where_the_last_one_ended(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each further item costs the masks a bounded number of steps: 150 items once took half a second a mask."""
        steps = 0
        real = key_text._step

        def counted(*arguments: Any) -> Any:
            nonlocal steps
            steps += 1
            return real(*arguments)

        monkeypatch.setattr(key_text, "_step", counted)
        guide = GrammarGuide(GrammarMachine.of(distinct_items(repeat(LETTER, 1, None), 1), vocabulary()))
        letters = string.ascii_lowercase
        items = [*letters, *(a + b for a in letters for b in letters)][:150]

        for token in byte_tokens("[" + ",".join(items)):
            assert guide.advance(token)
            guide.mask(2_000)

        assert 0 < steps < 4 * len(items)
