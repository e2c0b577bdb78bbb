"""The token automaton: languages, masks, distances and files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from shared.contracts.automaton import TokenAutomaton
from shared.contracts.index import build_automaton
from shared.contracts.vocabulary import TokenVocabulary
from shared.errors import DataLoss, InvalidInput
from tests.unit.contracts.sample import automaton, byte_tokens, vocabulary

LETTERS = {2: b"a", 3: b"b", 4: b"c", 5: b"ab", 6: b"abc", 7: b"aa"}
SMALL = TokenVocabulary(70, 1, LETTERS)


def build(regex: str, tokens: TokenVocabulary = SMALL) -> TokenAutomaton:
    """The automaton of an expression over a few letters."""
    return build_automaton(regex, tokens, max_states=1000)


def ids(mask: np.ndarray) -> list[int]:
    """The tokens of a packed mask."""
    return np.flatnonzero(np.unpackbits(mask.view(np.uint8), bitorder="little")).tolist()


class TestLanguage:
    """Which token sequences are complete."""

    def test_every_alternative_is_kept(self) -> None:
        """`a|ab|abc` holds all three in every tokenisation: not only the leftmost, as outlines_core reads it."""
        machine = build("a|ab|abc")

        for tokens in ([2], [5], [6], [2, 3], [5, 4], [2, 3, 4]):
            assert machine.accepts(tokens), tokens
        for tokens in ([], [3], [2, 4], [6, 4], [2, 2]):
            assert not machine.accepts(tokens), tokens

    def test_a_long_counted_string_at_the_start_stays_small(self) -> None:
        """`"[^"]{0,200}"` with escapes takes hundreds of states, not 4 GiB (outlines_core's unanchored automaton)."""
        machine = build_automaton(r'"(?:[^"\\]|\\["n]){0,200}"', vocabulary(), max_states=5_000)

        assert machine.accepts(byte_tokens('"' + '\\"' * 200 + '"'))
        assert not machine.accepts(byte_tokens('"' + '\\"' * 201 + '"'))

    def test_states_without_an_end_are_left_out(self) -> None:
        """Where the vocabulary cannot spell an ending, the way there is closed: no walk can strand."""
        machine = build("a(?:b|x+y)a")

        assert ids(machine.mask(machine.start, 100)) == [2, 5]
        assert machine.min_tokens == 3

    def test_refuses_a_language_that_the_vocabulary_cannot_spell(self) -> None:
        """No text at all can be spelled: the contract is refused."""
        with pytest.raises(InvalidInput) as refusal:
            build("xyz")

        assert refusal.value.reason == "CONTRACT_UNSUPPORTED"

    def test_refuses_too_many_states(self) -> None:
        """The limit of states is a refusal by name."""
        with pytest.raises(InvalidInput) as refusal:
            build("a{2000}")

        assert refusal.value.reason == "CONTRACT_TOO_LARGE"

    def test_refuses_too_deep_an_expression(self) -> None:
        """What the index cannot parse for its nesting is too large, not a bug."""
        with pytest.raises(InvalidInput) as refusal:
            build("(?:" * 400 + "a" + ")" * 400)

        assert refusal.value.reason == "CONTRACT_TOO_LARGE"


class TestBudget:
    """The mask under a budget."""

    def test_distance_counts_the_stop_token(self) -> None:
        """An accepting state is one token from the end; the start of `aaaa` three: aa, aa, stop."""
        machine = build("a{4}")

        assert machine.min_tokens == 3
        after = machine.next(machine.start, 7)
        assert after is not None
        assert machine.distance(after) == 2

    def test_a_tight_budget_leaves_only_what_still_fits(self) -> None:
        """With exactly min_tokens left only the shortest ways are open, with more all are."""
        machine = build("a{4}")

        assert ids(machine.mask(machine.start, 3)) == [7]
        assert machine.is_binding(machine.start, 3)
        assert ids(machine.mask(machine.start, 5)) == [2, 7]
        assert not machine.is_binding(machine.start, 5)
        assert ids(machine.mask(machine.start, 2)) == []

    def test_the_stop_token_is_allowed_exactly_in_accepting_states(self) -> None:
        """Also with one token left, and never before the text is complete."""
        machine = build("ab?")
        accepting = machine.next(machine.start, 2)
        assert accepting is not None

        assert ids(machine.mask(accepting, 1)) == [1]
        assert ids(machine.mask(accepting, 2)) == [1, 3]
        assert 1 not in ids(machine.mask(machine.start, 50))

    def test_a_mask_covers_the_logits_and_is_cached(self) -> None:
        """One 32-bit word per 32 columns, rounded up; the same array again while the budget does not bind."""
        machine = build("ab?")

        mask = machine.mask(machine.start, 50)

        assert mask.dtype == np.int32
        assert mask.shape == (3,)
        assert machine.mask(machine.start, 51) is mask

    def test_next_refuses_what_is_not_allowed(self) -> None:
        """Unknown tokens, the stop token and tokens outside the row lead nowhere."""
        machine = build("ab?")

        assert [machine.next(machine.start, token) for token in (0, 1, 3, 69)] == [None] * 4


class TestFiles:
    """Saving and mapping."""

    def test_survives_a_round_trip(self, tmp_path: Path) -> None:
        """A loaded automaton gives the same masks; its arrays are mapped, not copied."""
        original = automaton("invoice")
        original.save(tmp_path)

        loaded = TokenAutomaton.load(tmp_path)

        assert (loaded.state_count, len(loaded.tokens)) == (original.state_count, len(original.tokens))
        assert (loaded.min_tokens, loaded.eos_id, loaded.vocabulary_size) == (original.min_tokens, 1, 400)
        for state in range(0, loaded.state_count, 97):
            for remaining in (1, original.distance(state), 1000):
                assert np.array_equal(loaded.mask(state, remaining), original.mask(state, remaining))
        assert not loaded.tokens.flags.writeable

    @pytest.mark.parametrize("name", ["tokens.npy", "header.npy", "distances.npy"])
    def test_refuses_damaged_files(self, tmp_path: Path, name: str) -> None:
        """A missing or cut file is data loss, never a wrong automaton."""
        automaton("invoice").save(tmp_path)
        data = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(data[: len(data) // 2])

        with pytest.raises(DataLoss):
            TokenAutomaton.load(tmp_path)
