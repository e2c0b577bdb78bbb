"""A replica of our own inference service as a teacher: its real servicer over a socket, with an engine in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator

import grpc
import pytest
import pytest_asyncio

from goldsmith.inference.v1 import inference_service_pb2_grpc
from inference_svc.service import InferenceServicer
from shared.base_model import BaseModel
from shared.contracts.spec import ContractKind, ContractSpec
from shared.rpc.interceptor import ErrorInterceptor
from tests.unit.inference_svc.conftest import Replica
from trainer_svc.curation.question import Question
from trainer_svc.teacher.base import NoAnswer, TeacherRefused
from trainer_svc.teacher.goldsmith import GoldsmithTeacher
from trainer_svc.teacher.settings import TeacherEntry

CONTRACT = "tenants/acme/contracts/choice"
QUESTION = Question("Sort it.", (("my card", "billing"),), "is it so?", CONTRACT, "")
pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


@dataclasses.dataclass
class House:
    """A served replica, and the teacher that asks it."""

    replica: Replica
    teacher: GoldsmithTeacher


@pytest_asyncio.fixture
async def house(tiny_base: BaseModel, tmp_path) -> AsyncIterator[House]:
    """A replica with the dataset's contract."""
    replica = Replica(tiny_base, tmp_path)
    replica.registry.specs |= {CONTRACT: ContractSpec(ContractKind.CHOICE, choices=("billing", "refund"))}
    server = grpc.aio.server(interceptors=[ErrorInterceptor()])
    servicer = InferenceServicer(replica.answering, replica.fleet)
    inference_service_pb2_grpc.add_InferenceServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    entry = {"kind": "goldsmith", "url": f"127.0.0.1:{port}", "tenants": "*", "timeout_seconds": 20.0}
    teacher = GoldsmithTeacher(TeacherEntry.model_validate(entry))
    yield House(replica, teacher)
    await teacher.close()
    await server.stop(0)


class TestGoldsmithTeacher:
    """What it asks for is what the service takes."""

    async def test_answers_under_the_dataset_s_contract(self, house: House) -> None:
        """Instructions, examples, seed, temperature and limit are all in the request's form."""
        house.replica.engine.script = [house.replica.renderer.completion_ids("refund")]

        assert await house.teacher.answer(QUESTION, seed=7) == "refund"

    async def test_a_contract_that_it_does_not_know_refuses(self, house: House) -> None:
        """The operator has to join it to the trainer's registry."""
        with pytest.raises(TeacherRefused):
            await house.teacher.answer(dataclasses.replace(QUESTION, contract=f"{CONTRACT}-none"), seed=7)

    async def test_a_question_beyond_its_context_has_no_answer(self, house: House) -> None:
        """Shorter ones may have."""
        with pytest.raises(NoAnswer):
            await house.teacher.answer(dataclasses.replace(QUESTION, input="word " * 9_000), seed=7)
