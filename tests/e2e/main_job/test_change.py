"""What changes while the services run: revisions promoted and rolled back, processes killed, jobs cancelled."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from goldsmith.registry.v1 import adapter_pb2
from goldsmith.trainer.v1 import training_job_pb2
from shared.adapter.canary import CanarySplit, RollbackPolicy
from shared.names import RevisionName
from tests.e2e.main_job.house import House, until

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]
_log = logging.getLogger(__name__)
ALIAS = "tenants/acme/adapters/answer/aliases/live"
FIRST, SECOND = (f"tenants/acme/adapters/answer/revisions/{number}" for number in (1, 2))


class TestPromotion:
    """A new revision replaces the old one in the running engine."""

    def test_a_second_revision_goes_live_with_no_failed_request(self, house: House) -> None:
        """Requests that run while a revision is trained and promoted all succeed; later ones come from the new one."""
        before = house.ask("acme").summary.adapter_revision
        stop, answers = threading.Event(), []

        def traffic(worker: int) -> None:
            while not stop.is_set():
                answers.append(house.ask(("acme", "globex")[worker % 2], len(answers)))

        with ThreadPoolExecutor(3) as pool:
            running = [pool.submit(traffic, worker) for worker in range(3)]
            try:
                done = house.finish(house.submit("acme", "second", epochs=1, seed=1))
                count = len(answers)
                until(lambda: len(answers) > count + 20, "more answers")
            finally:
                stop.set()
            for future in running:
                future.result()

        acme = [a.summary.adapter_revision for a in answers if "/acme/" in a.summary.adapter_revision]
        assert set(acme) == {before, done.revision}
        assert acme == sorted(acme, key=lambda name: int(name.rsplit("/", 1)[1])) or acme[-1] == done.revision
        assert house.ask("acme").summary.adapter_revision == done.revision
        assert house.inference_process.process.pid == house.inference_pid

    def test_rolling_back_serves_the_old_revision(self, house: House) -> None:
        """Moving the alias back brings the first revision back, without a restart."""
        house.trainer.set_alias(ALIAS, FIRST)

        until(lambda: house.answered_by("acme") == FIRST, "the first revision")


class TestCanary:
    """A revision on trial beside the live one, on the real engine."""

    def test_gets_its_share_and_is_rolled_back_and_promoted_by_hand(self, house: House) -> None:
        """By weight and by header; each move of the alias is seen in the answers, and no request fails."""
        canary = CanarySplit(RevisionName.parse(SECOND), 50, RollbackPolicy(watched=()))
        house.trainer.set_alias(ALIAS, FIRST, canary=canary)
        until(lambda: house.answered_by("acme", canary="always") == SECOND, "the canary")

        drawn = {house.answered_by("acme", index) for index in range(20)}
        never = {house.answered_by("acme", index, canary="never") for index in range(3)}
        began = time.monotonic()
        house.trainer.set_alias(ALIAS, FIRST)
        until(lambda: house.answered_by("acme", canary="always") == FIRST, "the end of the canary", pause=0.0)
        rolled_back = time.monotonic()
        house.trainer.set_alias(ALIAS, FIRST, canary=canary)
        until(lambda: house.answered_by("acme", canary="always") == SECOND, "the canary again")
        begun_again = time.monotonic()
        house.trainer.set_alias(ALIAS, SECOND)
        until(lambda: house.answered_by("acme", canary="never") == SECOND, "the promotion", pause=0.0)
        promoted = time.monotonic()
        _log.info("rolled back in %.3f s, promoted in %.3f s", rolled_back - began, promoted - begun_again)

        assert (drawn, never) == ({FIRST, SECOND}, {FIRST})
        assert {house.answered_by("acme", index) for index in range(5)} == {SECOND}

    def test_that_is_slower_is_taken_back_by_itself(self, house: House) -> None:
        """A revision whose answers are several times as long; the alias says in what it was worse."""
        slow = house.slow_revision("acme")
        canary = CanarySplit(RevisionName.parse(slow), 50)
        house.trainer.set_alias(ALIAS, FIRST, canary=canary)
        until(lambda: house.answered_by("acme", canary="always") == slow, "the slow canary")

        answers = [house.answered_by("acme")]
        until(
            lambda: answers.append(house.answered_by("acme", len(answers))) or house.canary_share("acme") is None,
            "the roll back",
        )
        after = {house.answered_by("acme", canary="always") for _ in range(5)}
        alias = house.trainer.set_alias(ALIAS, FIRST)
        _log.info("taken back after %d requests: %s", len(answers), alias.last_rollback.description)

        assert set(answers) == {FIRST, slow}
        assert after == {FIRST}
        assert (alias.last_rollback.revision, alias.last_rollback.reason) == (
            slow, adapter_pb2.ROLLBACK_REASON_LATENCY,
        )  # fmt: skip


class TestCrashes:
    """kill -9 loses nothing."""

    def test_a_killed_training_child_is_taken_up_again(self, house: House) -> None:
        """The job goes on from its last checkpoint as a second attempt."""
        job = house.submit("globex", "killed-child", epochs=6)
        _kill_child_after_checkpoint(house, job)

        done = house.finish(job)

        assert done.attempt == 2

    def test_a_killed_trainer_service_goes_on_after_its_restart(self, house: House) -> None:
        """Job, events and publication survive; the watch resumes by sequence and inference finds the new revision."""
        job = house.submit("globex", "killed-service", epochs=6)
        sequences = []
        for event in house.trainer.watch(job):
            sequences.append(event.sequence)
            if event.HasField("checkpoint"):
                break
        children = psutil.Process(house.trainer_process.process.pid).children(recursive=True)
        house.trainer_process.kill()
        _, alive = psutil.wait_procs(children, timeout=30)
        assert alive == [], "the training child outlives its service"
        house.trainer_process.start().wait_ready()

        done = house.finish(job)

        sequences += [event.sequence for event in house.trainer.watch(job, after_sequence=sequences[-1])]
        assert sequences == list(range(1, len(sequences) + 1))
        assert done.attempt == 2
        assert len({house.trainer.revision(done.revision).digest}) == 1


class TestCancel:
    """Stopping a job that runs."""

    def test_a_running_job_stops_and_publishes_nothing(self, house: House) -> None:
        """It becomes CANCELLED, keeps its events, and the served revision stays; cancelling again changes nothing."""
        before = house.live("tenants/globex")
        job = house.submit("globex", "cancelled", epochs=50)
        for event in house.trainer.watch(job):
            if event.HasField("checkpoint"):
                house.trainer.cancel(job)
                break
        for _ in house.trainer.watch(job):
            pass

        done = house.trainer.job(job)
        assert done.state == training_job_pb2.TRAINING_JOB_STATE_CANCELLED
        assert done.revision == ""
        assert house.trainer.cancel(job) == done
        assert house.live("tenants/globex") == before


def _kill_child_after_checkpoint(house: House, job: str) -> None:
    for event in house.trainer.watch(job):
        if event.HasField("checkpoint"):
            service = psutil.Process(house.trainer_process.process.pid)
            workers = [p for p in service.children(recursive=True) if "trainer_svc.worker" in " ".join(p.cmdline())]
            assert workers
            for worker in workers:
                worker.kill()
            return
    raise AssertionError("the job ended before its first checkpoint")
