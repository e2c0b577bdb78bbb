"""Special and added tokens never appear inside an answer, whatever the contract."""

from __future__ import annotations

import json

import pytest

from shared.base_model import BaseModel
from shared.contracts.spec import ContractKind, ContractSpec
from shared.errors import InternalFault
from shared.prompt import PromptRenderer
from tests.unit.contracts.sample import build_contract

ANYTHING = ContractSpec(ContractKind.TEXT)
"""The widest language that a contract can have: what it does not allow, no contract does."""


@pytest.fixture(params=["tiny_base", "shipped_base"])
def base(request: pytest.FixtureRequest) -> BaseModel:
    """Two tokenizers with added tokens."""
    model: BaseModel = request.getfixturevalue(request.param)
    return model


def _added(base: BaseModel) -> dict[int, str]:
    body = json.loads(base.tokenizer_file.read_bytes())
    return {int(token["id"]): token["content"] for token in body["added_tokens"]}


class TestAddedTokens:
    """Tokens that a detokenizer drops or spells in its own way."""

    def test_are_allowed_in_no_state(self, base: BaseModel) -> None:
        """Not even where any text may follow; the stop token stands at the end only."""
        vocabulary, added = base.vocabulary(), _added(base)
        automaton = build_contract(ANYTHING, vocabulary)
        allowed = {
            int(token) for state in range(automaton.state_count) for token in automaton.allowed(state, 1_000)
        } - {vocabulary.eos_id}

        assert len(added) > 1
        assert not added.keys() & allowed
        assert not added.keys() & vocabulary.token_bytes.keys()
        assert allowed <= vocabulary.token_bytes.keys()

    def test_tokens_allowed_spell_the_bytes_that_were_counted(self, base: BaseModel) -> None:
        """Decoding an answer gives exactly the text that the automaton followed, token by token."""
        vocabulary, renderer = base.vocabulary(), PromptRenderer.load(base)
        text = 'a "value" {é😀} ' + "".join(_added(base).values())

        tokens = renderer.completion_ids(text)

        assert tokens[-1] == vocabulary.eos_id
        assert not _added(base).keys() & set(tokens[:-1])
        assert b"".join(vocabulary.token_bytes[token] for token in tokens[:-1]).decode() == text
        assert build_contract(ANYTHING, vocabulary).accepts(tokens[:-1])

    def test_inside_an_answer_they_are_a_broken_guarantee(self, base: BaseModel) -> None:
        """An engine that lets one slip through is caught before the text is sent."""
        renderer = PromptRenderer.load(base)
        special = next(token for token in _added(base) if token not in renderer.stop_ids)
        tokens = renderer.completion_ids("ab")

        with pytest.raises(InternalFault) as caught:
            renderer.decode([tokens[0], special, *tokens[1:]])

        assert caught.value.reason == "GUARANTEE_BROKEN"
