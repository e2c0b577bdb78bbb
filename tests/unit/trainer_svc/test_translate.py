"""Between protobuf and the domain."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import pytest
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

from goldsmith.registry.v1 import promotion_pb2
from goldsmith.trainer.v1 import golden_dataset_pb2, training_job_pb2
from shared.adapter.canary import RollbackPolicy
from shared.adapter.manifest import PackageFile
from shared.errors import InvalidInput
from shared.names import AdapterName, DatasetName, JobName
from trainer_svc.domain.dataset import Dataset, DatasetFormat, DatasetState, Finding, InvalidRowPolicy, Report
from trainer_svc.domain.finding_kind import FindingFilter, Severity
from trainer_svc.domain.job import CheckpointScore, Event, Failure, Job, JobSpec, JobState, Priority, Progress
from trainer_svc.domain.promotion import CheckOutcome, check
from trainer_svc.domain.promotion_policy import (
    AdapterPolicy,
    BuiltInCheck,
    ForgettingLimits,
    PromotionMode,
    PromotionPolicy,
    Threshold,
)
from trainer_svc.domain.promotion_record import PromotionWay
from trainer_svc.domain.registry import Alias, Revision
from trainer_svc.domain.run import Evaluation, Initialization, Phase, Preset, TrainingMode
from trainer_svc.domain.teacher import Labelling, TeacherKind, TeacherSettings
from trainer_svc.translate import dataset, job, promotion, registry

NOW = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
JOB = Job("tenants/a/jobs/j", "tenants/a/datasets/d", "tenants/a/adapters/x", "live", JobSpec(), NOW)
QUEUED = dataclasses.replace(JOB, state=JobState.QUEUED)
DATASET = Dataset("tenants/a/datasets/d", "tenants/a/contracts/c", "Answer.", "INSERT", NOW)


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


class TestJob:
    """Training jobs."""

    def test_what_a_caller_leaves_open_stays_open(self) -> None:
        """Absent is not zero: the plan chooses; mode, alias and seed have documented defaults."""
        message = training_job_pb2.TrainingJob(dataset=JOB.dataset, adapter=JOB.adapter)

        assert job.new_job(JobName("a", "j"), message, NOW) == JOB

    def test_names_the_canary_whose_trial_it_ended(self) -> None:
        """In listings and in its history."""
        ended = dataclasses.replace(JOB, ended_canary="tenants/a/adapters/x/revisions/2")

        assert job.job(ended).ended_canary == ended.ended_canary
        assert job.event(Event(7, NOW, changed=ended)).changed.ended_canary == ended.ended_canary

    def test_says_what_its_promotion_came_to(self) -> None:
        """Each check with its figures; nothing before there was one."""
        report = check(PromotionPolicy(thresholds=(Threshold("exact_match", 0.5),)), None, "tenants/a/revisions/1")

        told = job.job(dataclasses.replace(JOB, promotion=report)).promotion

        assert (told.passed, told.mode, told.live_revision) == (
            False,
            promotion_pb2.PROMOTION_MODE_LIVE,
            report.live_revision,
        )
        assert [each.description for each in told.checks] == [each.description for each in report.checks]
        assert told.checks[-1] == promotion_pb2.PromotionCheck(
            name="threshold.exact_match", outcome=promotion_pb2.CHECK_OUTCOME_NOT_MEASURED,
            description="exact_match is not known", reason="NOT_EVALUATED",
        )  # fmt: skip
        assert not job.job(JOB).HasField("promotion")

    @pytest.mark.parametrize("mode", list(TrainingMode))
    def test_a_spec_comes_back_as_it_was_sent(self, mode: TrainingMode) -> None:
        """Presence included: a zero that was sent is kept, for the service to refuse."""
        sent = JobSpec(
            mode=mode,
            rank=0,
            alpha=0.5,
            learning_rate=0.0,
            epoch_count=2,
            batch_size=3,
            seed=2**31,
            use_rslora=True,
            loraplus_ratio=16.0,
            initialization=Initialization.EVA,
            preset=Preset.BEST,
            early_stopping_patience=0,
        )
        stored = Job(JOB.name, JOB.dataset, JOB.adapter, "-", sent, NOW)

        assert job.new_job(JobName("a", "j"), job.job(stored), NOW) == stored

    @pytest.mark.parametrize("priority", list(Priority))
    @pytest.mark.parametrize("limit", [None, 0.0, -1.0, 0.25, 5400.0])
    def test_priority_and_limit_come_back_as_they_were_sent(self, priority: Priority, limit: float | None) -> None:
        """A limit that no job may have is kept, for the service to refuse; none is none."""
        stored = dataclasses.replace(JOB, priority=priority, run_time_limit_seconds=limit)

        assert job.new_job(JobName("a", "j"), job.job(stored), NOW) == stored

    @pytest.mark.parametrize(
        ("message", "path"),
        [
            (training_job_pb2.TrainingJob(priority=77), "job.priority"),  # type: ignore[arg-type]  # of a later release
            (training_job_pb2.TrainingJob(spec={"mode": 77}), "job.spec.mode"),  # type: ignore[arg-type]  # as above
            (training_job_pb2.TrainingJob(spec={"initialization": 77}), "job.spec.initialization"),  # type: ignore[arg-type]  # as above
            (training_job_pb2.TrainingJob(spec={"preset": 77}), "job.spec.preset"),  # type: ignore[arg-type]  # as above
        ],
    )
    def test_an_unknown_number_is_refused(self, message: training_job_pb2.TrainingJob, path: str) -> None:
        """What a newer client means by it is not known, and no default stands in for it."""
        with pytest.raises(InvalidInput, match="77") as caught:
            job.new_job(JobName("a", "j"), message, NOW)

        assert caught.value.violations[0].path == path

    def test_a_base_revision_comes_back_as_it_was_sent(self) -> None:
        """By name."""
        stored = dataclasses.replace(JOB, base_revision="tenants/a/adapters/x/revisions/2")

        assert job.new_job(JobName("a", "j"), job.job(stored), NOW) == stored

    def test_no_preset_is_balanced(self) -> None:
        """The default."""
        message = training_job_pb2.TrainingSpec()

        assert job.job_spec(message) == JobSpec(preset=Preset.BALANCED)

    def test_a_validation_that_was_not_made_is_absent(self) -> None:
        """A score of zero is one."""
        without, zero = (
            job.event(Event(1, NOW, progress=progress)).progress
            for progress in (Progress(5, 9, 0.5, 1.0), Progress(5, 9, 0.5, 1.0, validation_score=0.0, best_step=5))
        )

        assert not without.HasField("validation_score")
        assert not without.HasField("best_step")
        assert (zero.HasField("validation_score"), zero.validation_score, zero.best_step) == (True, 0.0, 5)

    def test_no_priority_is_normal(self) -> None:
        """The default."""
        message = job.job(JOB)
        message.priority = training_job_pb2.TRAINING_PRIORITY_UNSPECIFIED

        assert job.new_job(JobName("a", "j"), message, NOW).priority is Priority.NORMAL

    def test_tells_the_time_that_workers_took(self) -> None:
        """As a duration."""
        assert job.job(dataclasses.replace(JOB, run_seconds=90.5)).run_time.ToMilliseconds() == 90_500

    def test_output_only_fields_of_a_request_are_ignored(self) -> None:
        """A caller cannot create a job that has succeeded."""
        message = job.job(QUEUED.move(JobState.RUNNING, NOW).move(JobState.SUCCEEDED, NOW, revision="x"))

        assert job.new_job(JobName("a", "j"), message, NOW) == JOB

    def test_a_final_job_tells_everything(self) -> None:
        """Numbers, times and the failure; an execution match that was not measured is absent, not zero."""
        evaluation = Evaluation(9, 0.5, 0.75, None, 1000.0, 20.5, 0.25)
        running = QUEUED.move(JobState.RUNNING, NOW, attempt=2, start_time=NOW, phase=Phase.EVALUATING)
        failure = Failure("LOSS_DIVERGED", "nan", user_error=True)
        done = running.move(
            JobState.FAILED, NOW, failure=failure, evaluation=evaluation, progress=Progress(5, 10, 0.5, 1.5, 1 << 30)
        )

        before, after = job.job(running), job.job(done)

        assert before.phase == training_job_pb2.TRAINING_PHASE_EVALUATING
        assert not before.HasField("end_time")
        assert after.phase == training_job_pb2.TRAINING_PHASE_UNSPECIFIED
        assert after.end_time.ToDatetime(UTC) == after.start_time.ToDatetime(UTC) == NOW
        assert (after.failure.reason, after.failure.message, after.failure.user_error) == ("LOSS_DIVERGED", "nan", True)
        assert (after.progress.step, after.progress.step_count, after.progress.epoch) == (5, 10, 1.5)
        assert after.progress.peak_memory_bytes == 1 << 30
        assert not after.evaluation.HasField("execution_match")
        assert (after.evaluation.holdout_count, after.evaluation.holdout_loss) == (9, 0.25)

    @pytest.mark.parametrize(
        ("entry", "kind"),
        [
            (Event(3, NOW), None),
            (Event(3, NOW, changed=JOB), "changed"),
            (Event(3, NOW, progress=Progress()), "progress"),
            (Event(3, NOW, evaluated=CheckpointScore(4, 9, 0.5, 0.25, 1.5)), "evaluated"),
            (Event(3, NOW, checkpoint_step=0), "checkpoint"),
        ],
    )
    def test_an_event_is_one_thing(self, entry: Event, kind: str | None) -> None:
        """A heartbeat is nothing but its place in the history."""
        message = job.event(entry)

        assert message.WhichOneof("event") == kind
        assert (message.sequence, message.event_time.ToDatetime(UTC)) == (3, NOW)


class TestDataset:
    """Golden datasets."""

    def test_comes_back_as_it_was_sent(self) -> None:
        """Only what a caller may set is read."""
        message = dataset.dataset(DATASET)
        message.state = golden_dataset_pb2.GOLDEN_DATASET_STATE_ACTIVE

        assert dataset.new_dataset(DatasetName("a", "d"), message, NOW) == DATASET

    @pytest.mark.parametrize("format_", DatasetFormat)
    def test_keeps_its_format(self, format_: DatasetFormat) -> None:
        """Without one it is JSON Lines; one that nobody here reads is refused, never guessed."""
        stored = dataclasses.replace(DATASET, format=format_)
        unknown = golden_dataset_pb2.GoldenDataset(format=99)  # type: ignore[arg-type]  # what a newer caller sends

        assert dataset.new_dataset(DatasetName("a", "d"), dataset.dataset(stored), NOW) == stored
        plain = dataset.new_dataset(DatasetName("a", "d"), golden_dataset_pb2.GoldenDataset(), NOW)
        assert plain.format is DatasetFormat.JSONL
        with pytest.raises(InvalidInput, match=r"dataset\.format: must be one of jsonl, csv, parquet"):
            dataset.new_dataset(DatasetName("a", "d"), unknown, NOW)

    def test_keeps_its_split_seed(self) -> None:
        """Of up to 63 bits; without one it is 0."""
        stored = dataclasses.replace(DATASET, split_seed=2**63 - 1)

        assert dataset.new_dataset(DatasetName("a", "d"), dataset.dataset(stored), NOW) == stored
        assert dataset.new_dataset(DatasetName("a", "d"), golden_dataset_pb2.GoldenDataset(), NOW).split_seed == 0

    def test_keeps_its_teacher(self) -> None:
        """What the caller leaves open has the defaults; what it says comes back."""
        asked = TeacherSettings("large", "tenants/a/datasets/e", 2, 5, 0.8, 9)
        stored = dataclasses.replace(DATASET, teacher=asked)
        plain = golden_dataset_pb2.GoldenDataset(teacher=golden_dataset_pb2.TeacherSettings(teacher="large"))
        bare = golden_dataset_pb2.GoldenDataset(teacher=golden_dataset_pb2.TeacherSettings())

        assert dataset.new_dataset(DatasetName("a", "d"), dataset.dataset(stored), NOW) == stored
        assert dataset.new_dataset(DatasetName("a", "d"), plain, NOW).teacher == TeacherSettings("large")
        assert dataset.new_dataset(DatasetName("a", "d"), bare, NOW).teacher == TeacherSettings("")
        assert dataset.new_dataset(DatasetName("a", "d"), golden_dataset_pb2.GoldenDataset(), NOW).teacher is None

    @pytest.mark.parametrize(("field", "value"), [("sample_count", 9), ("example_count", -1), ("min_agreement", 2.0)])
    def test_refuses_settings_of_a_teacher_out_of_range(self, field: str, value: float) -> None:
        """By name."""
        settings = golden_dataset_pb2.TeacherSettings(teacher="large")
        setattr(settings, field, value)

        with pytest.raises(InvalidInput, match=f"dataset.teacher.{field}"):
            dataset.new_dataset(DatasetName("a", "d"), golden_dataset_pb2.GoldenDataset(teacher=settings), NOW)

    def test_names_the_teacher_in_its_lineage(self) -> None:
        """With the digest that a manifest has."""
        labelling = Labelling(TeacherSettings("large"), TeacherKind.OPENAI, ("m",), "sha256:1", "sha256:2", 7)
        stored = dataclasses.replace(DATASET, labelling=labelling, digest="sha256:0")

        lineage = dataset.dataset(stored).lineage

        assert (lineage.source, lineage.teacher.teacher, lineage.teacher.kind) == ("", "large", "openai")
        assert (lineage.teacher.answer_count, lineage.teacher.content_digest) == (7, stored.content_digest)
        assert not dataset.dataset(DATASET).HasField("lineage")

    def test_shows_a_report_once_there_is_one(self) -> None:
        """Absent before the check; counts by kind after."""
        report = Report(10, 7, 2, 1, {"ROW_INVALID": 1}, distinct_output_count=5, canonicalized_count=4)
        checked = Dataset("n", "c", "", "", NOW, state=DatasetState.FAILED, report=report)

        assert not dataset.dataset(DATASET).HasField("report")
        message = dataset.dataset(checked).report
        assert (message.row_count, message.train_count, message.holdout_count, message.invalid_count) == (10, 7, 2, 1)
        assert dict(message.finding_counts) == {"ROW_INVALID": 1}
        assert (message.distinct_output_count, message.canonicalized_count) == (5, 4)

    def test_a_finding_says_what_it_costs_and_what_to_do(self) -> None:
        """Both follow from its reason."""
        message = dataset.finding(Finding(3, "ROW_DUPLICATED", "rows[3].input", "repeats row 1", blocking=False))

        assert message.severity == golden_dataset_pb2.FINDING_SEVERITY_WARNING
        assert message.remedy == "keep one of them"

    def test_a_finding_names_the_other_rows(self) -> None:
        """As numbers, for who reads no messages."""
        message = dataset.finding(Finding(3, "ROW_DUPLICATED", "rows[3].input", "x", related_rows=(1, 7)))

        assert list(message.related_rows) == [1, 7]

    def test_a_filter_for_what_there_is_not_is_refused(self) -> None:
        """It would find nothing for ever, and look like a clean dataset."""
        wanted = dataset.finding_filter(["NEVER_SEEN"], golden_dataset_pb2.FINDING_SEVERITY_UNSPECIFIED)

        assert wanted == FindingFilter(frozenset({"NEVER_SEEN"}), Severity.ADVICE)
        with pytest.raises(InvalidInput, match=r"reasons\[1\]"):
            dataset.finding_filter(["NEVER_SEEN", "ROW_DUPLICATE"], golden_dataset_pb2.FINDING_SEVERITY_ERROR)
        with pytest.raises(InvalidInput, match="min_severity"):
            dataset.finding_filter([], 9)  # type: ignore[arg-type]  # what a newer caller sends

    def test_an_unknown_policy_is_the_strict_one(self) -> None:
        """A newer caller's policy never lets rows slip away."""
        assert dataset.policy(golden_dataset_pb2.INVALID_ROW_POLICY_EXCLUDE) is InvalidRowPolicy.EXCLUDE
        assert dataset.policy(golden_dataset_pb2.INVALID_ROW_POLICY_UNSPECIFIED) is InvalidRowPolicy.REFUSE
        assert dataset.policy(99) is InvalidRowPolicy.REFUSE  # type: ignore[arg-type]  # what a newer caller sends


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


