"""Requests that the inference service refuses, and what it says while its engine is away."""

from __future__ import annotations

from collections.abc import Callable

import grpc
import pytest
from google.protobuf.message import Message

from goldsmith.inference.v1 import generation_pb2, inference_service_pb2, inference_service_pb2_grpc
from shared.errors import InvalidInput, Unavailable
from shared.rpc.status import from_rpc_error
from tests.integration.inference.house import CHOICE, SPECS, House, generating

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


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

        answer = await house.ask(generating(CHOICE))

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
