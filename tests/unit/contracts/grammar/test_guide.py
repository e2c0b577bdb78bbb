"""The guides of both engines: whoever chooses among the allowed tokens, the answer is valid and ends in time."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.contracts.automaton_guide import AutomatonGuide
from shared.contracts.grammar.expression import NOTHING, Reference, Sequence, Text, alternation, sequence
from shared.contracts.grammar.grammar import Grammar, Rule
from shared.contracts.grammar.lark import lark
from shared.contracts.grammar.parser import Parser
from shared.contracts.grammar_guide import GrammarGuide
from shared.contracts.grammar_machine import GrammarMachine
from shared.contracts.guide import Guide
from tests.unit.contracts.grammar.grammars import GRAMMARS, machine
from tests.unit.contracts.grammar.walks import CHOOSERS, EOS, EXTRA, Chooser, allowed, distinct, uniform, walk
from tests.unit.contracts.sample import automaton, byte_tokens, vocabulary


class Silent(Parser):
    """A parser that says the same at every step."""

    def __init__(self, words: NDArray[np.int32] | None) -> None:
        self._words = words

    def mask(self) -> NDArray[np.int32] | None:
        """Always the same."""
        return self._words

    def forced(self) -> bytes:
        """Nothing is known."""
        return b""

    def advance(self, token: int) -> None:
        """Nothing."""


def can_follow(guide: Guide, token: int) -> bool:
    """Whether the guide goes on with a token; it stays where it is."""
    if not guide.advance(token):
        return False
    guide.rollback(1)
    return True


def hold_to_distance(own: GrammarMachine, rng: random.Random) -> None:
    """Walks under tight budgets, trying tokens of every mask on the way."""
    for extra in (0, 1, 3, 6):
        guide = GrammarGuide(own)
        for remaining in range(own.min_tokens + extra, 0, -1):
            candidates = allowed(guide, remaining)
            for token in rng.sample(candidates, min(12, len(candidates))):
                assert guide.advance(token)
                assert guide.distance() <= remaining - 1
                guide.rollback(1)
            guide.advance(rng.choice(candidates))
            if guide.is_finished():
                break


class TestGrammarGuide:
    """llguidance with our way to the end."""

    @pytest.mark.parametrize("choose", CHOOSERS)
    @pytest.mark.parametrize("name", GRAMMARS)
    def test_every_walk_is_valid_and_ends_in_time(self, name: str, choose: Chooser) -> None:
        """From `min_tokens` on every budget is kept, with JSON whose keys differ."""
        rng = random.Random(name)
        for extra in EXTRA:
            text = walk(GrammarGuide(machine(name)), machine(name).min_tokens + extra, choose, rng)

            value = json.loads(text, object_pairs_hook=distinct)
            if name == "at least three keys":
                assert len(value) >= 3
            assert '"name":' not in text

    @pytest.mark.parametrize("name", GRAMMARS)
    def test_a_silent_parser_is_done_without(self, name: str) -> None:
        """Where llguidance gives up, or offers the stop token alone, the tracker's own tokens lead on."""
        for silence in (None, np.array([1 << EOS] + [0] * 12, dtype=np.int32)):
            for extra in (0, 7, 60):
                guide = GrammarGuide(machine(name))
                guide._parser = Silent(silence)

                json.loads(walk(guide, machine(name).min_tokens + extra, uniform, random.Random(extra)))

    @pytest.mark.parametrize("name", GRAMMARS)
    def test_a_loose_budget_allows_exactly_what_can_follow(self, name: str) -> None:
        """Every token that goes on with a text is allowed, however the text could be spelled otherwise."""
        rng = random.Random(name)
        for _ in range(3):
            guide = GrammarGuide(machine(name))
            while not guide.is_finished():
                expected = [token for token in vocabulary().token_bytes if can_follow(guide, token)]
                found = [token for token in allowed(guide, 5_000) if token != EOS]
                assert found == sorted(expected)
                ending = allowed(guide, guide.distance())
                guide.advance(rng.choice(found if found and rng.random() < 0.5 else ending))

    @pytest.mark.parametrize("name", GRAMMARS)
    def test_no_token_of_a_mask_leads_too_far(self, name: str) -> None:
        """After each token of each mask of tight walks the end is near enough."""
        hold_to_distance(machine(name), random.Random(name))

    def test_nor_does_one_inside_of_a_fixed_text(self) -> None:
        """Where a text is one token and its rest is many, the token of its first byte alone leads farther away."""
        table = machine("records").table
        dear = sorted(table.by_bytes, key=lambda data: -table.costs(data[1:])[0])[:6]
        assert table.costs(dear[-1][1:])[0] >= 3
        texts = [Text(data.decode("latin-1")) for data in dear if data.isascii()]
        own = GrammarMachine.of(Grammar({"root": Rule(Sequence(tuple(texts)))}, "root"), vocabulary())

        hold_to_distance(own, random.Random(0))

    def test_an_answer_too_long_to_plan_is_led_on_step_by_step(self) -> None:
        """Where the shortest answer has a million bytes, each mask under the tightest budget still leads towards it."""
        double = {f"d{n}": Rule(Sequence((Text("["), *(Reference(f"d{n + 1}"),) * 2, Text("]")))) for n in range(18)}
        own = GrammarMachine.of(Grammar({"d18": Rule(Text("null")), **double}, "d0"), vocabulary())
        guide, rng = GrammarGuide(own), random.Random(0)
        remaining = own.min_tokens
        assert remaining > 2**18

        for _ in range(100):
            assert guide.advance(rng.choice(allowed(guide, remaining)))
            remaining -= 1
            assert guide.distance() <= remaining

    def test_rollback_restores_masks(self) -> None:
        """Tokens and the stop token can be taken back, the parser's place with them."""
        guide = GrammarGuide(machine("open map"))
        tokens = byte_tokens('{"a":1}')
        masks = []
        for token in [*tokens, EOS]:
            masks.append(guide.mask(300).copy())
            assert guide.advance(token)
        assert guide.is_finished()
        assert allowed(guide, 5) == [EOS]

        for mask in reversed(masks):
            guide.rollback(1)
            assert np.array_equal(guide.mask(300), mask)

    def test_nothing_changes_at_a_token_that_is_refused(self) -> None:
        """A used key's last byte, the stop token too early, and tokens after the end are refused."""
        guide = GrammarGuide(machine("open map"))
        for token in byte_tokens('{"a":1,"a'):
            assert guide.advance(token)

        assert not guide.advance(byte_tokens('"')[0])
        assert not guide.advance(EOS)
        assert not guide.advance(vocabulary().size - 1)
        assert all(guide.advance(token) for token in [*byte_tokens('b":2}'), EOS])
        assert not guide.advance(EOS)

    @pytest.mark.parametrize("name", GRAMMARS)
    def test_the_parser_reads_the_same_language(self, name: str) -> None:
        """What llguidance can end, the tracker can; both follow the same walks, so the Lark text is the grammar."""
        own, rng = machine(name), random.Random(name)
        for _ in range(20):
            parser, guide = own.new_parser(), GrammarGuide(own)
            for remaining in range(own.min_tokens + 40, 0, -1):
                token = uniform(guide, allowed(guide, remaining), rng)
                assert guide.advance(token)
                if guide.is_finished():
                    break
                parser.advance(token)
                assert not parser.error
            assert parser._matcher.is_accepting()

    def test_a_part_that_never_completes_is_never_begun(self) -> None:
        """A branch without texts is no branch, whatever the parser would make of it."""
        rules = {"root": Rule(alternation([Text("none"), sequence([Text("["), Reference("dead")])]))}
        guide = GrammarGuide(GrammarMachine.of(Grammar({**rules, "dead": Rule(NOTHING)}, "root"), vocabulary()))

        begun = {vocabulary().token_bytes[token][:1] for token in allowed(guide, 50)}

        assert begun == {b"n"}

    def test_a_grammar_in_lark_names_no_whitespace(self) -> None:
        """Nothing is ignored between units."""
        assert "%ignore" not in lark(GRAMMARS["records"])


class TestAutomatonGuide:
    """The automaton's guide."""

    @pytest.mark.parametrize("choose", CHOOSERS)
    @pytest.mark.parametrize("name", ["invoice", "one_of_tagged", "string_min_max"])
    def test_every_walk_is_valid_and_ends_in_time(self, name: str, choose: Chooser) -> None:
        """The same promise by the same questions."""
        rng = random.Random(name)
        for extra in EXTRA:
            text = walk(AutomatonGuide(automaton(name)), automaton(name).min_tokens + extra, choose, rng)

            assert automaton(name).accepts(byte_tokens(text))
