"""Words and revisions between protobuf and the domain."""

from __future__ import annotations

from datetime import UTC

import pytest
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

from goldsmith.registry.v1 import promotion_pb2
from goldsmith.trainer.v1 import golden_dataset_pb2, training_job_pb2
from shared.adapter.manifest import PackageFile
from tests.unit.trainer_svc.translate_sample import NOW
from trainer_svc.domain.dataset import DatasetFormat, DatasetState, InvalidRowPolicy
from trainer_svc.domain.job import JobState, Priority
from trainer_svc.domain.promotion import CheckOutcome
from trainer_svc.domain.promotion_policy import BuiltInCheck, PromotionMode
from trainer_svc.domain.promotion_record import PromotionWay
from trainer_svc.domain.registry import Alias, Revision
from trainer_svc.domain.run import Phase, TrainingMode
from trainer_svc.translate import registry


def _names(wrapper: EnumTypeWrapper, prefix: str) -> set[str]:
    return {name.removeprefix(prefix) for name in wrapper.keys()} - {"UNSPECIFIED"}  # noqa: SIM118  # no mapping


class TestEnums:
    """Words that both sides have."""

    @pytest.mark.parametrize(
        ("wrapper", "prefix", "domain"),
        [
            (training_job_pb2.TrainingJobState, "TRAINING_JOB_STATE_", JobState),
            (training_job_pb2.TrainingPhase, "TRAINING_PHASE_", Phase),
            (training_job_pb2.TrainingPriority, "TRAINING_PRIORITY_", Priority),
            (training_job_pb2.TrainingMode, "TRAINING_MODE_", TrainingMode),
            (golden_dataset_pb2.GoldenDatasetState, "GOLDEN_DATASET_STATE_", DatasetState),
            (golden_dataset_pb2.GoldenDatasetFormat, "GOLDEN_DATASET_FORMAT_", DatasetFormat),
            (golden_dataset_pb2.InvalidRowPolicy, "INVALID_ROW_POLICY_", InvalidRowPolicy),
            (promotion_pb2.PromotionMode, "PROMOTION_MODE_", PromotionMode),
            (promotion_pb2.BuiltInCheck, "BUILT_IN_CHECK_", BuiltInCheck),
            (promotion_pb2.CheckOutcome, "CHECK_OUTCOME_", CheckOutcome),
            (promotion_pb2.PromotionWay, "PROMOTION_WAY_", PromotionWay),
        ],
    )
    def test_are_the_same(self, wrapper: EnumTypeWrapper, prefix: str, domain: type[JobState]) -> None:
        """A value that one side gains, the other must gain too."""
        assert _names(wrapper, prefix) == {member.name for member in domain}


class TestRegistry:
    """Revisions and aliases."""

    def test_a_revision_names_its_files_in_order(self) -> None:
        """The manifest first, as stored."""
        files = (PackageFile("manifest.json", 1, "sha256:1"), PackageFile("b", 2, "sha256:2"))
        stored = Revision("n", "sha256:0", files, "j", "c", "b", NOW, {"exact_match": 0.5})

        message = registry.revision(stored)

        assert [(f.filename, f.size_bytes, f.digest) for f in message.files] == [
            ("manifest.json", 1, "sha256:1"),
            ("b", 2, "sha256:2"),
        ]
        assert dict(message.metrics) == {"exact_match": 0.5}

    def test_an_alias_has_its_version_as_etag(self) -> None:
        """Text to the caller, a number to us."""
        message = registry.alias(Alias("n", "r", 12, NOW))

        assert (message.name, message.revision, message.etag) == ("n", "r", "12")
        assert message.update_time.ToDatetime(UTC) == NOW
