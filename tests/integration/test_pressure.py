"""Callers that are slow, vanish, send too much or come too late, over a real socket, with an engine in memory."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
import pytest_asyncio

from goldsmith.inference.v1 import generation_pb2, inference_service_pb2, inference_service_pb2_grpc
from inference_svc.app.admission import Load
from inference_svc.domain.quota import Quota
from inference_svc.service import InferenceServicer
from shared.base_model import BaseModel
from shared.client import InferenceClient
from shared.contracts.spec import ContractKind, ContractSpec
from shared.errors import DomainError, Exhausted, InvalidInput
from shared.names import ContractName
from shared.rpc.interceptor import ErrorInterceptor
from shared.rpc.server import SERVER_OPTIONS
from shared.rpc.status import from_rpc_error
from tests.unit.inference_svc.conftest import CONTRACT, Replica

ROOT = Path(__file__).parents[2]
LONG = "tenants/acme/contracts/long"
LONG_TOKENS = 12_000
IDLE = Load(0, 0)
pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]

# A client in a process of its own: two unary calls and a stream, all waited for at once.
VANISHING = f"""
import sys, threading
from shared.client import InferenceClient
client = InferenceClient(sys.argv[1])
ask = lambda: client.generate("", "is it so?", contract="{CONTRACT}")
for work in (ask, ask, lambda: list(client.stream("", "is it so?", contract="{CONTRACT}"))):
    threading.Thread(target=work).start()
"""


@dataclass
class House:
    """A served replica with one place in the engine and three to wait in."""

    replica: Replica
    address: str
    stub: inference_service_pb2_grpc.InferenceServiceAsyncStub

    def ask(self, **fields: object) -> grpc.aio.UnaryUnaryCall[object, object]:
        """Sends a request; `timeout` is its deadline in seconds."""
        timeout = fields.pop("timeout", 30)
        prompt = inference_service_pb2.Prompt(input="is it so?", contract=str(fields.pop("contract", CONTRACT)))
        return self.stub.Generate(inference_service_pb2.GenerateRequest(prompt=prompt, **fields), timeout=timeout)

    async def ask_in_turn(self, count: int) -> list[grpc.aio.UnaryUnaryCall[object, object]]:
        """Sends requests one after another: the first runs, the others wait in this order."""
        calls = []
        for waiting in range(count):
            calls.append(self.ask())
            await self.until(1, waiting)
        return calls

    async def until(self, running: int, waiting: int) -> None:
        """Waits until as many requests run and wait."""
        while self.replica.admission.load != Load(running, waiting):  # noqa: ASYNC110  # requests come over a socket
            await asyncio.sleep(0.005)


@asynccontextmanager
async def serve(replica: Replica, *options: tuple[str, int]) -> AsyncIterator[House]:
    """The replica behind a real socket; `options` are of the client's channel."""
    server = grpc.aio.server(interceptors=[ErrorInterceptor()], options=SERVER_OPTIONS)
    servicer = InferenceServicer(replica.answering, replica.fleet)
    inference_service_pb2_grpc.add_InferenceServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    address = f"127.0.0.1:{port}"
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        yield House(replica, address, inference_service_pb2_grpc.InferenceServiceStub(channel))
    await server.stop(0)


@pytest_asyncio.fixture
async def house(tiny_base: BaseModel, tmp_path: Path) -> AsyncIterator[House]:
    """A replica whose engine holds its answers back."""
    replica = Replica(tiny_base, tmp_path, running=1, queued=3)
    replica.engine.gate.clear()
    await replica.contracts.named(ContractName.parse(CONTRACT))  # compiled before anybody's time runs
    async with serve(replica) as served:
        yield served


async def error(call: grpc.aio.UnaryUnaryCall[object, object]) -> DomainError:
    """What a call was refused with, as a client reads it."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return from_rpc_error(caught.value)


class TestVanishedClients:
    """Callers that go away."""

    async def test_that_cancel_while_they_wait_leave_the_queue(self, house: House) -> None:
        """The one behind them is next; the engine never hears of them."""
        calls = await house.ask_in_turn(3)

        calls[1].cancel()
        await house.until(1, 1)
        house.replica.engine.gate.set()
        await asyncio.gather(calls[0], calls[2])

        assert house.replica.admission.load == IDLE
        assert len(house.replica.engine.calls) == 2

    async def test_that_cancel_while_they_run_free_their_place(self, house: House) -> None:
        """The engine drops the request, and the next one begins."""
        calls = await house.ask_in_turn(2)

        calls[0].cancel()
        await house.until(1, 0)
        house.replica.engine.gate.set()
        await calls[1]

        assert house.replica.engine.closed_early == 1
        assert house.replica.admission.load == IDLE

    async def test_whose_process_is_killed_leave_nothing_behind(self, house: House) -> None:
        """One request ran and two waited, a stream among them: no place and no request in the engine is left."""
        client = await asyncio.create_subprocess_exec(
            sys.executable, "-c", VANISHING, house.address, env={"PYTHONPATH": f"{ROOT}:{ROOT / 'protos'}"}
        )
        await house.until(1, 2)

        client.kill()
        await client.wait()
        await house.until(0, 0)

        assert house.replica.engine.closed_early == len(house.replica.engine.calls)
        assert not house.replica.admission._answers


class TestDeadlines:
    """Callers whose time is up."""

    async def test_pass_in_the_queue(self, house: House) -> None:
        """A request that never began frees its place in the queue and costs the engine nothing."""
        first = house.ask()
        await house.until(1, 0)
        late = house.ask(timeout=1)
        await house.until(1, 1)

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await late
        await house.until(1, 0)
        house.replica.engine.gate.set()
        await first

        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert len(house.replica.engine.calls) == 1
        assert house.replica.admission.load == IDLE

    async def test_pass_in_the_engine(self, house: House) -> None:
        """The engine's request ends with the caller's time."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await house.ask(timeout=1)
        await house.until(0, 0)

        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert house.replica.engine.closed_early == 1


