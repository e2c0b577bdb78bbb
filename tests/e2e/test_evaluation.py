"""The evaluation of a run: every kept state of its adapter, the base, and the revision that serves."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from shared.adapter.package import read_package
from shared.contracts.check import check_output
from shared.contracts.spec import ContractKind, ContractSpec
from shared.digest import sha256_file
from tests.e2e.training_sample import CONTRACT, events_of, rows, run_here
from trainer_svc.curation.row_file import dump_rows, load_rows
from trainer_svc.domain.comparison import MetricName, Verdict
from trainer_svc.domain.dataset import CheckedRow
from trainer_svc.domain.evaluation import AdapterEvaluation, EvaluatedRow, ScoredAnswer
from trainer_svc.domain.row_score import Generated
from trainer_svc.domain.run import Cancelled, RunFolder, RunSpec, ServedType
from trainer_svc.engine.evaluation_stage import dealt
from trainer_svc.engine.memo import Memo
from trainer_svc.evaluation.comparison import compare_all
from trainer_svc.evaluation.score import score_rows
from trainer_svc.store.codec import load

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]

_LIVE = "tenants/acme/adapters/answer/revisions/1"


def _evaluation(folder: RunFolder) -> AdapterEvaluation:
    return load(AdapterEvaluation, folder.evaluation.read_text())


def _rows(folder: RunFolder) -> list[EvaluatedRow]:
    return [load(EvaluatedRow, line) for line in folder.evaluated_rows.read_text().splitlines()]


class TestCheckpoints:
    """The states of an adapter on the way."""

    def test_each_is_evaluated_under_the_contract_and_freely(self, prepare: Callable[..., RunFolder]) -> None:
        """At evenly spread steps, the last of which is published; events tell what the evaluation tells."""
        folder = prepare("curve", evaluated_checkpoint_count=3)

        run_here(folder)

        found = _evaluation(folder)
        assert [one.step for one in found.checkpoints] == [20, 40, 60]
        assert [one.is_published for one in found.checkpoints] == [False, False, True]
        for one in found.checkpoints:
            assert one.constrained.row_count == one.unconstrained.row_count == 9
            assert one.constrained.schema_valid.value == 1
            assert one.forgetting.text_token_count > 1_000
        told = {event["step"]: event["task_metric"] for event in events_of(folder, "evaluated")}
        assert told == {one.step: one.constrained.task_metric.value for one in found.checkpoints}
        losses = [one.holdout_loss for one in found.checkpoints]
        assert losses[0] > losses[-1], "it learns"

    def test_keeping_them_changes_nothing_that_is_learned(self, prepare: Callable[..., RunFolder]) -> None:
        """The same adapter, however many of its states are evaluated."""
        folders = [prepare(f"kept-{count}", epoch_count=1, evaluated_checkpoint_count=count) for count in (1, 5)]

        for folder in folders:
            run_here(folder)

        one, other = (sha256_file(folder.adapter / "adapter_model.safetensors") for folder in folders)
        assert one == other
        assert [len(_evaluation(folder).checkpoints) for folder in folders] == [1, 5]

    def test_the_base_forgets_more_the_longer_it_is_trained(self, prepare: Callable[..., RunFolder]) -> None:
        """KL from the base grows from a state that has learned almost nothing; the base's own loss is the same."""
        folder = prepare("forgets", evaluated_checkpoint_count=20)

        run_here(folder)

        found = [one.forgetting for one in _evaluation(folder).checkpoints]
        assert found[0].kl_divergence < found[-1].kl_divergence
        assert len({one.base_cross_entropy for one in found}) == 1
        assert all(one.kl_divergence >= 0 for one in found)


