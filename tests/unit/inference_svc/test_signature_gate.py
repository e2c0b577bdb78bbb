"""Revisions that somebody trusted has to have signed, through the real loader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from inference_svc.app import signature_gate
from inference_svc.domain.residency import ResidentState
from shared.adapter.key_file import TrustedKeyFile
from shared.adapter.package import SIGNATURE_NAME, WEIGHTS_NAME
from shared.base_model import BaseModel
from shared.errors import DomainError, NotFound, StateConflict
from shared.names import RevisionName
from tests.operator_key import OperatorKey
from tests.unit.inference_svc.conftest import ALIAS, Replica, until

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]

ONE, OTHER = OperatorKey(1), OperatorKey(2)
Start = Callable[[], Replica]


@pytest.fixture(autouse=True)
def _ask_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signature_gate, "_RETRY_SECONDS", 0.0)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """The operator's list, with one key."""
    _trust(tmp_path / "trusted.pem", ONE)
    return tmp_path / "trusted.pem"


def _trust(keys: Path, *operators: OperatorKey) -> None:
    keys.write_bytes(b"".join(operator.public_pem for operator in operators))


@pytest.fixture
def strict(tiny_base: BaseModel, tmp_path: Path, keys: Path) -> Replica:
    """A replica that loads only what is signed by a key of the list."""
    return Replica(tiny_base, tmp_path, trusted_keys=TrustedKeyFile(keys, "trusted_keys_file"))


async def _refusal(replica: Replica, name: RevisionName) -> DomainError:
    with pytest.raises(StateConflict) as caught:
        await replica.use(str(name))
    assert caught.value.reason == "SIGNATURE_REFUSED"
    assert replica.states()[name.number] is ResidentState.REJECTED
    return caught.value


