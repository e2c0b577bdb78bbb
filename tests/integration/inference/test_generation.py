"""Answers of the inference service under contracts of every kind."""

from __future__ import annotations

import pytest

from goldsmith.contract.v1 import contract_pb2
from shared.client.inference import Answer
from shared.contracts.check import check_output
from shared.errors import StateConflict
from tests.integration.inference.house import PAIRS, SPECS, House, generating

TWINS, PAIR = '[{"a":"x"},{"a":"x"}]', '[{"a":"x"},{"a":"y"}]'
pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


class TestGenerate:
    """The method for every kind."""

    @pytest.mark.parametrize("contract", SPECS)
    async def test_answers_under_a_contract_of_any_kind(self, house: House, contract: str) -> None:
        """The text keeps the contract; the summary says its kind and what was promised."""
        answer = await house.ask(generating(contract, max_output_tokens=60))

        kind = contract_pb2.ContractKind.Name(answer.summary.contract_kind).removeprefix("CONTRACT_KIND_").lower()
        assert check_output(SPECS[contract], answer.text) == ()
        assert contract.endswith(kind)
        assert answer.summary.contract == contract
        assert answer.summary.attempt_count == 1
        assert answer.summary.guarantee == (
            contract_pb2.GUARANTEE_NONE if kind == "text" else contract_pb2.GUARANTEE_CERTAIN
        )

    @pytest.mark.parametrize("contract", SPECS)
    async def test_streams_the_same_text(self, house: House, contract: str) -> None:
        """Pieces join to what the unary method answers."""
        whole = await house.ask(generating(contract, max_output_tokens=60))
        *pieces, last = await house.ask(
            lambda client: list(client.stream("", "is it so?", contract=contract, max_output_tokens=60))
        )

        assert isinstance(last, Answer)
        assert "".join(map(str, pieces)) == last.text == whole.text

    async def test_pieces_are_whole_characters(self, house: House) -> None:
        """A character whose bytes come as several tokens is held back until it is complete."""
        text, name = "aé😀€", "tenants/acme/contracts/text"
        house.script(text)

        *pieces, last = await house.ask(lambda client: list(client.stream("", "x", contract=name)))

        assert isinstance(last, Answer)
        assert pieces == list(text)
        assert last.summary.usage.output_tokens > len(text) + 1


class TestCheckedKeywords:
    """A contract whose `uniqueItems` is checked: its items are objects, which no engine tells apart."""

    async def test_an_attempt_that_breaks_it_is_tried_again(self, house: House) -> None:
        """The answer is the attempt that passed; the summary says how many it took."""
        house.script(TWINS, TWINS, PAIR)

        answer = await house.ask(generating(PAIRS))

        assert answer.text == PAIR
        assert answer.summary.guarantee == contract_pb2.GUARANTEE_SOUND
        assert answer.summary.attempt_count == 3

    async def test_a_stream_holds_the_text_back_until_it_passed(self, house: House) -> None:
        """Nothing of the failed attempt is ever seen."""
        house.script(TWINS, PAIR)

        *pieces, last = await house.ask(lambda client: list(client.stream("", "x", contract=PAIRS)))

        assert pieces == [PAIR]
        assert isinstance(last, Answer)

    async def test_attempts_that_all_fail_are_an_error_that_arrives_whole(self, house: House) -> None:
        """FAILED_PRECONDITION with the reason, what the last attempt broke, and what was spent."""
        house.script(TWINS, TWINS, TWINS, PAIR)

        with pytest.raises(StateConflict) as caught:
            await house.ask(generating(PAIRS))

        assert caught.value.reason == "FORMAT_CHECK_FAILED"
        assert [violation.path for violation in caught.value.violations] == ["output#"]
        assert "non-unique" in caught.value.violations[0].description
        assert caught.value.metadata["attempt_count"] == "3"
        spent = 3 * len(house.replica.renderer.completion_ids(TWINS))
        assert caught.value.metadata["output_tokens"] == str(spent)