class TestSlowClients:
    """Callers that do not read what they asked for."""

    async def test_hold_no_place_once_the_engine_is_done(self, tiny_base: BaseModel, tmp_path: Path) -> None:
        """An answer that is larger than what the connection takes waits for its reader outside the engine."""
        replica = Replica(tiny_base, tmp_path, running=1, context_tokens=LONG_TOKENS + 1_000)
        replica.registry.specs[LONG] = ContractSpec(ContractKind.TEXT, max_chars=0)
        letter, end = replica.renderer.completion_ids("x")
        replica.engine.script = [[letter] * LONG_TOKENS + [end]]
        # The smallest window that HTTP/2 knows, which does not grow: a few messages fill it.
        options = (("grpc.http2.lookahead_bytes", 1), ("grpc.http2.bdp_probe", 0))
        async with serve(replica, *options) as house:
            request = inference_service_pb2.GenerateStreamRequest(
                prompt=inference_service_pb2.Prompt(input="x", contract=LONG),
                sampling=generation_pb2.Sampling(max_output_tokens=LONG_TOKENS + 1),
            )
            slow = house.stub.GenerateStream(request, timeout=30)
            first = await slow.read()
            assert first.text_delta

            await house.until(0, 0)
            other = await house.ask()
            rest = []
            while (event := await slow.read()) is not grpc.aio.EOF:
                rest.append(event)

        assert other.text
        assert rest[-1].HasField("summary")
        assert first.text_delta + "".join(event.text_delta for event in rest) == "x" * LONG_TOKENS


class TestTooMuch:
    """Callers that send more than they may."""

    async def test_are_refused_with_all_that_they_need_to_know(self, tiny_base: BaseModel, tmp_path: Path) -> None:
        """Which quota, how large it is and when to come back; a full queue has a name of its own."""
        narrow = Replica(tiny_base, tmp_path, running=1, queued=3, quota=Quota(waiting_requests=1))
        narrow.engine.gate.clear()
        async with serve(narrow) as house:
            calls = await house.ask_in_turn(2)
            refusal = await error(house.ask())
            narrow.engine.gate.set()
            await asyncio.gather(*calls)

        assert isinstance(refusal, Exhausted)
        assert refusal.reason == "QUOTA_EXCEEDED"
        assert refusal.metadata == {"quota": "waiting_requests", "limit": "1"}
        assert refusal.retry_after_seconds == 1.0

    async def test_are_refused_by_a_full_queue(self, house: House) -> None:
        """RESOURCE_EXHAUSTED at once, while those before are served."""
        calls = await house.ask_in_turn(4)

        refusal = await error(house.ask())
        house.replica.engine.gate.set()
        await asyncio.gather(*calls)

        assert (type(refusal), refusal.reason) == (Exhausted, "QUEUE_FULL")
        assert refusal.retry_after_seconds
        assert house.replica.admission.load == IDLE


class TestPriority:
    """The lane that a caller asks for."""

    async def test_batch_work_waits_for_interactive(self, house: House) -> None:
        """Whoever came first."""
        done: list[str] = []

        async def ask(name: str, priority: int) -> None:
            await house.ask(priority=priority)
            done.append(name)

        tasks = []
        for waiting, (name, priority) in enumerate(
            [
                ("first", generation_pb2.PRIORITY_UNSPECIFIED),
                ("batch", generation_pb2.PRIORITY_BATCH),
                ("interactive", generation_pb2.PRIORITY_INTERACTIVE),
            ]
        ):
            tasks.append(asyncio.create_task(ask(name, priority)))
            await house.until(1, waiting)
        house.replica.engine.gate.set()
        await asyncio.gather(*tasks)

        assert done == ["first", "interactive", "batch"]

    async def test_that_is_unknown_is_refused(self, house: House) -> None:
        """A newer client's lane is not taken for another one in silence."""
        refusal = await error(house.ask(priority=7))

        assert isinstance(refusal, InvalidInput)
        assert [violation.path for violation in refusal.violations] == ["priority"]

    async def test_is_an_option_of_the_client(self, house: House) -> None:
        """By its name; a misspelt one never leaves the process."""
        house.replica.engine.gate.set()

        def run(work: Callable[[InferenceClient], object]) -> object:
            with InferenceClient(house.address) as client:
                return work(client)

        answer = await asyncio.to_thread(
            run, lambda client: client.generate("", "x", contract=CONTRACT, priority="batch").text
        )
        with pytest.raises(InvalidInput, match="priority: must be one of interactive, batch"):
            await asyncio.to_thread(run, lambda client: client.generate("", "x", contract=CONTRACT, priority="low"))

        assert answer
