"""The inference service over a real socket: the servicer, the error table and the client, with an engine in memory."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import grpc
import pytest
import pytest_asyncio
from google.protobuf.message import Message
from typer.testing import CliRunner, Result

from goldsmith.contract.v1 import contract_pb2
from goldsmith.inference.v1 import generation_pb2, inference_service_pb2, inference_service_pb2_grpc
from inference_svc.service import InferenceServicer
from shared.base_model import BaseModel
from shared.cli.main import app
from shared.client import InferenceClient
from shared.client.channel import call, open_channel
from shared.client.inference import Answer
from shared.contracts.check import check_output
from shared.contracts.spec import ContractKind, ContractSpec
from shared.errors import InvalidInput, StateConflict, Unavailable
from shared.rpc.interceptor import ErrorInterceptor
from shared.rpc.status import from_rpc_error
from tests.unit.inference_svc.conftest import ALIAS, Replica

SPECS = {
    f"tenants/acme/contracts/{spec.kind}": spec
    for spec in (
        ContractSpec(ContractKind.JSON, json_schema='{"enum":["yes","no"]}'),
        ContractSpec(ContractKind.SQL, ddl="CREATE TABLE t (a TEXT);"),
        ContractSpec(ContractKind.CHOICE, choices=("billing", "refund")),
        ContractSpec(ContractKind.REGEX, pattern=r"[A-Z]{2}-\d{4}"),
        ContractSpec(ContractKind.TEXT, max_chars=40),
    )
}
CHOICE = f"tenants/acme/contracts/{ContractKind.CHOICE}"
PAIRS = "tenants/acme/contracts/pairs"
PAIRS_SPEC = ContractSpec(
    ContractKind.JSON,
    json_schema=json.dumps(
        {
            "type": "array",
            "minItems": 2,
            "maxItems": 2,
            "uniqueItems": True,
            "items": {
                "type": "object",
                "properties": {"a": {"enum": ["x", "y"]}},
                "required": ["a"],
                "additionalProperties": False,
            },
        }
    ),
)
TWINS, PAIR = '[{"a":"x"},{"a":"x"}]', '[{"a":"x"},{"a":"y"}]'
Found = TypeVar("Found")
pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


@dataclasses.dataclass
class House:
    """A served replica and its address."""

    replica: Replica
    address: str

    def script(self, *texts: str) -> None:
        """What the engine answers next, each as the model's own tokens."""
        self.replica.engine.script = [self.replica.renderer.completion_ids(text) for text in texts]

    async def ask(self, work: Callable[[InferenceClient], Found]) -> Found:
        """Runs what a client does in a thread of its own, as the client is a blocking one."""

        def run() -> Found:
            with InferenceClient(self.address) as client:
                return work(client)

        return await asyncio.to_thread(run)

    async def send_raw(self, method: str, data: bytes) -> bytes:
        """Sends bytes as they are: what a client of another version might send."""

        def run() -> bytes:
            with open_channel(self.address) as channel:
                stub = channel.unary_unary(
                    f"/goldsmith.inference.v1.InferenceService/{method}", lambda data: data, lambda data: data
                )
                answer: bytes = call(stub, data, 20.0)
                return answer

        return await asyncio.to_thread(run)


@pytest_asyncio.fixture
async def house(tiny_base: BaseModel, tmp_path) -> AsyncIterator[House]:
    """A replica with a contract of every kind, behind a real socket."""
    replica = Replica(tiny_base, tmp_path)
    replica.registry.specs |= SPECS | {PAIRS: PAIRS_SPEC}
    server = grpc.aio.server(interceptors=[ErrorInterceptor()])
    servicer = InferenceServicer(replica.answering, replica.fleet)
    inference_service_pb2_grpc.add_InferenceServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield House(replica, f"127.0.0.1:{port}")
    await server.stop(0)


def _generate(contract: str, **sampling: int) -> Callable[[InferenceClient], Answer]:
    return lambda client: client.generate("", "is it so?", contract=contract, **sampling)


