"""The drawer of random texts, which other tests trust, against the grammar read literally."""

from __future__ import annotations

import json
import random
from contextlib import suppress

import pytest

from shared.contracts.grammar.expression import Alternation, Reference, Sequence, Text
from shared.contracts.grammar.grammar import Grammar, Rule
from tests.derivation import KeyTwice, RandomTexts
from tests.unit.contracts.grammar.grammars import GRAMMARS
from tests.unit.contracts.grammar.walks import distinct
from tests.unit.contracts.grammar_oracle import Oracle


def drawn(grammar: Grammar, count: int, *, enough: int = 200) -> list[str]:
    """Random texts; those in which chance repeats a key are left out."""
    texts = RandomTexts(grammar, random.Random(0), eagerness=0.6, enough=enough)
    found = []
    for _ in range(count):
        with suppress(KeyTwice):
            found.append(texts.draw())
    return found


class TestRandomTexts:
    """What is drawn."""

    @pytest.mark.parametrize("name", GRAMMARS)
    def test_every_text_is_in_the_language_and_repeats_no_key(self, name: str) -> None:
        """The oracle derives it, JSON reads it, and each map has as many keys as it has members."""
        oracle = Oracle(GRAMMARS[name])

        texts = drawn(GRAMMARS[name], 200)

        assert len(set(texts)) >= 10
        for text in texts:
            assert oracle.accepts(text), text
            json.loads(text, object_pairs_hook=distinct)

    def test_past_enough_every_choice_is_a_shortest_one(self) -> None:
        """From the first character on: recursion ends, also where the rule itself is as short as another branch."""
        nested = Sequence((Text("["), Reference("root"), Text("]")))
        rules = {
            "root": Rule(Alternation((Reference("again"), nested, Text("abc"), Text("x")))),
            "again": Rule(Alternation((Reference("root"), Text("y")))),
        }

        assert set(drawn(Grammar(rules, "root"), 50, enough=0)) == {"x", "y"}

    def test_the_same_seed_draws_the_same(self) -> None:
        """Determinism is an input."""
        assert drawn(GRAMMARS["any value"], 20) == drawn(GRAMMARS["any value"], 20)
