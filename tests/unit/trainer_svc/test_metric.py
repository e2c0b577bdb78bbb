"""Held-out metrics."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.spec import ContractKind
from trainer_svc.domain.metric import exact_match, field_f1
from trainer_svc.domain.plan import TrainingPlan, learning_rate, plan_training
from trainer_svc.domain.run import RunSpec
from trainer_svc.evaluation.execution import execution_match

_VALUE = st.dictionaries(st.text(max_size=3), st.one_of(st.integers(), st.text(max_size=3), st.lists(st.integers())))
JSON = ContractKind.JSON
DDL = "CREATE TABLE t (a INTEGER, b TEXT);"
ROWS = "INSERT INTO t VALUES (1, 'x'); INSERT INTO t VALUES (2, 'y'); INSERT INTO t VALUES (2, 'z');"


class TestFieldF1:
    """Micro F1 over leaves."""

    @given(st.lists(st.tuples(_VALUE, _VALUE), min_size=1, max_size=5))
    def test_is_a_symmetric_ratio_and_one_for_equal_outputs(self, pairs: list[tuple[object, object]]) -> None:
        """F1 lies in 0..1, does not care who is gold, and is 1 exactly for the same leaves."""
        golden, generated = ([json.dumps(pair[i]) for pair in pairs] for i in (0, 1))

        score = field_f1(JSON, golden, generated)

        assert 0 <= score <= 1
        assert score == field_f1(JSON, generated, golden)
        assert field_f1(JSON, golden, golden) == 1

    def test_counts_leaves_with_their_path(self) -> None:
        """One of two golden leaves found among three generated: 2 * 1 / (2 + 3)."""
        golden, generated = '{"a":1,"b":{"c":"x"}}', '{"a":1,"b":{"c":"y","d":"x"}}'

        assert field_f1(JSON, [golden], [generated]) == pytest.approx(0.4)

    def test_text_that_is_no_json_matches_nothing(self) -> None:
        """Filler scores 0, not an error."""
        assert field_f1(JSON, ['{"a":1}'], ["Sure!"]) == 0

    @pytest.mark.parametrize(
        ("kind", "golden", "generated", "score"),
        [
            (ContractKind.CHOICE, "refund", "refund", 1.0),
            (ContractKind.CHOICE, "refund", "refund please", 0.0),
            (ContractKind.REGEX, "AB-1", "AB-2", 0.0),
            (ContractKind.TEXT, "as you wish", "as  you like it", 4 / 7),
            (ContractKind.SQL, "SELECT a", "SELECT b", 0.5),
        ],
    )
    def test_has_leaves_for_every_kind(self, kind: ContractKind, golden: str, generated: str, score: float) -> None:
        """A class counts as a whole, a text by its words; nothing scores 1 for want of leaves."""
        assert field_f1(kind, [golden], [generated]) == pytest.approx(score)

    def test_exact_match_is_a_share_of_rows(self) -> None:
        """Two of three."""
        assert exact_match(["a", "b", "c"], ["a", "x", "c"]) == pytest.approx(2 / 3)


class TestExecutionMatch:
    """Statements compared by their results."""

    @pytest.mark.parametrize(
        ("golden", "generated", "same"),
        [
            ("SELECT a FROM t WHERE b = 'x'", "SELECT MIN(a) FROM t", True),
            ("SELECT a FROM t", "SELECT a FROM t ORDER BY a DESC", True),
            ("SELECT a FROM t ORDER BY a", "SELECT a FROM t ORDER BY a DESC", False),
            ("SELECT a FROM t", "SELECT DISTINCT a FROM t", False),
            ("SELECT a FROM t", "SELECT nothing FROM t", False),
            ("SELECT COUNT(*) FROM t", "DELETE FROM t", False),
            ("SELECT 1", "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x FROM n) SELECT COUNT(*) FROM n", False),
        ],
    )
    def test_compares_results(self, golden: str, generated: str, same: bool) -> None:
        """Order counts where the golden statement orders; writes are denied and endless queries are stopped."""
        assert execution_match(DDL, ROWS, [golden], [generated]) == float(same)


def _plan(spec: RunSpec, train_count: int) -> TrainingPlan:
    return plan_training(spec, train_count=train_count, hidden_size=256, model_type="llama")


class TestPlan:
    """Settings that a job leaves open."""

    def test_keeps_what_the_job_sets(self) -> None:
        """Only open settings are chosen."""
        spec = RunSpec("j", "b", "c", "{}", "d", "e", rank=8, epoch_count=2, batch_size=4, learning_rate=0.1, alpha=3.0)

        plan = _plan(spec, 10)

        assert (plan.rank, plan.alpha, plan.learning_rate, plan.epoch_count) == (8, 3.0, 0.1, 2)
        assert plan.step_count == 6

    @pytest.mark.parametrize(("rows", "steps", "warmup"), [(8, 1, 0), (16, 2, 1), (800, 100, 3)])
    def test_a_run_of_one_step_learns_in_it(self, rows: int, steps: int, warmup: int) -> None:
        """The rate of the first of several is 0."""
        plan = _plan(RunSpec("j", "b", "c", "{}", "d", "e", epoch_count=1, batch_size=8), rows)

        assert (plan.step_count, plan.warmup_step_count) == (steps, warmup)

    def test_alpha_gives_the_same_scaling_in_both_ways_of_counting(self) -> None:
        """At the default rank rsLoRA begins where LoRA does; from there only it falls with the root of the rank."""
        plain, stabilised = (RunSpec("j", "b", "c", "{}", "d", "e", use_rslora=use) for use in (False, True))

        first, second = (_plan(spec, 500) for spec in (plain, stabilised))

        assert first.alpha / first.rank == second.alpha / second.rank**0.5
        assert second.use_rslora

    def test_larger_sets_take_fewer_passes(self) -> None:
        """The number of examples seen stays about the same, within limits."""
        spec = RunSpec("j", "b", "c", "{}", "d", "e")
        epochs = [_plan(spec, n).epoch_count for n in (50, 500, 1000, 2000, 9000)]

        assert epochs == sorted(epochs, reverse=True)
        assert len(set(epochs)) > 2

    @pytest.mark.parametrize(
        ("model_type", "width", "rate"),
        [
            ("llama", 2048, 4.9e-4),
            ("llama", 4096, 2.9e-4),
            ("llama4_text", 4096, 2.9e-4),
            ("qwen2", 2560, 4.9e-4),
            ("qwen3", 2560, 4.9e-4),
            ("qwen3", 4096, 4.7e-4),
            ("qwen3_moe", 4096, 4.7e-4),
            ("mistral", 4096, 2.9e-4),
        ],
    )
    def test_learning_rate_follows_its_source(self, model_type: str, width: int, rate: float) -> None:
        """The published value for each family; another family's is as for a Llama."""
        assert learning_rate(width, model_type) == pytest.approx(rate, rel=0.02)

    def test_learning_rate_of_a_short_run_is_that_of_a_long_one(self) -> None:
        """The presets were measured so."""
        short, long = (_plan(RunSpec("j", "b", "c", "{}", "d", "e", epoch_count=count), 80) for count in (1, 20))

        assert short.step_count < 100 < long.step_count
        assert short.learning_rate == long.learning_rate == pytest.approx(2.49e-3, rel=0.01)
