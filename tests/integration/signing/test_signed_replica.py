"""A replica that reads signed revisions from a real trainer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest

from inference_svc.app import signature_gate
from inference_svc.app.ports import Registry
from inference_svc.domain.residency import ResidentState
from inference_svc.registry_client import GrpcRegistry
from shared.adapter.key_file import TrustedKeyFile
from shared.base_model import BaseModel
from shared.errors import DataLoss, DomainError, StateConflict
from tests.integration.signing.house import FOREIGN, ONE, OTHER, ROTTEN, SIGNED, UNSIGNED
from tests.unit.inference_svc.conftest import Replica

pytestmark = pytest.mark.timeout(120)


@dataclass
class _Remote(Replica):
    """A replica whose registry is the real one; contracts, which that one does not have, come from the fake."""

    address: str = ""

    def serving_registry(self) -> Registry:
        """Over gRPC."""
        self.client = GrpcRegistry(self.address)
        return self.client


class TestReplica:
    """A replica with a list of keys, at a real registry."""

    @pytest.mark.asyncio
    async def test_loads_what_is_signed_and_nothing_else(
        self, address: str, tiny_base: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Unsigned, signed by a stranger and rotted revisions are refused; the stranger's once it is trusted, not."""
        monkeypatch.setattr(signature_gate, "_RETRY_SECONDS", 0.0)
        keys = tmp_path / "keys"
        await asyncio.to_thread(keys.write_bytes, ONE.public_pem)
        trusted = TrustedKeyFile(keys, "trusted_keys_file")
        replica = _Remote(tiny_base, tmp_path, capacity=4, trusted_keys=trusted, address=address)

        await replica.use(SIGNED)
        refusals = [await _refusal(replica, name) for name in (UNSIGNED, FOREIGN, ROTTEN)]
        before = replica.states()
        await asyncio.to_thread(keys.write_bytes, ONE.public_pem + OTHER.public_pem)
        await replica.use(FOREIGN)
        await replica.client.close()

        assert [(error.reason, error.metadata.get("fault")) for error in refusals] == [
            ("SIGNATURE_REFUSED", "missing"), ("SIGNATURE_REFUSED", "untrusted"), ("DIGEST_MISMATCH", None),
        ]  # fmt: skip
        assert [type(error) for error in refusals] == [StateConflict, StateConflict, DataLoss]
        assert before[1] is ResidentState.LIVE
        assert {before[number] for number in (2, 3, 4)} == {ResidentState.REJECTED}
        assert replica.states()[3] is ResidentState.LIVE


async def _refusal(replica: Replica, name: str) -> DomainError:
    with pytest.raises(DomainError) as caught:
        await replica.use(name)
    return caught.value
