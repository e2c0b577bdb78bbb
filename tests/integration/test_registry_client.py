"""The registry over gRPC, as the inference service reads it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import grpc
import pytest
import pytest_asyncio

from goldsmith.contract.v1 import contract_pb2, contract_service_pb2_grpc
from inference_svc.registry_client import GrpcRegistry
from shared.contracts.spec import ContractKind, ContractSpec, SqlProfile
from shared.errors import DataLoss
from shared.names import ContractName
from shared.rpc.contract_message import definition_of

NAME = ContractName("acme", "answer")
SPEC = ContractSpec(ContractKind.SQL, ddl="CREATE TABLE t (a TEXT);", dialect="duckdb", profile=SqlProfile.NESTED)
pytestmark = pytest.mark.asyncio


@dataclass
class OneContract(contract_service_pb2_grpc.ContractServiceServicer):
    """A registry that holds one contract; the generated base says UNIMPLEMENTED to every other method."""

    stored: contract_pb2.OutputContract

    async def GetContract(self, request: object, context: object) -> contract_pb2.OutputContract:  # noqa: N802
        """The one, whatever the name."""
        return self.stored


@pytest_asyncio.fixture
async def registry() -> AsyncIterator[tuple[GrpcRegistry, OneContract]]:
    """The client and what it reads from."""
    stored = contract_pb2.OutputContract(name=str(NAME), digest=SPEC.digest)
    stored.MergeFrom(definition_of(SPEC))
    held = OneContract(stored)  # type: ignore[abstract]  # only the type stub calls the other methods abstract
    server = grpc.aio.server()
    contract_service_pb2_grpc.add_ContractServiceServicer_to_server(held, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    client = GrpcRegistry(f"127.0.0.1:{port}")
    yield client, held
    await client.close()
    await server.stop(0)


class TestContract:
    """Definitions by name."""

    async def test_is_read_with_every_option(self, registry: tuple[GrpcRegistry, OneContract]) -> None:
        """The spec that is compiled here is the one that was registered."""
        client, _ = registry

        assert await client.contract(NAME) == SPEC

    async def test_that_reads_differently_here_is_refused(self, registry: tuple[GrpcRegistry, OneContract]) -> None:
        """A replica that does not understand an option must not promise something else under the same name."""
        client, held = registry
        held.stored.sql.profile = contract_pb2.SQL_PROFILE_FLAT  # as if the option had been lost on the way

        with pytest.raises(DataLoss) as caught:
            await client.contract(NAME)

        assert caught.value.reason == "DIGEST_MISMATCH"
