"""A served replica, and contracts of every kind."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Callable
from typing import TypeVar

from shared.client import InferenceClient
from shared.client.channel import call, open_channel
from shared.client.inference import Answer
from shared.contracts.spec import ContractKind, ContractSpec
from tests.unit.inference_svc.conftest import Replica

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
Found = TypeVar("Found")


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


def generating(contract: str, **sampling: int) -> Callable[[InferenceClient], Answer]:
    """What a client does that asks one question under a contract."""
    return lambda client: client.generate("", "is it so?", contract=contract, **sampling)
