"""Output contracts: compiled before they are stored."""

from __future__ import annotations

import asyncio

from shared.clock import Clock
from shared.contracts.compiler import ContractCompiler
from shared.contracts.report import CompileReport
from shared.contracts.spec import ContractSpec
from shared.names import ContractName, TenantName
from shared.rpc.page import Page
from trainer_svc.domain.registry import Contract
from trainer_svc.store import catalog
from trainer_svc.store.database import Database


class Contracts:
    """Creates and finds contracts."""

    def __init__(self, database: Database, compiler: ContractCompiler, clock: Clock) -> None:
        self._database, self._compiler, self._clock = database, compiler, clock

    async def create(self, name: ContractName, spec: ContractSpec, *, validate_only: bool) -> Contract:
        """Compiles a contract and stores it unless only its report is wanted.

        Raises:
            InvalidInput: CONTRACT_UNSUPPORTED naming every place, or CONTRACT_TOO_LARGE.
            AlreadyExists: the id holds another definition.
        """
        contract = Contract.of(str(name), spec, await self.compile(spec), self._clock.now())
        if validate_only:
            return contract
        return await self._database.run(lambda c: catalog.add_contract(c, contract))

    async def compile(self, spec: ContractSpec) -> CompileReport:
        """What the compiler makes of a definition; nothing is stored but the compiler's own cache.

        Raises `InvalidInput` as `create` does.
        """
        return (await asyncio.to_thread(self._compiler.compile, spec)).report

    async def get(self, name: ContractName) -> Contract:
        """A contract. Raises `NotFound`."""
        return await self._database.run(lambda c: catalog.get_contract(c, name))

    async def page(self, parent: TenantName, page: Page) -> tuple[list[Contract], str]:
        """One page by name."""
        return await self._database.run(lambda c: catalog.list_contracts(c, parent.tenant, page))