class TestComparisons:
    """What the published adapter is held against."""

    def test_the_live_revision_answers_the_same_rows(self, prepare: Callable[..., RunFolder]) -> None:
        """One that learned little is worse; compared with itself an adapter is neither better nor worse."""
        weak = prepare("weak", epoch_count=1, learning_rate=1e-6)
        run_here(weak)
        alone, live = _evaluation(weak), {"live_revision": _LIVE, "live_digest": read_package(weak.package).digest}
        again = prepare("again", epoch_count=1, learning_rate=1e-6, **live)
        strong = prepare("strong", epoch_count=12, learning_rate=2e-2, **live)
        for folder in (strong, again):
            shutil.copytree(weak.package, folder.live)

        run_here(strong)
        run_here(again)

        assert (alone.live, alone.against_live, alone.live_revision) == (None, (), "")
        same = {one.metric: one for one in _evaluation(again).against_live}
        assert {one.difference for one in same.values()} == {0.0}
        better = {one.metric: one for one in _evaluation(strong).against_live}[MetricName.FIELD_F1]
        assert better.difference > 0.2
        assert _evaluation(strong).live_revision == _LIVE
        assert all(row.live is not None for row in _rows(strong))

    def test_the_live_revision_is_not_asked_what_it_was_trained_on(self, prepare: Callable[..., RunFolder]) -> None:
        """With another split of the same rows it would shine: only rows that are new to both are compared."""
        weak = prepare("weak", epoch_count=1)
        run_here(weak)
        digest = read_package(weak.package).digest
        folder = prepare("split", epoch_count=1, live_revision=_LIVE, live_digest=digest)
        shutil.copytree(weak.package, folder.live)
        held = load_rows(folder.holdout_rows.read_bytes())
        folder.live_rows.write_bytes(dump_rows(held[:4]))

        run_here(folder)

        found = _evaluation(folder)
        assert found.live is not None
        assert found.live.row_count == found.against_live[0].row_count == 5
        assert {row.row for row in _rows(folder) if row.live is None} == {row.row for row in held[:4]}

    def test_a_live_revision_under_another_contract_is_not_compared_with(
        self, prepare: Callable[..., RunFolder]
    ) -> None:
        """It answers other callers in another form; it is named all the same."""
        lower = ContractSpec(ContractKind.JSON, json_schema=CONTRACT.json_schema.replace("99", "98"))
        other = prepare("other", epoch_count=1, contract=lower.canonical().decode())
        run_here(other)
        digest = read_package(other.package).digest
        folder = prepare("own", epoch_count=1, live_revision=_LIVE, live_digest=digest)
        shutil.copytree(other.package, folder.live)

        run_here(folder)

        found = _evaluation(folder)
        assert (found.live, found.against_live, found.live_revision) == (None, (), _LIVE)

    def test_an_adapter_of_shuffled_answers_is_no_better_than_chance(self, prepare: Callable[..., RunFolder]) -> None:
        """It learned what answers look like; one that was trained on the true ones is better than that."""
        golden = rows(160)
        moved = [CheckedRow(row.row, row.input, golden[(row.row * 7 + 5) % 160].output) for row in golden]
        shuffled, true = prepare("shuffled", moved), prepare("true", learning_rate=2e-2, epoch_count=12)

        run_here(shuffled)
        run_here(true)

        chance, skill = (
            {one.metric: one for one in _evaluation(folder).against_chance}[MetricName.FIELD_F1]
            for folder in (shuffled, true)
        )
        assert chance.verdict is not Verdict.BETTER
        assert skill.verdict is Verdict.BETTER

    def test_an_adapter_that_always_says_the_same_is_at_chance(self) -> None:
        """However many golden outputs that fits: it would, too, if the rows had each other's."""
        golden = [row.output for row in rows(2)] * 5
        score = partial(score_rows, CONTRACT, partial(check_output, CONTRACT), golden)
        scores = score([Generated(golden[0], 9, ended=True)] * 10)

        found = compare_all(scores, score(dealt([ScoredAnswer(golden[0], one) for one in scores])))

        assert sum(score.is_exact for score in scores) == 5
        assert {one.difference for one in found} == {0.0}

    def test_the_base_answers_with_the_instruction_prompt(self, prepare: Callable[..., RunFolder]) -> None:
        """Where the dataset has one; the tokens of its answers say what the adapter saves."""
        with_one, without = prepare("instructed", epoch_count=1), prepare("bare", epoch_count=1, instruction_prompt="")

        run_here(with_one)
        run_here(without)

        found = _evaluation(with_one)
        assert found.base is not None
        saved = found.base.output_tokens.value - found.published.constrained.output_tokens.value
        assert found.output_tokens_saved == saved
        assert (_evaluation(without).base, _evaluation(without).against_base) == (None, ())

    def test_the_bare_base_answers_as_if_nothing_had_been_trained(self, prepare: Callable[..., RunFolder]) -> None:
        """The same on the same prompts, whatever the adapter is; the adapter is held against that."""
        one, other = prepare("one", epoch_count=1), prepare("other", epoch_count=4, instruction_prompt="")

        run_here(one)
        run_here(other)

        found = _evaluation(other)
        assert found.bare_base is not None
        assert found.bare_base == _evaluation(one).bare_base
        gain = {each.metric: each.difference for each in found.against_bare_base}[MetricName.TASK_METRIC]
        assert gain == pytest.approx(found.published.constrained.task_metric.value - found.bare_base.task_metric.value)


