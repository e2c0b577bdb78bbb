"""Measurements that wait for a calm machine, and are made again while the host took the processors away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import psutil
import pytest

from tests.bench import undisturbed
from tests.bench.undisturbed import Undisturbed


class _Times(NamedTuple):
    user: float
    system: float
    steal: float


@dataclass
class _Machine:
    """Its measurements take a busy second each, and lose to others what `steals` tells, one after the other."""

    steals: list[float]
    busy_looks: int = 0
    """How often the account of the processors will find others busy."""
    seconds: float = 0.0
    stolen: float = 0.0
    measured: int = 0

    def cpu_times(self) -> _Times:
        if self.busy_looks:
            self.busy_looks -= 1
            self.stolen += 1.0
        return _Times(user=0.8 * self.seconds, system=0.2 * self.seconds, steal=self.stolen)

    def measure(self) -> int:
        self.seconds += 1.0
        self.stolen += self.steals[self.measured]
        self.measured += 1
        return self.measured


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undisturbed, "_PROBE_SECONDS", 0.0)
    monkeypatch.setattr(undisturbed, "_PAUSE_SECONDS", 0.001)


class TestUndisturbed:
    """Which of several measurements counts."""

    def test_the_first_one_counts_when_nothing_disturbed_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """So it is on a machine of one's own."""
        machine = _machine(monkeypatch, [0.0])
        calm = Undisturbed(3)

        assert calm.run(machine.measure) == 1
        assert (calm.repeats_left, calm.worst_stolen) == (3, 0.0)

    def test_a_disturbed_one_is_made_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What was stolen before does not count against the next one."""
        machine = _machine(monkeypatch, [0.5, 0.1, 0.01])
        disturbed = Undisturbed(3)

        assert disturbed.run(machine.measure) == 3
        assert disturbed.repeats_left == 1
        assert disturbed.worst_stolen == pytest.approx(0.01 / 1.01)

    def test_a_machine_that_is_always_disturbed_is_measured_as_it_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """No more often than there are repeats for all measurements together."""
        machine = _machine(monkeypatch, [0.5] * 4)
        disturbed = Undisturbed(2)

        assert (disturbed.run(machine.measure), disturbed.run(machine.measure)) == (3, 4)
        assert disturbed.worst_stolen == pytest.approx(0.5 / 1.5)

    def test_nothing_is_measured_while_others_are_busy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A busy machine uses up no repeats."""
        machine = _machine(monkeypatch, [0.0], busy_looks=20)
        waiting = Undisturbed(1)

        assert waiting.run(machine.measure) == 1
        assert (machine.busy_looks, waiting.repeats_left, waiting.worst_stolen) == (0, 1, 0.0)

    def test_patience_has_an_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is one for all measurements together."""
        monkeypatch.setattr(undisturbed, "_PATIENCE_SECONDS", 0.003)
        machine = _machine(monkeypatch, [0.0, 0.0], busy_looks=1000)
        waiting = Undisturbed(0)

        assert (waiting.run(machine.measure), waiting.run(machine.measure)) == (1, 2)
        assert machine.busy_looks > 900


def _machine(monkeypatch: pytest.MonkeyPatch, steals: list[float], busy_looks: int = 0) -> _Machine:
    machine = _Machine(steals, busy_looks)
    monkeypatch.setattr(psutil, "cpu_times", machine.cpu_times)
    return machine
