"""Jobs as they are asked for: what is refused, and which requests are the same."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from shared.errors import DomainError, Exhausted, InvalidInput, NotFound, StateConflict
from shared.names import JobName
from tests.unit.trainer_svc.conftest import NAME, Stage
from trainer_svc.app.jobs import Jobs
from trainer_svc.domain.dataset import DatasetState
from trainer_svc.domain.job import Job, JobSpec, JobState, Priority
from trainer_svc.domain.run import Initialization, Preset
from trainer_svc.store import catalog, history


class TestCreate:
    """What may be created."""

    def _job(self, stage: Stage, tenant: str = "acme", name: str = "second", **changes: object) -> Job:
        job = asyncio.run(stage.jobs.get(NAME))
        return dataclasses.replace(job, name=f"tenants/{tenant}/jobs/{name}", **changes)  # type: ignore[arg-type]  # fields by name

    @pytest.mark.parametrize("state", list(DatasetState))
    def test_needs_a_sealed_dataset(self, stage: Stage, state: DatasetState) -> None:
        """One that is being checked will do; one that is open or was refused will not."""
        asyncio.run(stage.set_dataset(state))
        job = self._job(stage)

        if state in (DatasetState.VALIDATING, DatasetState.ACTIVE):
            assert asyncio.run(stage.jobs.create(job, "")).state is JobState.PENDING
        else:
            with pytest.raises(StateConflict, match=state.value):
                asyncio.run(stage.jobs.create(job, ""))

    @pytest.mark.parametrize("seconds", [0.0, -1.0, 1e12])
    def test_needs_a_run_time_limit_in_range(self, stage: Stage, seconds: float) -> None:
        """The error names the field."""
        with pytest.raises(InvalidInput) as caught:
            asyncio.run(stage.jobs.create(self._job(stage, run_time_limit_seconds=seconds), ""))

        assert caught.value.violations[0].path == "job.run_time_limit"

    @pytest.mark.parametrize(
        ("name", "error"),
        [
            ("tenants/acme/adapters/a/revisions/1", NotFound),
            ("tenants/globex/adapters/a/revisions/1", InvalidInput),
            ("tenants/acme/adapters/a", InvalidInput),
        ],
    )
    def test_needs_a_base_revision_of_the_tenant(self, stage: Stage, name: str, error: type[DomainError]) -> None:
        """One that exists; nothing is created otherwise."""
        with pytest.raises(error):
            asyncio.run(stage.jobs.create(self._job(stage, base_revision=name), ""))

        with pytest.raises(NotFound):
            asyncio.run(stage.jobs.get(JobName("acme", "second")))

    def test_is_refused_when_too_many_of_the_tenant_wait(self, stage: Stage) -> None:
        """Running and final ones do not count; a repeated request still gets its answer."""
        jobs, request = Jobs(stage.database, stage.changes, stage.clock, tenant_limit=2), "7f4d1c52"
        second = asyncio.run(jobs.create(self._job(stage), request))
        with pytest.raises(Exhausted) as caught:
            asyncio.run(jobs.create(self._job(stage, name="third"), ""))
        assert caught.value.reason == "QUOTA_EXCEEDED"
        assert asyncio.run(jobs.create(self._job(stage), request)) == second

        asyncio.run(jobs.cancel(NAME))

        assert asyncio.run(jobs.create(self._job(stage, name="third"), "")).name.endswith("third")

    def test_counts_paused_jobs_against_their_tenant_only(self, stage: Stage) -> None:
        """They never end by themselves, so they must not shut out other tenants; a resume finds its place always."""
        jobs = Jobs(stage.database, stage.changes, stage.clock, tenant_limit=2, limit=1)
        paused = self._job(stage, state=JobState.PAUSED)
        first = asyncio.run(stage.jobs.cancel(NAME))
        asyncio.run(stage.database.run(lambda connection: history.add_job(connection, paused)))

        asyncio.run(jobs.create(self._job(stage, name="third", state=JobState.PENDING), ""))
        with pytest.raises(Exhausted) as caught:
            asyncio.run(jobs.create(self._job(stage, name="fourth", state=JobState.PENDING), ""))

        assert first.state is JobState.CANCELLED
        assert caught.value.reason == "QUOTA_EXCEEDED"
        assert asyncio.run(jobs.resume(JobName.parse(paused.name))).state is JobState.QUEUED

    def test_is_refused_when_too_many_of_all_wait(self, stage: Stage) -> None:
        """The whole queue has its own bound."""
        jobs = Jobs(stage.database, stage.changes, stage.clock, limit=1)

        with pytest.raises(Exhausted) as caught:
            asyncio.run(jobs.create(self._job(stage), ""))

        assert caught.value.reason == "QUEUE_FULL"

    def test_tells_requests_apart_by_priority_and_limit(self, stage: Stage) -> None:
        """A request id with another priority is another request."""
        asyncio.run(stage.jobs.create(self._job(stage), "7f4d1c52"))

        with pytest.raises(InvalidInput) as caught:
            asyncio.run(stage.jobs.create(self._job(stage, priority=Priority.HIGH), "7f4d1c52"))

        assert caught.value.reason == "REQUEST_ID_REUSED"

    @pytest.mark.parametrize(
        ("spec", "digest"),
        [
            (JobSpec(), "sha256:54c2859574da6f439d3133d30c7870fadf2fa62f2ce06d03392049c68bc0ad3c"),
            (
                JobSpec(rank=8, learning_rate=1e-5, seed=3),
                "sha256:f7f35b2c16030572bdf831fd7bce522450cdaf948894a99ec586427852996839",
            ),
        ],
    )
    def test_knows_a_request_from_before_an_update(self, stage: Stage, spec: JobSpec, digest: str) -> None:
        """The digests are those that the first release, whose jobs had fewer settings, stored with a request."""
        repeat = lambda c: catalog.repeated(c, "acme", "CreateTrainingJob", "7f4d1c52", digest)  # noqa: E731
        assert not asyncio.run(stage.database.run(repeat))
        job = dataclasses.replace(asyncio.run(stage.jobs.get(NAME)), spec=spec)

        assert asyncio.run(stage.jobs.create(job, "7f4d1c52")).name == str(NAME)

    @pytest.mark.parametrize(
        "spec",
        [
            JobSpec(use_rslora=True),
            JobSpec(loraplus_ratio=1.0),
            JobSpec(initialization=Initialization.EVA),
            JobSpec(preset=Preset.FAST),
            JobSpec(early_stopping_patience=0),
        ],
    )
    def test_tells_requests_apart_by_each_setting(self, stage: Stage, spec: JobSpec) -> None:
        """Those that came later count once they are set."""
        asyncio.run(stage.jobs.create(self._job(stage), "7f4d1c52"))

        with pytest.raises(InvalidInput) as caught:
            asyncio.run(stage.jobs.create(self._job(stage, spec=spec), "7f4d1c52"))

        assert caught.value.reason == "REQUEST_ID_REUSED"
