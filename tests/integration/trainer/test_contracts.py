"""Contracts of the trainer."""

from __future__ import annotations

import grpc
import pytest

from goldsmith.contract.v1 import contract_service_pb2, contract_service_pb2_grpc
from shared.client import TrainerClient
from shared.client.channel import domain_errors
from shared.errors import AlreadyExists, InvalidInput, NotFound
from tests.integration.trainer.house import SCHEMA, TENANT

pytestmark = pytest.mark.timeout(120)


class TestContracts:
    """CreateContract."""

    def test_is_idempotent_by_definition(self, trainer: TrainerClient) -> None:
        """The same again is the same; another definition under the name is refused."""
        again = trainer.create_contract(f"{TENANT}/contracts/answer", json_schema=SCHEMA)

        assert again.report.min_output_tokens > 1
        with pytest.raises(AlreadyExists):
            trainer.create_contract(f"{TENANT}/contracts/answer", json_schema='{"type":"boolean"}')

    def test_validate_only_stores_nothing(self, trainer: TrainerClient, channel: grpc.Channel) -> None:
        """The report comes back, the contract does not exist."""
        name = f"{TENANT}/contracts/dry"
        report = trainer.create_contract(name, json_schema='{"type":"boolean"}', validate_only=True).report
        stub = contract_service_pb2_grpc.ContractServiceStub(channel)

        assert report.state_count > 0
        with pytest.raises(NotFound), domain_errors():
            stub.GetContract(contract_service_pb2.GetContractRequest(name=name), timeout=10)

    def test_lists_in_pages(self, trainer: TrainerClient, channel: grpc.Channel) -> None:
        """Pages join to the list; a foreign token is refused."""
        for number in range(3):
            trainer.create_contract(f"{TENANT}/contracts/page-{number}", json_schema='{"type":"boolean"}')
        stub = contract_service_pb2_grpc.ContractServiceStub(channel)
        names, token = [], ""
        while True:
            request = contract_service_pb2.ListContractsRequest(parent=TENANT, page_size=2, page_token=token)
            page = stub.ListContracts(request, timeout=10)
            names += [contract.name for contract in page.contracts]
            token = page.next_page_token
            if not token:
                break

        assert names == sorted(set(names))
        assert len(names) >= 4
        with pytest.raises(InvalidInput), domain_errors():
            stub.ListContracts(contract_service_pb2.ListContractsRequest(parent=TENANT, page_token="!"), timeout=10)