class TestSignatureGate:
    """Before each load."""

    async def test_lets_in_what_a_trusted_key_signed(self, strict: Replica) -> None:
        """It is served as any other."""
        name = strict.publish(1)
        ONE.sign(strict.registry.packages[name])

        await strict.use(str(name))

        assert strict.states() == {1: ResidentState.LIVE}

    async def test_refuses_the_unsigned_before_its_weights_are_fetched(self, strict: Replica) -> None:
        """Rejected with the reason and the fault; nothing of it is on this disk."""
        name = strict.publish(1)

        error = await _refusal(strict, name)

        assert error.metadata == {"fault": "missing"}
        assert strict.registry.downloads == 0
        assert not strict.engine.adapters

    async def test_refuses_what_somebody_else_signed(self, strict: Replica) -> None:
        """Whoever can publish cannot vouch."""
        name = strict.publish(1)
        OTHER.sign(strict.registry.packages[name])

        assert (await _refusal(strict, name)).metadata == {"fault": "untrusted"}

    async def test_refuses_the_signature_of_another_revision(self, strict: Replica) -> None:
        """It binds one manifest, and so one set of weights."""
        name, other = strict.publish(1), strict.publish(2)
        ONE.sign(strict.registry.packages[other])
        stolen = (strict.registry.packages[other] / SIGNATURE_NAME).read_bytes()
        (strict.registry.packages[name] / SIGNATURE_NAME).write_bytes(stolen)

        assert (await _refusal(strict, name)).metadata == {"fault": "mismatch"}

    async def test_refuses_other_weights_under_a_good_signature(self, strict: Replica) -> None:
        """The signature covers the manifest, the manifest the weights."""
        name, other = strict.publish(1), strict.publish(2)
        ONE.sign(strict.registry.packages[name])
        swapped = (strict.registry.packages[other] / WEIGHTS_NAME).read_bytes()
        (strict.registry.packages[name] / WEIGHTS_NAME).write_bytes(swapped)

        with pytest.raises(DomainError) as caught:
            await strict.use(str(name))

        assert caught.value.reason == "DIGEST_MISMATCH"

    async def test_takes_it_once_its_key_is_added(self, strict: Replica, keys: Path) -> None:
        """A refusal is not for ever: the list is read again."""
        name = strict.publish(1)
        OTHER.sign(strict.registry.packages[name])
        await _refusal(strict, name)
        _trust(keys, ONE, OTHER)

        await strict.use(str(name))

        assert strict.states() == {1: ResidentState.LIVE}

    async def test_a_removed_key_stops_new_loads_and_not_what_serves(self, strict: Replica, keys: Path) -> None:
        """What is in the engine stays until it leaves; what is on disk does not come in again."""
        name = strict.publish(1)
        ONE.sign(strict.registry.packages[name])
        await strict.use(str(name))
        _trust(keys, OTHER)

        await strict.use(str(name))
        restarted = strict.new_fleet()
        with pytest.raises(StateConflict) as caught:
            async with restarted.lease(str(name)):
                pass

        assert caught.value.metadata == {"fault": "untrusted"}
        assert strict.registry.downloads == 1

    async def test_a_refused_promotion_leaves_what_serves(self, strict: Replica) -> None:
        """Requests for the alias get the revision before, as with any other that cannot be loaded."""
        signed, unsigned = strict.publish(1), strict.publish(2)
        ONE.sign(strict.registry.packages[signed])
        strict.fleet.point(ALIAS, signed)
        await strict.use(str(ALIAS))

        strict.fleet.point(ALIAS, unsigned)
        await until(lambda: strict.states().get(2) is ResidentState.REJECTED)

        async with strict.fleet.lease(str(ALIAS)) as resident:
            assert resident.revision == signed
        await strict.fleet.stop()

    async def test_what_is_on_disk_needs_no_registry(self, strict: Replica) -> None:
        """Its signature is there too."""
        name = strict.publish(1)
        ONE.sign(strict.registry.packages[name])
        await strict.use(str(name))
        strict.registry.away = True
        restarted = strict.new_fleet()
        restarted.register(name, strict.registry.digests[name])

        async with restarted.lease(str(name)) as resident:
            assert resident.state is ResidentState.LIVE

    async def test_what_was_fetched_unsigned_is_checked_too(self, strict: Replica, tiny_base: BaseModel) -> None:
        """A list that is set later counts for old files; signed since then in the registry, they are taken."""
        open_replica = Replica(tiny_base, strict.folder)
        name = open_replica.publish(1)
        await open_replica.use(str(name))
        strict.registry = open_replica.registry
        late = strict.new_fleet()
        with pytest.raises(StateConflict) as caught:
            async with late.lease(str(name)):
                pass
        ONE.sign(strict.registry.packages[name])

        async with late.lease(str(name)) as resident:
            assert resident.state is ResidentState.LIVE

        assert caught.value.metadata == {"fault": "missing"}
        assert strict.registry.downloads == 1

    async def test_looks_at_nothing_without_a_list(self, replica: Replica) -> None:
        """Not even at the form of a signature: who trusts nobody in particular is not served worse for one."""
        name = replica.publish(1)
        (replica.registry.packages[name] / SIGNATURE_NAME).write_bytes(b"no signature")

        await replica.use(str(name))

        assert replica.states() == {1: ResidentState.LIVE}

    async def test_a_file_too_long_for_a_signature_is_no_part_of_a_package(self, replica: Replica) -> None:
        """With or without a list."""
        name = replica.publish(1)
        (replica.registry.packages[name] / SIGNATURE_NAME).write_bytes(b"x" * 5000)

        with pytest.raises(StateConflict, match="exceeds 4096 bytes"):
            await replica.use(str(name))

    async def test_whoever_asks_meanwhile_is_told_why(self, strict: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
        """Until it is tried again, without a question to the registry."""
        monkeypatch.setattr(signature_gate, "_RETRY_SECONDS", 60.0)
        name = strict.publish(1)
        await _refusal(strict, name)

        with pytest.raises(NotFound, match="SIGNATURE_REFUSED"):
            await strict.use(str(name))