class TestResume:
    """Evaluations that a death or a pause interrupts."""

    def test_goes_on_and_ends_with_the_same(self, prepare: Callable[..., RunFolder]) -> None:
        """What was answered is not answered again, and the package has the same bytes."""
        whole, stopped = prepare("whole", epoch_count=1), prepare("stopped", epoch_count=1)
        run_here(whole)
        with pytest.raises(Cancelled):
            run_here(stopped, lambda: len(events_of(stopped, "evaluated")) >= 2)
        answered = {path: path.stat().st_mtime_ns for path in stopped.evaluations.iterdir()}

        run_here(stopped)

        assert answered
        assert all(path.stat().st_mtime_ns == time for path, time in answered.items())
        assert _evaluation(stopped) == _evaluation(whole)
        assert read_package(stopped.package).digest == read_package(whole.package).digest

    def test_asks_again_where_answers_would_be_others(self, prepare: Callable[..., RunFolder]) -> None:
        """An operator changed what is served between two attempts: nothing that was answered before is kept."""
        folder = prepare("changed", epoch_count=1, served_type=ServedType.BFLOAT16)
        with pytest.raises(Cancelled):
            run_here(folder, lambda: len(events_of(folder, "evaluated")) >= 1)
        Memo(folder.evaluations).keep_answers("published.answers", [[1]])
        spec = RunSpec.from_json(folder.spec.read_bytes())
        folder.spec.write_bytes(dataclasses.replace(spec, served_type=ServedType.FLOAT32).to_json())

        run_here(folder)

        assert len(Memo(folder.evaluations).answers("published.answers")) == 9


class TestServedContext:
    """How many tokens a prompt may have with its answer where it is served."""

    def test_bounds_what_is_answered(self, prepare: Callable[..., RunFolder]) -> None:
        """As replicas refuse a prompt that leaves no room for an answer, though the base had some."""
        roomy, narrow = prepare("roomy", epoch_count=1), prepare("narrow", epoch_count=1, served_context_tokens=20)

        run_here(roomy)
        run_here(narrow)

        assert all(row.adapter.text for row in _rows(roomy))
        assert not any(row.adapter.text for row in _rows(narrow))


class TestBenchmarks:
    """The operator's own questions."""

    def test_are_answered_by_base_and_adapter(self, prepare: Callable[..., RunFolder], tmp_path: Path) -> None:
        """Each file has its score at each state; what the base's own answer is, it has right."""
        bench = tmp_path / "bench"
        bench.mkdir()
        (bench / "one.jsonl").write_text('{"prompt": "hello", "answer": "never said"}\n')
        folder = prepare("benched", epoch_count=1, benchmark_dir=str(bench))

        run_here(folder)

        for one in _evaluation(folder).checkpoints:
            (score,) = one.forgetting.benchmarks
            assert (score.name, score.row_count, score.base.value, score.adapter.value) == ("one", 1, 0.0, 0.0)