class TestGenerate:
    """The method for every kind."""

    @pytest.mark.parametrize("contract", SPECS)
    async def test_answers_under_a_contract_of_any_kind(self, house: House, contract: str) -> None:
        """The text keeps the contract; the summary says its kind and what was promised."""
        answer = await house.ask(_generate(contract, max_output_tokens=60))

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
        whole = await house.ask(_generate(contract, max_output_tokens=60))
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

        answer = await house.ask(_generate(PAIRS))

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
            await house.ask(_generate(PAIRS))

        assert caught.value.reason == "FORMAT_CHECK_FAILED"
        assert [violation.path for violation in caught.value.violations] == ["output#"]
        assert "non-unique" in caught.value.violations[0].description
        assert caught.value.metadata["attempt_count"] == "3"
        spent = 3 * len(house.replica.renderer.completion_ids(TWINS))
        assert caught.value.metadata["output_tokens"] == str(spent)


class TestKinds:
    """Methods of one kind."""

    @pytest.mark.parametrize(
        ("method", "contract"),
        [
            (method, contract)
            for method, served in (("extract", "json"), ("generate_sql", "sql"))
            for contract in SPECS
            if not contract.endswith(f"/{served}")
        ],
    )
    async def test_refuse_the_others_and_name_the_method_that_serves_them(
        self, house: House, method: str, contract: str
    ) -> None:
        """Before a token is spent, with the field that named the contract."""
        with pytest.raises(InvalidInput) as caught:
            await house.ask(lambda client: getattr(client, method)("", "x", contract=contract))

        hint = {"json": "Extract", "sql": "GenerateSql"}.get(contract.rpartition("/")[2], "Generate")
        assert [violation.path for violation in caught.value.violations] == ["prompt.contract"]
        assert f"call {hint}," in str(caught.value)
        assert house.replica.engine.calls == []


