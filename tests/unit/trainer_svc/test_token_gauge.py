"""Golden rows in tokens: lengths, and the rows that cannot be trained on."""

from __future__ import annotations

import json

import pytest

from shared.base_model import BaseModel
from shared.contracts.spec import ContractKind, ContractSpec
from shared.prompt import PromptRenderer
from trainer_svc.curation.check import Checked, check_rows
from trainer_svc.curation.compiled_example import ExampleCompiler
from trainer_svc.curation.token_gauge import TokenGauge
from trainer_svc.domain.dataset import CheckedRow, InvalidRowPolicy
from trainer_svc.domain.token_length import Quantiles

SPEC = ContractSpec(ContractKind.TEXT)
LIMIT = 64


@pytest.fixture(scope="module")
def compiler(tiny_base: BaseModel) -> ExampleCompiler:
    """For a context of 64 tokens."""
    return ExampleCompiler(PromptRenderer.load(tiny_base), LIMIT)


def _rows(count: int) -> list[CheckedRow]:
    """Row n has n characters that are a token each, and one in its output."""
    return [CheckedRow(n, "#" * n, "1") for n in range(1, count + 1)]


class TestLengths:
    """Quantiles and totals."""

    def test_are_lengths_of_rows(self, compiler: ExampleCompiler) -> None:
        """Half, 95, 99 and 100 of 100 rows are not longer; the template and the stop token count."""
        lengths = TokenGauge(ExampleCompiler(compiler.renderer, 512)).measure(_rows(100), []).lengths(_rows(60))

        assert lengths is not None
        by_row = {n: len(compiler.renderer.prompt_ids("#" * n)) for n in (51, 96, 100)}
        assert (lengths.prompt.p50, lengths.prompt.p95, lengths.prompt.max) == (by_row[51], by_row[96], by_row[100])
        assert lengths.completion == Quantiles(2, 2, 2, 2)
        assert lengths.total.max == lengths.prompt.max + 2
        assert (lengths.row_count, lengths.learned_token_count, lengths.context_tokens) == (100, 200, 512)
        assert lengths.longest_train_tokens == len(compiler.renderer.prompt_ids("#" * 60)) + 2
        assert lengths.token_count > lengths.train_token_count > 60 * 4

    def test_keep_those_of_the_rows_that_are_trained_on(self, compiler: ExampleCompiler) -> None:
        """Ascending, and no more than a thousand, with the shortest and the longest among them."""
        measured = TokenGauge(ExampleCompiler(compiler.renderer, 5_000)).measure(_rows(1_300), [])

        few, many = measured.lengths(_rows(60)), measured.lengths(_rows(1_300))

        assert few is not None
        assert many is not None
        assert few.train_lengths == tuple(sum(measured.sizes[row]) for row in range(1, 61))
        assert sum(few.train_lengths) == few.train_token_count
        assert len(many.train_lengths) == 1_000
        assert (many.train_lengths[0], many.train_lengths[-1]) == (few.train_lengths[0], many.longest_train_tokens)

    def test_count_train_and_holdout_and_what_is_too_long(self, compiler: ExampleCompiler) -> None:
        """Nothing is cut before it is counted."""
        long = CheckedRow(9, "#" * 200, "1")

        lengths = TokenGauge(compiler).measure(_rows(3), [long]).lengths(_rows(3))

        assert lengths is not None
        assert lengths.total.max == len(compiler.renderer.prompt_ids(long.input)) + 2 > LIMIT
        assert lengths.row_count == 4

    def test_say_what_an_adapter_saves(self, compiler: ExampleCompiler) -> None:
        """The instruction prompt with its part of the template."""
        lengths = TokenGauge(compiler, "Answer with JSON.").measure(_rows(1), []).lengths(_rows(1))

        renderer = compiler.renderer
        assert lengths is not None
        saved = len(renderer.prompt_ids("a", "Answer with JSON.")) - len(renderer.prompt_ids("a"))
        assert lengths.instruction_tokens == saved > 0

    def test_leave_out_rows_that_break_the_contract(self, compiler: ExampleCompiler) -> None:
        """They are held out as misses, and may be of any size."""
        measured = TokenGauge(compiler).measure([CheckedRow(1, "a", "1")], [CheckedRow(2, "#" * 500, "nonsense")])

        lengths = measured.lengths([CheckedRow(1, "a", "1")], broken={2})

        assert lengths is not None
        assert lengths.row_count == 1
        assert lengths.total.max < 500

    def test_name_the_base_model(self, compiler: ExampleCompiler) -> None:
        """Of another one they would be others."""
        named = ExampleCompiler(compiler.renderer, LIMIT, base_digest=lambda: "sha256:1")

        told, untold = (TokenGauge(one).measure(_rows(1), []).lengths(_rows(1)) for one in (named, compiler))

        assert told is not None
        assert untold is not None
        assert (told.base_model_digest, untold.base_model_digest) == ("sha256:1", "")

    def test_are_none_without_rows(self, compiler: ExampleCompiler) -> None:
        """An empty upload has no lengths, not lengths of 0."""
        measured = TokenGauge(compiler).measure([], [])

        assert (measured.lengths([]), measured.findings, measured.unusable) == (None, (), frozenset())


