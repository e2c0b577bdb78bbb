"""Jobs and revisions that are refused."""

from __future__ import annotations

import grpc
import pytest

from goldsmith.registry.v1 import registry_service_pb2, registry_service_pb2_grpc
from goldsmith.trainer.v1 import training_job_pb2
from shared.client import TrainerClient
from shared.client.channel import domain_errors
from shared.errors import InvalidInput, NotFound, OutOfRange, StateConflict
from tests.integration.trainer.house import TENANT, golden_rows

pytestmark = pytest.mark.timeout(120)


class TestJobs:
    """Jobs that never run."""

    @pytest.mark.parametrize(
        ("spec", "path"),
        [
            ({"rank": 7}, "job.spec.rank"),
            ({"learning_rate": 0.0}, "job.spec.learning_rate"),
            ({"epoch_count": 0}, "job.spec.epoch_count"),
            ({"loraplus_ratio": 0.5}, "job.spec.loraplus_ratio"),
            ({"early_stopping_patience": 11}, "job.spec.early_stopping_patience"),
            ({"early_stopping_patience": -1}, "job.spec.early_stopping_patience"),
            ({"batch_size": 1000}, "job.spec.batch_size"),
            ({"seed": -1}, "job.spec.seed"),
        ],
    )
    def test_settings_out_of_range_are_named(self, trainer: TrainerClient, spec: dict[str, float], path: str) -> None:
        """The field path and the range come back before anything is queued."""
        job = training_job_pb2.TrainingJob(
            dataset=f"{TENANT}/datasets/any",
            adapter=f"{TENANT}/adapters/a",
            spec=training_job_pb2.TrainingSpec(**spec),
        )

        with pytest.raises(InvalidInput) as caught:
            trainer.train(f"{TENANT}/jobs/wrong", job)

        assert caught.value.violations[0].path == path

    def test_are_estimated_only_from_what_was_measured(self, trainer: TrainerClient, dataset: str) -> None:
        """A dataset that is not active and a machine without a run are told apart."""
        job = training_job_pb2.TrainingJob(dataset=dataset)
        with pytest.raises(StateConflict) as open_:
            trainer.estimate(TENANT, job)
        trainer.upload(dataset, golden_rows())

        with pytest.raises(StateConflict) as unmeasured:
            trainer.estimate(TENANT, job)

        assert (open_.value.reason, unmeasured.value.reason) == ("STATE_CONFLICT", "NOT_MEASURED")
        assert "let one job run" in unmeasured.value.message

    def test_names_of_other_tenants_are_refused(self, trainer: TrainerClient) -> None:
        """Job, dataset and adapter belong to one tenant."""
        job = training_job_pb2.TrainingJob(dataset="tenants/other/datasets/d", adapter=f"{TENANT}/adapters/a")

        with pytest.raises(InvalidInput):
            trainer.train(f"{TENANT}/jobs/mixed", job)


class TestRegistry:
    """A registry without revisions."""

    def test_watching_from_a_foreign_cursor_is_refused(self, channel: grpc.Channel) -> None:
        """The caller is told to begin anew."""
        stub = registry_service_pb2_grpc.RegistryServiceStub(channel)

        with pytest.raises(OutOfRange) as caught, domain_errors():
            next(stub.WatchAliases(registry_service_pb2.WatchAliasesRequest(cursor="42"), timeout=10))

        assert caught.value.reason == "CURSOR_INVALID"

    def test_unknown_revisions_are_not_found(self, trainer: TrainerClient) -> None:
        """By name."""
        with pytest.raises(NotFound, match="revisions/3"):
            trainer.revision(f"{TENANT}/adapters/a/revisions/3")
