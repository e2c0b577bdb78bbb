"""What is known of a whole machine: how long its answers are, and that a file gives it back."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from shared.contracts.automaton_guide import AutomatonGuide
from shared.contracts.grammar_guide import GrammarGuide
from shared.contracts.grammar_machine import GrammarMachine
from shared.contracts.index import build_automaton
from shared.contracts.measure import longest_tokens, typical_tokens
from tests.unit.contracts.grammar.grammars import machine
from tests.unit.contracts.sample import automaton, vocabulary


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

    def test_a_loaded_machine_gives_the_same_masks(self, tmp_path: Path) -> None:
        """Written and read back, the vocabulary taken from this process or from the folder."""
        own = machine("records")
        own.save(tmp_path)

        loaded = GrammarMachine.load(tmp_path, vocabulary().digest)

        assert loaded.min_tokens == own.min_tokens
        assert np.array_equal(GrammarGuide(loaded).mask(200), GrammarGuide(own).mask(200))
