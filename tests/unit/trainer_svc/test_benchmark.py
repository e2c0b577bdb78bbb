"""Benchmarks of the operator, and general questions."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.base_model import BaseModel
from shared.contracts.compiled import CompiledContract
from shared.contracts.compiler import ContractCompiler
from shared.contracts.spec import ContractKind, ContractSpec
from shared.errors import InvalidInput
from trainer_svc.evaluation.benchmark import MAX_ROWS, Question, is_right, load_benchmarks
from trainer_svc.evaluation.general_prompt import GENERAL_PROMPTS, leaks_format


class TestLoadBenchmarks:
    """Reading a folder of benchmark files."""

    def test_takes_each_file_by_name(self, tmp_path: Path) -> None:
        """In the order of their names; other files are left alone."""
        (tmp_path / "b.jsonl").write_text('{"prompt": "one and one?", "answer": "two"}\n')
        (tmp_path / "a.jsonl").write_text('{"prompt": "p", "answer": "1"}\n{"prompt": "q", "answer": "2"}\n')
        (tmp_path / "README").write_text("no benchmark")

        found = load_benchmarks(tmp_path)

        assert [(one.name, len(one.questions)) for one in found] == [("a", 2), ("b", 1)]
        assert found[1].questions == (Question("one and one?", "two"),)

    def test_breaks_lines_at_line_feeds_alone(self, tmp_path: Path) -> None:
        """What Unicode calls a line or paragraph separator may stand inside a text of JSON."""
        (tmp_path / "a.jsonl").write_text('{"prompt": "one\u2028two\u0085", "answer": "three"}\n')

        (found,) = load_benchmarks(tmp_path)

        assert found.questions == (Question("one\u2028two\u0085", "three"),)

    @pytest.mark.parametrize(
        ("text", "place"),
        [
            ("", "a.jsonl"),
            ("no json\n", "a.jsonl:1"),
            ('{"prompt": "p", "answer": "a"}\n{"prompt": "p"}\n', "a.jsonl:2"),
            ('{"prompt": 1, "answer": "a"}\n', "a.jsonl:1"),
            ('{"prompt": "", "answer": "a"}\n', "a.jsonl:1"),
            ('{"prompt": "p", "answer": "..."}\n', "a.jsonl:1"),
            ("[]\n", "a.jsonl:1"),
            ('{"prompt": "p", "answer": "a"}\n' * (MAX_ROWS + 1), "a.jsonl"),
        ],
    )
    def test_names_the_place_of_a_mistake(self, tmp_path: Path, text: str, place: str) -> None:
        """File and line: the operator mends it before a job meets it."""
        (tmp_path / "a.jsonl").write_text(text)

        with pytest.raises(InvalidInput) as caught:
            load_benchmarks(tmp_path)

        assert caught.value.reason == "FIELD_INVALID"
        assert caught.value.message.startswith(f"{tmp_path}/{place}: ")

    def test_refuses_a_folder_without_any(self, tmp_path: Path) -> None:
        """A wrong path would measure nothing without a word."""
        with pytest.raises(InvalidInput, match="must hold 1 to"):
            load_benchmarks(tmp_path)


class TestIsRight:
    """Judging an answer."""

    @pytest.mark.parametrize("text", ["Paris", "paris.", " Paris, the capital of France", "PARIS\n"])
    def test_goes_by_the_first_words(self, text: str) -> None:
        """Whatever follows, and however it is written."""
        assert is_right(Question("?", "Paris"), text)

    @pytest.mark.parametrize("text", ["", "Parisian", "It is Paris", "Rome"])
    def test_takes_no_other_word(self, text: str) -> None:
        """Nor the right one after others."""
        assert not is_right(Question("?", "Paris"), text)


class TestLeaksFormat:
    """Whether an answer to a general question looks like the task's."""

    def _contract(self, base: BaseModel, folder: Path, spec: ContractSpec) -> CompiledContract:
        return ContractCompiler(folder, base.vocabulary()).compile(spec)

    @pytest.mark.parametrize(
        ("spec", "leaks", "does_not"),
        [
            (ContractSpec(ContractKind.JSON, json_schema='{"type":"boolean"}'), ' {"a', "It is {a}"),
            (ContractSpec(ContractKind.SQL, ddl="CREATE TABLE t (a TEXT);"), "select a", "Selecting is hard"),
            (ContractSpec(ContractKind.CHOICE, choices=("yes", "no")), "yes", "yes, it is"),
        ],
    )
    def test_goes_by_the_beginning(
        self, tiny_base: BaseModel, tmp_path: Path, spec: ContractSpec, leaks: str, does_not: str
    ) -> None:
        """Of a choice by the whole answer, which is short."""
        contract = self._contract(tiny_base, tmp_path, spec)

        assert leaks_format(contract, leaks)
        assert leaks_format(contract, does_not) is False

    def test_text_has_no_form(self, tiny_base: BaseModel, tmp_path: Path) -> None:
        """Nothing can be said of it."""
        contract = self._contract(tiny_base, tmp_path, ContractSpec(ContractKind.TEXT, max_chars=20))

        assert leaks_format(contract, "anything") is None

    def test_questions_are_all_different(self) -> None:
        """Each counts once."""
        assert len(set(GENERAL_PROMPTS)) == len(GENERAL_PROMPTS) == 24