class TestRowsThatCannotBeTrainedOn:
    """What the gauge finds, and what becomes of it in the check."""

    def test_block_when_they_are_too_long_to_train_on(self, compiler: ExampleCompiler) -> None:
        """With the counts and the limit."""
        measured = TokenGauge(compiler).measure([*_rows(2), CheckedRow(9, "ab#" * 60, "1")], [])

        (finding,) = measured.findings
        assert (finding.row_number, finding.reason, finding.path) == (9, "ROW_TOO_LONG", "rows[9]")
        assert finding.blocking
        assert f"the context holds {LIMIT}" in finding.message
        assert measured.unusable == {9}

    def test_are_told_and_kept_when_they_are_held_out(self, compiler: ExampleCompiler) -> None:
        """They are asked for all the same, so that a miss counts as one."""
        measured = TokenGauge(compiler).measure(_rows(2), [CheckedRow(9, "#" * 200, "1")])

        assert [(f.reason, f.blocking) for f in measured.findings] == [("ROW_TOO_LONG", False)]
        assert measured.unusable == frozenset()

    def test_block_everywhere_when_they_have_no_tokens(self, compiler: ExampleCompiler) -> None:
        """Half a character could be neither learned nor asked for."""
        measured = TokenGauge(compiler).measure([CheckedRow(1, "\ud800", "1")], [CheckedRow(2, "a", "\udfff")])

        assert [(f.row_number, f.reason, f.blocking) for f in measured.findings] == [
            (1, "ROW_NOT_TRAINABLE", True),
            (2, "ROW_NOT_TRAINABLE", True),
        ]
        assert measured.unusable == {1, 2}


def _check(compiler: ExampleCompiler, policy: InvalidRowPolicy, *texts: str, split: str = "train") -> Checked:
    lines = [{"input": f"row {i}", "output": "1"} for i in range(30)]
    lines += [{"input": text, "output": "1", "split": split} for text in texts]
    if split == "train":
        lines.append({"input": "held out", "output": "1", "split": "holdout"})
    return check_rows("\n".join(map(json.dumps, lines)).encode(), SPEC, policy, gauge=TokenGauge(compiler))


class TestCheck:
    """The gauge inside the check of an upload."""

    def test_an_over_long_row_fails_a_strict_dataset(self, compiler: ExampleCompiler) -> None:
        """As a row outside the contract does."""
        checked = _check(compiler, InvalidRowPolicy.REFUSE, "#" * 200)

        assert not checked.is_usable
        assert checked.report.invalid_count == 1
        assert checked.report.finding_counts["ROW_TOO_LONG"] == 1

    def test_an_over_long_row_is_left_out_on_request(self, compiler: ExampleCompiler) -> None:
        """Whole, never cut; the report still counts its length."""
        checked = _check(compiler, InvalidRowPolicy.EXCLUDE, "#" * 200, "\ud800")

        assert checked.is_usable
        assert (checked.report.train_count, checked.report.invalid_count) == (30, 2)
        assert checked.report.token_lengths is not None
        assert checked.report.token_lengths.total.max > LIMIT
        assert {row.row for row in checked.train} == set(range(1, 31))

    def test_an_over_long_held_out_row_is_kept(self, compiler: ExampleCompiler) -> None:
        """The dataset is usable as it is."""
        checked = _check(compiler, InvalidRowPolicy.REFUSE, "#" * 200, split="holdout")

        assert checked.is_usable
        assert [row.row for row in checked.holdout] == [31]
        assert checked.report.invalid_count == 0

    def test_a_row_that_breaks_two_rules_is_one_invalid_row(self, compiler: ExampleCompiler) -> None:
        """Outside its contract and without tokens, held out: it would count as a miss, but cannot be asked for."""
        spec = ContractSpec(ContractKind.CHOICE, choices=("yes",))
        lines = [{"input": f"row {i}", "output": "yes"} for i in range(30)]
        lines += [{"input": "\ud800", "output": "no", "split": "holdout"}, {"input": "b", "output": "yes"}]
        lines += [{"input": "c", "output": "yes", "split": "holdout"}]

        data = "\n".join(map(json.dumps, lines)).encode()
        checked = check_rows(data, spec, InvalidRowPolicy.EXCLUDE, gauge=TokenGauge(compiler))

        assert checked.report.invalid_count == 1
        assert [row.row for row in checked.holdout] == [33]
