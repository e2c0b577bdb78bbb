"""What a replica tells the registry of a canary that it took back, and when it stops telling."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime

import pytest

from inference_svc.app import canaries
from shared.adapter.canary import CanarySplit, RollbackReason
from shared.errors import AccessDenied, DomainError, InternalFault, InvalidInput, NotFound, Unavailable
from shared.names import AliasName
from tests.unit.inference_svc.conftest import ALIAS, FakeRegistry, Replica, revision

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]

SPLIT = CanarySplit(revision(2), 50, start_time=datetime(2026, 1, 1, tzinfo=UTC))


class Refusing:
    """A registry's `roll_back_canary` that fails as often as there are errors, then takes the report."""

    def __init__(self, *errors: DomainError) -> None:
        self.errors, self.asked = list(errors), 0

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Answers for every registry from now on."""

        async def answer(
            registry: FakeRegistry, alias: AliasName, split: CanarySplit, reason: RollbackReason, description: str
        ) -> None:
            self.asked += 1
            if self.errors:
                raise self.errors.pop(0)

        patch.setattr(FakeRegistry, "roll_back_canary", answer)
        patch.setattr(canaries, "_FIRST_RETRY_SECONDS", 0.001)


async def _take_back(replica: Replica) -> None:
    """Revision 2, a canary beside revision 1, is found to be worse; returns when the registry is asked no more."""
    replica.fleet.point(ALIAS, replica.publish(1), SPLIT)
    replica.publish(2)
    await replica.settle()
    replica.fleet._canaries.found_out(revision(2))
    while replica.fleet._canaries._tasks:
        await asyncio.gather(*replica.fleet._canaries._tasks, return_exceptions=True)


class TestReport:
    """The call that ends a trial at the registry."""

    @pytest.mark.parametrize(
        "error",
        [NotFound("RESOURCE_NOT_FOUND", "no such alias"), InvalidInput("FIELD_INVALID", "description is too long")],
        ids=lambda error: type(error).__name__,
    )
    async def test_is_dropped_when_the_registry_says_that_it_never_can_be_taken(
        self, replica: Replica, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: DomainError
    ) -> None:
        """The same words would be refused for ever; one line says so, and the canary stays without requests here."""
        registry = Refusing(*[error] * 3)
        registry.install(monkeypatch)

        await _take_back(replica)

        assert registry.asked == 1
        assert [line.levelno for line in caplog.records if "not told" in line.message] == [logging.ERROR]
        assert replica.fleet.canary_shares(revision(2)) == [(str(ALIAS), 0)]

    @pytest.mark.parametrize(
        "error",
        [
            Unavailable("NOT_SERVING", "away"),
            InternalFault("INTERNAL", "a bug that is mended some day"),
            AccessDenied("ACCESS_DENIED", "until an operator grants the role"),
        ],
        ids=lambda error: type(error).__name__,
    )
    async def test_is_made_again_after_what_may_pass(
        self, replica: Replica, monkeypatch: pytest.MonkeyPatch, error: DomainError
    ) -> None:
        """Nobody else ends the trial."""
        registry = Refusing(error, error)
        registry.install(monkeypatch)

        await _take_back(replica)

        assert registry.asked == 3
