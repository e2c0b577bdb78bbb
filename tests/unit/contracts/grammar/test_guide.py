"""The guides of both engines: whoever chooses among the allowed tokens, the answer is valid and ends in time."""

from __future__ import annotations

import json
import random
import string
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.contracts.automaton_guide import AutomatonGuide
from shared.contracts.grammar.charset import CharSet
from shared.contracts.grammar.expression import (
    NOTHING,
    Chars,
    Expression,
    Reference,
    Sequence,
    Text,
    alternation,
    repeat,
    sequence,
)
from shared.contracts.grammar.grammar import Grammar, Rule
from shared.contracts.grammar.lark import lark
from shared.contracts.grammar.parser import Parser
from shared.contracts.grammar_guide import GrammarGuide
from shared.contracts.grammar_machine import GrammarMachine
from shared.contracts.guide import Guide
from shared.contracts.index import build_automaton
from shared.contracts.measure import longest_tokens, typical_tokens
from shared.errors import InvalidInput
from tests.unit.contracts.grammar.grammars import GRAMMARS, machine
from tests.unit.contracts.sample import automaton, byte_tokens, vocabulary

EOS = vocabulary().eos_id
EXTRA = (0, 1, 2, 3, 5, 8, 13, 40, 150)
Chooser = Callable[[Guide, list[int], random.Random], int]


def allowed(guide: Guide, remaining: int) -> list[int]:
    """Ids in the mask."""
    return np.flatnonzero(np.unpackbits(guide.mask(remaining).view(np.uint8), bitorder="little")).tolist()


def can_follow(guide: Guide, token: int) -> bool:
    """Whether the guide goes on with a token; it stays where it is."""
    if not guide.advance(token):
        return False
    guide.rollback(1)
    return True


def uniform(guide: Guide, tokens: list[int], rng: random.Random) -> int:
    """Any token."""
    return rng.choice(tokens)


def opening(guide: Guide, tokens: list[int], rng: random.Random) -> int:
    """Tokens that open something, where there are any."""
    ends = b'{[,:"'
    return rng.choice([t for t in tokens if t != EOS and vocabulary().token_bytes[t][-1] in ends] or tokens)


def digits(guide: Guide, tokens: list[int], rng: random.Random) -> int:
    """Digits and spaces, where there are any."""
    return rng.choice([t for t in tokens if t != EOS and vocabulary().token_bytes[t][-1] in b"0123456789 "] or tokens)


def farthest(guide: Guide, tokens: list[int], rng: random.Random) -> int:
    """Of some tokens the one that leaves the longest way to the end."""

    def distance(token: int) -> int:
        assert guide.advance(token)
        found = guide.distance()
        guide.rollback(1)
        return found

    return max(rng.sample(tokens, min(6, len(tokens))), key=distance)


def walk(guide: Guide, budget: int, choose: Chooser, rng: random.Random) -> str:
    """An answer of at most `budget` tokens; holds the guide to its promise at every step."""
    tokens: list[int] = []
    for remaining in range(budget, 0, -1):
        candidates = allowed(guide, remaining)
        assert candidates, "an empty mask"
        assert (EOS in candidates) is guide.is_accepting()
        token = choose(guide, candidates, rng)
        assert guide.advance(token), "the mask allows what cannot follow"
        if guide.is_finished():
            return b"".join(vocabulary().token_bytes[token] for token in tokens).decode()
        assert guide.distance() <= remaining - 1
        tokens.append(token)
    raise AssertionError("the budget is used up")


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


def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose keys differ and are not taken."""
    assert len({key for key, _ in pairs}) == len(pairs), pairs
    return dict(pairs)


class TestGrammarGuide:
    """llguidance with our way to the end."""

    @pytest.mark.parametrize("choose", [uniform, opening, digits, farthest])
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

    def test_a_grammar_in_lark_names_no_whitespace(self) -> None:
        """Nothing is ignored between units."""
        assert "%ignore" not in lark(GRAMMARS["records"])


class TestAutomatonGuide:
    """The automaton's guide."""

    @pytest.mark.parametrize("choose", [uniform, opening, digits, farthest])
    @pytest.mark.parametrize("name", ["invoice", "one_of_tagged", "string_min_max"])
    def test_every_walk_is_valid_and_ends_in_time(self, name: str, choose: Chooser) -> None:
        """The same promise by the same questions."""
        rng = random.Random(name)
        for extra in EXTRA:
            text = walk(AutomatonGuide(automaton(name)), automaton(name).min_tokens + extra, choose, rng)

            assert automaton(name).accepts(byte_tokens(text))


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

    def test_a_part_that_never_completes_is_never_begun(self) -> None:
        """A branch without texts is no branch, whatever the parser would make of it."""
        rules = {"root": Rule(alternation([Text("none"), sequence([Text("["), Reference("dead")])]))}
        guide = GrammarGuide(GrammarMachine.of(Grammar({**rules, "dead": Rule(NOTHING)}, "root"), vocabulary()))

        begun = {vocabulary().token_bytes[token][:1] for token in allowed(guide, 50)}

        assert begun == {b"n"}

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

    def test_masks_stay_cheap_however_many_items_there_are(self) -> None:
        """The search for unused items begins where it ended before: 150 items once took a mask of half a second."""
        guide = GrammarGuide(GrammarMachine.of(distinct_items(repeat(LETTER, 1, None), 1), vocabulary()))
        letters = string.ascii_lowercase
        items = [*letters, *(a + b for a in letters for b in letters)][:150]
        begin = time.process_time()

        for token in byte_tokens("[" + ",".join(items)):
            assert guide.advance(token)
            guide.mask(2_000)

        assert time.process_time() - begin < 4


class TestMeasures:
    """What the report says about length."""

    def test_typical_length_lies_between_least_and_most(self) -> None:
        """For both engines, and it is the same every time."""
        own = machine("records")
        for new_guide, least, most in (
            (lambda: AutomatonGuide(automaton("string_min_max")), automaton("string_min_max").min_tokens, 99),
            (lambda: GrammarGuide(own), own.min_tokens, own.max_tokens),
        ):
            assert most is not None
            assert least <= typical_tokens(new_guide) == typical_tokens(new_guide) <= most

    def test_longest_answer_of_an_automaton(self) -> None:
        """Byte by byte the longest text takes most tokens; a repeat without end has no longest."""
        assert longest_tokens(build_automaton("a{2,7}|bc", vocabulary(), max_states=100)) == 8
        assert longest_tokens(build_automaton("ab*", vocabulary(), max_states=100)) is None


class TestFiles:
    """A machine in a folder."""

    def test_a_loaded_machine_gives_the_same_masks(self, tmp_path: Any) -> None:
        """Written and read back, the vocabulary taken from this process or from the folder."""
        own = machine("records")
        own.save(tmp_path)

        loaded = GrammarMachine.load(tmp_path, vocabulary().digest)

        assert loaded.min_tokens == own.min_tokens
        assert np.array_equal(GrammarGuide(loaded).mask(200), GrammarGuide(own).mask(200))
