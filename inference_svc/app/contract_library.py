"""Compiled contracts in memory, each compiled at most once and never on the event loop."""

from __future__ import annotations

import asyncio

from inference_svc.app.ports import Registry
from shared.contracts.compiled import CompiledContract
from shared.contracts.compiler import ContractCompiler
from shared.contracts.spec import ContractSpec
from shared.names import ContractName


class ContractLibrary:
    """Contracts by definition, and by name through the registry (a contract's name never changes its meaning)."""

    def __init__(self, compiler: ContractCompiler, registry: Registry) -> None:
        self._compiler, self._registry = compiler, registry
        self._compiled: dict[str, asyncio.Task[CompiledContract]] = {}
        self._by_name: dict[ContractName, ContractSpec] = {}

    async def get(self, spec: ContractSpec) -> CompiledContract:
        """The compiled contract. Raises `InvalidInput` where it cannot be guaranteed."""
        task = self._compiled.get(spec.digest)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = asyncio.create_task(asyncio.to_thread(self._compiler.compile, spec))
            self._compiled[spec.digest] = task
        # Shielded: the caller who came first may hang up while others wait for the same contract.
        return await asyncio.shield(task)

    async def named(self, name: ContractName) -> CompiledContract:
        """The compiled contract of that name. Raises `NotFound`."""
        if name not in self._by_name:
            self._by_name[name] = await self._registry.contract(name)
        return await self.get(self._by_name[name])
