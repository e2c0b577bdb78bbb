"""`goldsmith.contract.v1.ContractService`."""

from __future__ import annotations

from goldsmith.contract.v1 import contract_pb2, contract_service_pb2_grpc
from goldsmith.contract.v1 import contract_service_pb2 as pb
from shared.names import ContractName, TenantName, check_id
from shared.rpc.page import Page
from trainer_svc.app.contracts import Contracts
from trainer_svc.service import Context
from trainer_svc.translate import contract as translate


class ContractServicer(contract_service_pb2_grpc.ContractServiceServicer):
    """Output contracts of a tenant."""

    def __init__(self, contracts: Contracts) -> None:
        self._contracts = contracts

    async def CreateContract(self, request: pb.CreateContractRequest, context: Context) -> contract_pb2.OutputContract:
        """Compiles and stores a contract."""
        parent = TenantName.parse(request.parent)
        name = ContractName(parent.tenant, check_id(request.contract_id, "contract_id"))
        spec = translate.spec_from(request.contract)
        return translate.contract(await self._contracts.create(name, spec, validate_only=request.validate_only))

    async def CompileContract(self, request: pb.CompileContractRequest, context: Context) -> pb.CompileContractResponse:
        """The report of a definition that is not stored."""
        TenantName.parse(request.parent)
        spec = translate.spec_from(request.contract)
        return translate.compiled(spec, await self._contracts.compile(spec))

    async def GetContract(self, request: pb.GetContractRequest, context: Context) -> contract_pb2.OutputContract:
        """A contract."""
        return translate.contract(await self._contracts.get(ContractName.parse(request.name)))

    async def ListContracts(self, request: pb.ListContractsRequest, context: Context) -> pb.ListContractsResponse:
        """One page by name."""
        page = Page.parse(request.page_size, request.page_token)
        found, token = await self._contracts.page(TenantName.parse(request.parent), page)
        return pb.ListContractsResponse(contracts=map(translate.contract, found), next_page_token=token)