class TestPromotionPolicy:
    """Policies of adapters."""

    def test_what_an_owner_leaves_open_is_the_default(self) -> None:
        """Of nothing."""
        assert promotion.policy_of(promotion_pb2.PromotionPolicy()) == PromotionPolicy()

    def test_comes_back_as_it_was_sent(self) -> None:
        """Zeros and absent limits included."""
        policy = PromotionPolicy(
            mode=PromotionMode.CANARY, canary_percent=0, rollback=RollbackPolicy((), 0.9),
            thresholds=(Threshold("unconstrained.rouge_l", 0.0, is_at_lower_end=True),), live_margin=0.0,
            forgetting=ForgettingLimits(kl_divergence=0.0), disabled=frozenset({BuiltInCheck.OWN_STOP}),
            least_own_stop_rate=0.0, max_memorised_gap=0.0, is_evaluation_required=True,
        )  # fmt: skip

        message = promotion.policy_message(AdapterName("a", "x"), AdapterPolicy(policy, 3, NOW))

        assert promotion.policy_of(message) == policy
        assert (message.name, message.etag) == ("tenants/a/adapters/x/promotionPolicy", "3")

    @pytest.mark.parametrize("field", ["mode", "disabled_checks"])
    def test_an_unknown_number_is_refused(self, field: str) -> None:
        """What a newer client means by it is not known; a check that is not one cannot be switched off."""
        message = promotion_pb2.PromotionPolicy(**{field: [0] if field == "disabled_checks" else 77})

        with pytest.raises(InvalidInput, match=field):
            promotion.policy_of(message)
