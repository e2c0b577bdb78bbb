"""What Prometheus is told of training: jobs, waits, times and rows, by tenant."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from shared.contracts.spec import ContractKind, ContractSpec
from shared.digest import sha256_bytes
from shared.names import DatasetName, JobName
from shared.storage.local import LocalBlobStore
from shared.telemetry.label import OTHER
from shared.testing import ManualClock
from tests.unit.trainer_svc.conftest import FINISH, NAME, Stage
from trainer_svc.app.datasets import Datasets
from trainer_svc.app.jobs import Jobs
from trainer_svc.app.upload import Uploads
from trainer_svc.curation.compiled_example import ExampleCompiler
from trainer_svc.domain.dataset import Dataset, InvalidRowPolicy, Report
from trainer_svc.domain.job import WORKER_KILLED, Failure, Job, JobSpec, JobState
from trainer_svc.domain.promotion import check
from trainer_svc.domain.promotion_policy import PromotionPolicy
from trainer_svc.domain.registry import Contract
from trainer_svc.store import catalog, history
from trainer_svc.store.database import Database
from trainer_svc.telemetry.metric import PrometheusObserver


class Measured:
    """An observer and the value of each of its metrics."""

    def __init__(self, label_sets: int = 100) -> None:
        self._registry = CollectorRegistry()
        self.observer = PrometheusObserver(self._registry, label_sets=label_sets)

    def value(self, name: str, **labels: str) -> float | None:
        """The sample, None where there is none."""
        return self._registry.get_sample_value(f"goldsmith_{name}", labels)

    def by(self, name: str, label: str) -> dict[str, float]:
        """Samples that are not 0, by one of their labels."""
        return {
            sample.labels[label]: sample.value
            for family in self._registry.collect()
            for sample in family.samples
            if sample.name == f"goldsmith_{name}" and sample.value
        }


@pytest.fixture
def measured() -> Measured:
    """Measured on a registry of its own."""
    return Measured()


class TestRuns:
    """Jobs that a runner ran."""

    def test_that_end_well_are_counted_and_timed(self, stage: Stage, measured: Measured) -> None:
        """The wait before the first attempt, and the time from there to the end, by the clock of the service."""
        stage.observer = measured.observer
        stage.act(FINISH)
        stage.clock.advance(100.0)

        stage.serve()

        assert measured.by("training_runs_total", "outcome") == {"OK": 1.0}
        assert measured.by("training_runs_total", "tenant") == {"acme": 1.0}
        assert measured.value("training_queue_seconds_sum") == 100.0
        assert measured.value("training_seconds_count") == 1.0
        assert measured.value("training_restarts_total", tenant="acme") == 0.0

    def test_tell_what_the_promotion_policy_made_of_their_revision(self, stage: Stage, measured: Measured) -> None:
        """Passed or stopped; a job that published for no alias, or nothing, is neither."""
        stage.observer = measured.observer
        stage.act(FINISH)
        passed = stage.serve()
        asking = check(PromotionPolicy(is_evaluation_required=True), None)

        measured.observer.job_ends(dataclasses.replace(passed, promotion=asking))
        measured.observer.job_ends(dataclasses.replace(passed, promotion=None))

        assert measured.by("training_promotions_total", "outcome") == {"passed": 1.0, "stopped": 1.0}

    def test_are_never_timed_below_zero(self, stage: Stage, measured: Measured) -> None:
        """A clock that is set back while the job waits, and again while it runs: the sums of times only grow."""
        stage.observer = measured.observer
        stage.act(FINISH)
        stage.clock.advance(-100.0)
        claimed = stage.observer.attempt_begins

        def set_back(job: Job, waited_seconds: float) -> None:
            claimed(job, waited_seconds)
            stage.clock.advance(-100.0)

        measured.observer.attempt_begins = set_back  # type: ignore[method-assign]  # the moment in which a run begins

        job = stage.serve()

        assert job.start_time is not None
        assert job.end_time is not None
        assert job.create_time > job.start_time > job.end_time
        for name in ("training_queue_seconds", "training_seconds"):
            assert (measured.value(f"{name}_sum"), measured.value(f"{name}_count")) == (0.0, 1.0)

    def test_that_were_killed_are_restarts_and_in_the_end_a_failure(self, stage: Stage, measured: Measured) -> None:
        """Three attempts: two restarts, one failure, one wait."""
        stage.observer = measured.observer
        stage.act("kill -9 $$\n")

        stage.serve()

        assert measured.by("training_runs_total", "outcome") == {WORKER_KILLED: 1.0}
        assert measured.value("training_restarts_total", tenant="acme") == 2.0
        assert measured.value("training_queue_seconds_count") == 1.0

    def test_that_were_paused_are_no_restarts(self, measured: Measured) -> None:
        """An attempt after a death is one, an attempt after a pause is not."""
        start = ManualClock().now()
        job = Job("tenants/acme/jobs/j", "", "", "live", JobSpec(), start, state=JobState.RUNNING, attempt=2)

        measured.observer.attempt_begins(dataclasses.replace(job, is_resumed=True), 5.0)
        assert measured.value("training_restarts_total", tenant="acme") == 0.0
        measured.observer.attempt_begins(job, 5.0)

        assert measured.value("training_restarts_total", tenant="acme") == 1.0
        assert measured.value("training_queue_seconds_count") == 0.0

    def test_that_are_cancelled_while_paused_are_counted(self, stage: Stage, measured: Measured) -> None:
        """A paused job that is cancelled has no worker to tell; one that never ran is no run."""
        jobs = Jobs(stage.database, stage.changes, stage.clock, observer=measured.observer)
        first = asyncio.run(jobs.get(NAME))
        ran = dataclasses.replace(first, name="tenants/acme/jobs/ran", state=JobState.PAUSED, attempt=1)
        asyncio.run(stage.database.run(lambda connection: history.add_job(connection, ran)))

        for name in (NAME, JobName("acme", "ran"), JobName("acme", "ran")):
            asyncio.run(jobs.cancel(name))

        assert measured.by("training_runs_total", "outcome") == {"CANCELLED": 1.0}

    def test_that_a_service_left_behind_are_neither(self, stage: Stage, measured: Measured) -> None:
        """A job that is stopped with its service has not ended: the next life of the service counts its end."""
        stage.observer = measured.observer
        stage.act('printf \'{"type":"checkpoint","step":5}\\n\' >> "$3/events.jsonl"\nexec sleep 600\n')

        stage.serve(stage.checkpoint)

        assert measured.by("training_runs_total", "outcome") == {}

    def test_are_known_by_state_from_the_database(self, stage: Stage, measured: Measured) -> None:
        """Those of earlier processes too; a state that none is in is 0, not absent."""
        first = asyncio.run(stage.jobs.get(NAME))
        older = dataclasses.replace(first, name="tenants/globex/jobs/older", state=JobState.FAILED)
        asyncio.run(stage.database.run(lambda connection: history.add_job(connection, older)))
        stage.observer = measured.observer
        stage.act(FINISH)

        async def counted() -> None:
            await stage.final()
            while measured.value("training_jobs", state="succeeded") != 1.0:  # noqa: ASYNC110  # it counts in between
                await asyncio.sleep(0.01)

        stage.serve(counted)

        assert measured.by("training_jobs", "state") == {"succeeded": 1.0, "failed": 1.0}
        assert measured.value("training_jobs", state="queued") == 0.0


class TestRows:
    """Golden datasets that were sealed."""

    @pytest.mark.parametrize(
        ("policy", "state"), [(InvalidRowPolicy.EXCLUDE, "active"), (InvalidRowPolicy.REFUSE, "failed")]
    )
    def test_are_counted_once(
        self, database: Database, clock: ManualClock, tmp_path: Path, compiler: ExampleCompiler,
        policy: InvalidRowPolicy, state: str,
    ) -> None:  # fmt: skip
        """Accepted and refused rows at the check, and nothing when the dataset is sealed again."""
        measured, name = Measured(), DatasetName("acme", "d")
        uploads = Uploads(tmp_path / "uploads")
        blobs = LocalBlobStore(tmp_path / "blobs")
        datasets = Datasets(database, uploads, blobs, clock, compiler=compiler, observer=measured.observer)
        spec = ContractSpec(ContractKind.JSON, json_schema='{"type":"boolean"}')
        contract = Contract("tenants/acme/contracts/c", spec.canonical().decode(), spec.digest, 1, 1, (), clock.now())
        data = b"".join(b'{"input":"row %d","output":%s}\n' % (i, b"7" if i < 3 else b"true") for i in range(40))

        async def seal_twice() -> None:
            await database.run(lambda connection: catalog.add_contract(connection, contract))
            await datasets.create(Dataset(str(name), contract.name, "", "", clock.now()), "")
            await datasets.upload(name, 0, data)
            for _ in "12":
                await datasets.seal(name, len(data), sha256_bytes(data), policy)

        asyncio.run(seal_twice())

        assert measured.by("golden_rows_total", "outcome") == {"accepted": 37.0, "refused": 3.0}
        assert measured.by("golden_datasets_total", "outcome") == {state: 1.0}


class TestLabels:
    """What tenants can make of them."""

    def test_are_bounded(self) -> None:
        """Tenants beyond the limit share one label, and nothing is lost."""
        measured = Measured(label_sets=3)
        for number in range(10):
            name = f"tenants/t{number}/datasets/d"
            report = Report(row_count=5, train_count=0, holdout_count=0, invalid_count=5)
            dataset = Dataset(name, "", "", "", ManualClock().now(), report=report)
            measured.observer.dataset_checked(dataset)

        assert measured.by("golden_rows_total", "tenant") == {"t0": 5.0, "t1": 5.0, OTHER: 40.0}

    @pytest.mark.parametrize(
        ("reason", "outcome"), [("CONTEXT_TOO_LONG", "CONTEXT_TOO_LONG"), ("what a child made up", OTHER)]
    )
    def test_name_known_reasons_only(self, measured: Measured, reason: str, outcome: str) -> None:
        """A failure is told by a child process, whose words may be any."""
        start = ManualClock().now()
        job = Job(
            "tenants/acme/jobs/j", "", "", "live", JobSpec(), start, state=JobState.FAILED, start_time=start,
            end_time=start + timedelta(seconds=90), failure=Failure(reason, "", user_error=True),
        )  # fmt: skip
        measured.observer.job_ends(job)

        assert measured.by("training_runs_total", "outcome") == {outcome: 1.0}
        assert measured.value("training_seconds_sum") == 90.0