class TestUnavailable:
    """What clients are told to do while the engine is being restarted."""

    async def test_a_client_with_a_retry_policy_sees_no_failure(
        self, house: House, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It waits as long as the trailer says and tries again by itself; others read the same time in RetryInfo."""
        refusals = [Unavailable("NOT_SERVING", "the engine is being restarted", retry_after_seconds=0.25)] * 4

        def check() -> None:
            if refusals:
                raise refusals.pop()

        monkeypatch.setattr(house.replica.engine, "check", check)
        request = inference_service_pb2.GenerateRequest(
            prompt=inference_service_pb2.Prompt(input="is it so?", contract=CHOICE)
        )
        async with grpc.aio.insecure_channel(house.address, options=[("grpc.enable_retries", 0)]) as channel:
            stub = inference_service_pb2_grpc.InferenceServiceStub(channel)
            with pytest.raises(grpc.aio.AioRpcError) as told:
                await stub.Generate(request, timeout=20)

        answer = await house.ask(_generate(CHOICE))

        assert ("grpc-retry-pushback-ms", "250") in tuple(told.value.trailing_metadata())
        assert from_rpc_error(told.value).retry_after_seconds == 0.25
        assert not refusals
        assert answer.text in SPECS[CHOICE].choices


class TestUnknownFields:
    """Requests of a newer version of the API, or with parameters of another one."""

    @pytest.mark.parametrize(
        ("method", "message"),
        [
            ("Generate", inference_service_pb2.GenerateRequest),
            ("Extract", inference_service_pb2.ExtractRequest),
            ("GenerateSql", inference_service_pb2.GenerateSqlRequest),
        ],
    )
    @pytest.mark.parametrize(
        ("extra", "path"),
        [
            (b"\x12\x08\x4a\x06}\n\n\n\n\n", "sampling"),  # field 9 of sampling: a stop string
            (b"\x0a\x02\x48\x01", "prompt"),  # field 9 of the prompt: a flag
            (b"\x48\x01", ""),  # field 9 of the request
        ],
    )
    async def test_are_refused_not_ignored(
        self, house: House, method: str, message: Callable[..., Message], extra: bytes, path: str
    ) -> None:
        """A parameter that would be dropped in silence is named by its place and number."""
        name = "tenants/acme/contracts/sql" if method == "GenerateSql" else "tenants/acme/contracts/json"
        request = message(
            prompt=inference_service_pb2.Prompt(input="x", contract=name),
            sampling=generation_pb2.Sampling(seed=1),
        ).SerializeToString()

        with pytest.raises(InvalidInput) as caught:
            await house.send_raw(method, request + extra)
        answered = await house.send_raw(method, request)

        assert [(v.path, v.description) for v in caught.value.violations] == [(path, "holds unknown field number(s) 9")]
        assert answered
        assert len(house.replica.engine.calls) == 1


class TestAdapters:
    """What a replica tells of its adapters, over the socket and on the command line."""

    async def test_a_watch_follows_a_promotion_to_its_end(self, house: House) -> None:
        """From the first state to LIVE under its alias; what the list says then is the same."""
        seen: list[inference_service_pb2.ResidentAdapter] = []

        def follow(client: InferenceClient) -> None:
            for adapter in client.watch_resident_adapters("tenants/acme", timeout_seconds=30):
                seen.append(adapter)
                if adapter.aliases and adapter.state == inference_service_pb2.RESIDENT_ADAPTER_STATE_LIVE:
                    return

        watching = asyncio.create_task(house.ask(follow))
        house.replica.fleet.point(ALIAS, house.replica.publish(1))
        await watching
        listed = await house.ask(lambda client: client.resident_adapters("tenants/acme"))

        assert seen[-1].state == inference_service_pb2.RESIDENT_ADAPTER_STATE_LIVE
        assert list(seen[-1].aliases) == [str(ALIAS)]
        assert listed == seen[-1:]

    async def test_a_watch_ends_when_the_replica_drains(self, house: House) -> None:
        """With UNAVAILABLE, so that a client tries another one."""
        loop = asyncio.get_running_loop()

        def follow(client: InferenceClient) -> None:
            for _ in client.watch_resident_adapters("tenants/acme", timeout_seconds=30):
                loop.call_soon_threadsafe(house.replica.fleet.close_watches)

        house.replica.fleet.point(ALIAS, house.replica.publish(1))
        with pytest.raises(Unavailable, match="drains"):
            await house.ask(follow)

    async def test_the_command_lists_and_watches_them(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        """One line for each; a watch that is cut off ends with 1 and says why."""
        house.replica.fleet.point(ALIAS, house.replica.publish(1))
        await house.replica.settle()
        house.replica.fleet.point(ALIAS, house.replica.publish(2, prompt_digest="sha256:" + "f" * 64))
        await house.replica.settle()

        def run(*options: str) -> Result:
            env = {"COLUMNS": "250", "NO_COLOR": "1", "TERM": "dumb"}
            return CliRunner().invoke(app, ["adapters", "tenants/acme", "--address", house.address, *options], env=env)

        told, watch = asyncio.Event(), house.replica.fleet.watch

        async def counted(tenant: str) -> AsyncIterator[Any]:
            count = 0
            async for line in watch(tenant):
                yield line
                count += 1  # the reader asks for the next
                if count == 2:
                    told.set()

        monkeypatch.setattr(house.replica.fleet, "watch", counted)
        listed = await asyncio.to_thread(run)
        watching = asyncio.create_task(asyncio.to_thread(run, "--watch"))
        await told.wait()
        house.replica.fleet.close_watches()
        watched = await watching

        assert (listed.exit_code, watched.exit_code) == (0, 1), listed.output + watched.output
        for shown in (listed.stdout, watched.stdout):
            first, second = (line for line in shown.splitlines() if "/revisions/" in line)
            assert "live" in first
            assert str(ALIAS) in first
            assert "rejected" in second
            assert "BASE_MODEL_MISMATCH" in second
        assert "NOT_SERVING" in watched.stderr
