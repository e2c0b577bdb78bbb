"""Which of a teacher's answers becomes an output."""

from __future__ import annotations

import pytest

from shared.contracts.spec import ContractKind, ContractSpec
from trainer_svc.curation.agreement import Reply, agree
from trainer_svc.curation.judgement import MAX_OUTPUT_BYTES
from trainer_svc.curation.reader.row import Row, RowFault

SCHEMA = '{"type":"object","properties":{"n":{"type":"number"},"c":{"type":"string"}},"required":["n"]}'
JSON = ContractSpec(ContractKind.JSON, json_schema=SCHEMA)
SQL = ContractSpec(ContractKind.SQL, ddl="CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT);")
TEXT = ContractSpec(ContractKind.TEXT)


def _agree(*answers: str | None, spec: ContractSpec = JSON, least: float = 0.6) -> Row | RowFault:
    return agree(7, "question", [Reply(text, "" if text else "was cut") for text in answers], spec, least)


def _reason(*answers: str | None, spec: ContractSpec = JSON, least: float = 0.6) -> str:
    dropped = _agree(*answers, spec=spec, least=least)
    assert isinstance(dropped, RowFault)
    assert not dropped.is_blocking
    return dropped.reason


class TestAgree:
    """Answers in, a row or a reason out."""

    def test_compares_in_canonical_form(self) -> None:
        """Spaces and the order of keys are no difference."""
        row = _agree('{"n": 1, "c": "x"}', '{"c":"x","n":1}', '{ "n":1,\n"c":"x" }')

        assert row == Row(7, {"input": "question", "output": '{"n":1,"c":"x"}'}, is_synthetic=True)

    def test_takes_what_enough_of_them_say(self) -> None:
        """The share is of all that were asked for."""
        row = _agree('{"n":1}', '{"n":2}', '{"n":1}')

        assert isinstance(row, Row)
        assert row.fields["output"] == '{"n":1}'

    @pytest.mark.parametrize(
        "answers",
        [
            ('{"n":1}', '{"n":2}', '{"n":3}'),
            ('{"n":1}', '{"n":1}', '{"n":2}', '{"n":2}'),
            ('{"n":1}', "no", "no"),
            ('{"n":1}', None, None),
        ],
    )
    def test_drops_where_they_differ(self, answers: tuple[str | None, ...]) -> None:
        """Answers that break the contract, or never came, count against the others."""
        assert _reason(*answers) == "TEACHER_DISAGREES"

    def test_a_tie_is_no_agreement(self) -> None:
        """However little is asked for."""
        assert _reason('{"n":1}', '{"n":2}', least=0.5) == "TEACHER_DISAGREES"

    @pytest.mark.parametrize(
        "answer",
        [
            'Sure, here is your JSON: {"n":1}',
            'Sure:\n```json\n{"n":1}\n```',
            '```json\n{"n":1}\n```\nAnything else?',
            '```python\n{"n":1}\n```',
            '{"n":NaN}', '{"n":1e999}', '{"n":1,"n":2}', '{"n":"un"}', '{"n":1} {"n":1}', "", "[" * 5_000,
            '{"n":1,"c":"\\ud800"}', '{"n":1,"c":"' + "x" * MAX_OUTPUT_BYTES + '"}', "Bien sûr!", "\u0000",
            "```", "``````", "```json", "```\n```", "```\n" + " " * 16_000, "```\n" * 4_000, '{"n":1}\n```',
        ],
    )  # fmt: skip
    def test_strips_and_mends_nothing(self, answer: str) -> None:
        """What breaks the contract does, whatever could be made of it."""
        assert _reason(answer) == "TEACHER_BROKE_CONTRACT"

    @pytest.mark.parametrize("fence", ["```json\n{}\n```", "```\n{}\n```", "\n```JSON\n{}```\n"])
    def test_a_fence_around_all_of_it_is_no_part_of_it(self, fence: str) -> None:
        """Of JSON."""
        row = _agree(fence.replace("{}", '{"n":1}'))

        assert isinstance(row, Row)
        assert row.fields["output"] == '{"n":1}'

    def test_a_fence_is_no_part_of_sql(self) -> None:
        """Which is compared in canonical form too."""
        row = _agree("```sql\nselect a from t\n```", "SELECT  a FROM t;", spec=SQL)

        assert isinstance(row, Row)

    def test_text_is_taken_as_it_is(self) -> None:
        """A fence may be what is wanted."""
        row = _agree("```\na\n```", spec=TEXT)

        assert isinstance(row, Row)
        assert row.fields["output"] == "```\na\n```"

    def test_answers_that_never_came_are_none(self) -> None:
        """That is another reason than a breach."""
        dropped = _agree(None, None)

        assert _reason(None, None) == "TEACHER_GAVE_NO_ANSWER"
        assert isinstance(dropped, RowFault)
        assert dropped.message == "none of 2 answers came: was cut"
