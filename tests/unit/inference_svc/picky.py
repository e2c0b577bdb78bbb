"""A contract whose check refuses nearly all that its automaton lets pass, and questions under it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from inference_svc.domain.generation import Question
from shared.contracts.compiled import CompiledContract
from shared.contracts.report import Guarantee
from shared.errors import FieldViolation
from tests.unit.inference_svc.conftest import ALIAS, QUESTION, Replica


class PickyContract(CompiledContract):
    """A contract whose check refuses every answer but "perhaps", whatever its automaton lets pass."""

    on_check: Callable[[], None] = staticmethod(lambda: None)

    def check(self, text: str) -> tuple[FieldViolation, ...]:
        """One fault, or none."""
        self.on_check()
        return () if text == '"perhaps"' else (FieldViolation("output#", f"{text} is not wanted"),)


def picky(contract: CompiledContract, guarantee: Guarantee) -> PickyContract:
    """The contract with another check, and with the promise that is given."""
    own = {field.name: getattr(contract, field.name) for field in dataclasses.fields(contract)}
    return PickyContract(**own | {"report": dataclasses.replace(contract.report, guarantee=guarantee)})


def ask(**changes: object) -> Question:
    """The question with other fields."""
    return dataclasses.replace(QUESTION, **changes)


async def picky_replica(replica: Replica, guarantee: Guarantee) -> Replica:
    """With one live adapter, under a picky contract that promises what is given."""
    replica.fleet.point(ALIAS, replica.publish(1))
    await replica.settle()
    for resident, _ in replica.fleet.residents("acme"):
        assert resident.contract is not None
        resident.contract = picky(resident.contract, guarantee)
    return replica


def script(replica: Replica, *texts: str) -> list[list[int]]:
    """Sets what the engine answers next; the tokens of each text."""
    replica.engine.script = [replica.renderer.completion_ids(text) for text in texts]
    return list(replica.engine.script)
