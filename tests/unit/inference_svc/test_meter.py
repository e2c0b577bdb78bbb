"""How events reach those who measure."""

from __future__ import annotations

import logging

import pytest

from inference_svc.app.meter import Meter
from inference_svc.app.progress import Progress
from inference_svc.app.usage_counter import UsageCounter
from inference_svc.domain.ledger import Ledger
from shared.names import AliasName
from shared.testing import ManualClock
from tests.unit.inference_svc.conftest import revision


class Failing(UsageCounter):
    """Fails at everything that it is told here."""

    def __init__(self) -> None:
        super().__init__(Ledger(lambda: "id"), ManualClock())

    def request_begins(self, progress: Progress) -> None:
        """Fails."""
        raise ValueError("a counter fell")

    def request_ends(self, progress: Progress, outcome: str) -> None:
        """Fails."""
        raise ValueError("a counter fell")

    def alias_flips(self, alias: object, revision: object) -> None:
        """Fails."""
        raise ValueError("a counter fell")


class TestMeter:
    """Passing events on."""

    def test_survives_an_observer_that_fails(self, caplog: pytest.LogCaptureFixture) -> None:
        """The request ends as it was, the others hear of it, and the log says who failed."""
        ledger = Ledger(lambda: "id")
        meter = Meter([Failing(), UsageCounter(ledger, ManualClock())])
        progress = Progress(deadline_seconds=1.0)

        with caplog.at_level(logging.ERROR):
            with meter.request(progress):
                progress.tenant, progress.is_answered = "acme", True
            meter.alias_flips(AliasName("acme", "answer", "live"), revision(1))

        assert [entry.counts.answered_requests for entry in ledger.entries()] == [1]
        assert [vars(record)["observer"] for record in caplog.records] == ["Failing"] * 3

    def test_keeps_the_error_of_the_request(self) -> None:
        """What went wrong with the request is told, not what went wrong with counting it."""
        with pytest.raises(KeyError), Meter([Failing()]).request(Progress(deadline_seconds=1.0)):
            raise KeyError("its own")
