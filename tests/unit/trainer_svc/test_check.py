"""Rows of a golden dataset against their contract."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from shared.contracts.spec import ContractKind, ContractSpec
from trainer_svc.curation.check import Checked, check, check_rows
from trainer_svc.curation.reader.row import FileFault, Row, RowFault
from trainer_svc.domain.dataset import Finding, InvalidRowPolicy

SPEC = ContractSpec(
    ContractKind.JSON,
    json_schema='{"type":"object","properties":{"n":{"type":"integer","minimum":0,"maximum":9}},"required":["n"]}',
)


def _good(count: int, **more: str) -> list[bytes]:
    return [json.dumps({"input": f"row {i}", "output": {"n": i % 10}, **more}).encode() for i in range(count)]


def _check(lines: list[bytes], policy: InvalidRowPolicy = InvalidRowPolicy.REFUSE, seed: int = 0) -> Checked:
    return check_rows(b"\n".join(lines), SPEC, policy, seed)


def _of_rows(checked: Checked) -> list[Finding]:
    """Findings, without those about the dataset as a whole."""
    return [finding for finding in checked.findings if finding.path != "rows"]


class TestFindings:
    """What is wrong with a row, by its number."""

    @pytest.mark.parametrize(
        ("line", "reason", "path"),
        [
            (b"{", "ROW_NOT_JSON", "rows[3]"),
            (b"\xff", "ROW_NOT_JSON", "rows[3]"),
            (b"[1]", "ROW_NOT_JSON", "rows[3]"),
            (b'{"input":"x"}', "ROW_INVALID", "rows[3].output"),
            (b'{"input":" ","output":"{}"}', "ROW_INVALID", "rows[3].input"),
            (b'{"input":7,"output":"{}"}', "ROW_INVALID", "rows[3].input"),
            (b'{"input":"x","output":{"n":1},"label":1}', "ROW_INVALID", "rows[3].label"),
            (b'{"input":"x","output":{"n":1},"split":"dev"}', "ROW_INVALID", "rows[3].split"),
            (b'{"input":"x","output":{"n":10}}', "CONTRACT_VIOLATED", "rows[3].output#/n"),
            (b'{"input":"x","output":"Sure! {\\"n\\":1}"}', "CONTRACT_VIOLATED", "rows[3].output"),
            (json.dumps({"input": "x" * 40_000, "output": {"n": 1}}).encode(), "ROW_INVALID", "rows[3].input"),
        ],
    )
    def test_name_row_and_place(self, line: bytes, reason: str, path: str) -> None:
        """One bad row fails the dataset and is found by number and path."""
        lines = _good(30)
        lines[2] = line

        checked = _check(lines)

        assert not checked.is_usable
        (finding,) = _of_rows(checked)
        assert (finding.row_number, finding.reason, finding.blocking) == (3, reason, True)
        assert finding.path.startswith(path)
        assert checked.report.invalid_count == 1

    def test_an_output_of_another_kind_than_json_is_text(self) -> None:
        """A class given as a number or an object is named by row; given as text it is held against the choices."""
        spec = ContractSpec(ContractKind.CHOICE, choices=("yes", "no"))
        lines = [json.dumps({"input": f"row {i}", "output": "yes"}).encode() for i in range(30)]
        lines[4] = b'{"input":"x","output":1}'
        lines[5] = b'{"input":"x","output":"maybe"}'

        checked = check_rows(b"\n".join(lines), spec, InvalidRowPolicy.REFUSE, 0)

        assert [(f.row_number, f.reason, f.path) for f in _of_rows(checked)] == [
            (5, "ROW_INVALID", "rows[5].output"),
            (6, "CONTRACT_VIOLATED", "rows[6].output"),
        ]
        assert "kind choice" in checked.findings[0].message

    def test_too_few_rows_is_a_finding(self) -> None:
        """A dataset that cannot be trained and measured on is refused, an empty one too."""
        for lines in (_good(5), []):
            checked = _check(lines)
            assert not checked.is_usable
            assert {finding.reason for finding in checked.findings} == {"DATASET_TOO_SMALL"}

    def test_outputs_become_canonical(self) -> None:
        """White space and spelling of numbers in the upload do not matter."""
        lines = [*_good(30), b'{"input":"spaced","output":"{ \\"n\\" : 3.0 }"}']
        checked = _check(lines)
        rows = {row.input: row.output for row in (*checked.train, *checked.holdout)}

        assert rows["spaced"] == '{"n":3}'


class TestCounts:
    """What the report says of outputs."""

    def test_tell_how_many_outputs_are_different(self) -> None:
        """In canonical form, of the rows that are kept and keep their contract."""
        lines = _good(20, split="train")[:15]  # n of 0 to 9
        lines += [b'{"input":"a","output":"{ \\"n\\": 9.0 }","split":"holdout"}']
        lines += [b'{"input":"b","output":"{\\"n\\": 77}","split":"holdout"}', b'{"input":"c","output":{"n":78}}']

        report = _check(lines, InvalidRowPolicy.EXCLUDE).report

        assert (report.train_count, report.holdout_count, report.distinct_output_count) == (15, 2, 10)

    def test_tell_how_many_outputs_were_spelt_otherwise(self) -> None:
        """A JSON value has no spaces to tell of, only the order of its names and how its values are written."""
        spec = ContractSpec(
            ContractKind.JSON,
            json_schema='{"type":"object","properties":{"n":{"type":"number"},"m":{"type":"number"}}}',
        )
        same: list[object] = ['{"n":1,"m":2}', {"n": 1, "m": 2}, '{"n":1.5}', '{"m":0}']
        other: list[object] = ['{"n": 1,"m":2}', '{"m":2,"n":1}', {"m": 2, "n": 1}, {"n": 1.0}, '{"n":1e0}']
        rows = [{"input": f"row {number}", "output": output} for number, output in enumerate([*same * 4, *other])]
        data = b"\n".join(json.dumps(row).encode() for row in rows)

        report = check_rows(data, spec, InvalidRowPolicy.REFUSE).report

        assert (report.row_count, report.canonicalized_count) == (21, 5)

    def test_tell_of_sql_in_another_spelling(self) -> None:
        """Keywords, names and layout."""
        spec = ContractSpec(ContractKind.SQL, ddl="CREATE TABLE city (name TEXT, area INT);")
        outputs = ["SELECT city.name FROM city", "select name from city", "SELECT city.name\nFROM city;"]
        rows = [{"input": f"row {number}", "output": outputs[number % 3]} for number in range(30)]

        report = check_rows(b"\n".join(json.dumps(row).encode() for row in rows), spec, InvalidRowPolicy.REFUSE).report

        assert (report.canonicalized_count, report.distinct_output_count) == (20, 1)


class TestExcludePolicy:
    """Bad rows left out on request."""

    def test_leaves_bad_train_rows_out_and_keeps_bad_holdout_rows(self) -> None:
        """A holdout row outside the contract stays, as it is, so that it counts as a miss."""
        bad = [b'{"input":"a","output":"no"}', b'{"input":"b","output":"no","split":"holdout"}']
        checked = _check([*_good(20), *_good(5, split="holdout"), *bad], InvalidRowPolicy.EXCLUDE)

        assert checked.is_usable
        assert checked.report.invalid_count == 2
        assert (len(checked.train), len(checked.holdout)) == (20, 6)
        assert checked.holdout[-1].output == "no"


class TestSplit:
    """Held-out rows."""

    def test_named_splits_are_kept(self) -> None:
        """Who names a holdout gets exactly that one."""
        checked = _check([*_good(20), *_good(4, split="holdout")])

        assert (len(checked.train), len(checked.holdout)) == (20, 4)

    def test_is_a_function_of_the_seed(self) -> None:
        """Same data and seed, same split; another seed, another."""
        assert _check(_good(100)).holdout == _check(_good(100)).holdout
        assert _check(_good(100)).holdout != _check(_good(100), seed=1).holdout
        assert len(_check(_good(100)).holdout) == 10

    def test_equal_inputs_never_straddle(self) -> None:
        """Copies of an input, whatever their case and spacing, are on one side."""
        lines = [line.replace(b"row ", prefix) for line in _good(40) for prefix in (b"row ", b"ROW  ", b" row ")]
        checked = _check(lines)
        sides = [{" ".join(r.input.lower().split()) for r in rows} for rows in (checked.train, checked.holdout)]

        assert sides[0] & sides[1] == set()
        assert sides[1]


class TestSqlCoverage:
    """SQL rows outside the language of their contract."""

    def test_a_finding_says_why_and_what_would_bring_the_row_inside(self) -> None:
        """The message names what the language has not, then the profile or declaration that would help."""
        spec = ContractSpec(ContractKind.SQL, ddl="CREATE TABLE t (a INT, b INT); CREATE TABLE u (c INT)")
        lines = [json.dumps({"input": f"row {i}", "output": "SELECT a FROM t"}).encode() for i in range(30)]
        outputs = ("SELECT a / b FROM t", "SELECT a FROM t JOIN u ON t.b = u.c", "SELECT abs(a) FROM t")
        for number, output in enumerate(outputs):
            lines[number] = json.dumps({"input": "x", "output": output}).encode()

        checked = check_rows(b"\n".join(lines), spec, InvalidRowPolicy.EXCLUDE)

        assert checked.report.invalid_count == 3
        assert [(finding.row_number, finding.path, finding.message) for finding in _of_rows(checked)] == [
            (1, "rows[1].output", "DIV: a / b (the nested profile has this statement)"),
            (
                2,
                "rows[2].output",
                "no join edge connects t and u (declare the join edge t.b = u.c in the contract)",
            ),
            (3, "rows[3].output", "ABS: ABS(a)"),
        ]


class TestReading:
    """Uploads that cannot be read to their end."""

    @pytest.mark.parametrize("policy", InvalidRowPolicy)
    def test_no_policy_leaves_out_what_nobody_has_seen(self, policy: InvalidRowPolicy) -> None:
        """What was found before is told as well."""

        def rows() -> Iterator[Row | RowFault]:
            yield from (Row(number, {"input": f"row {number}", "output": {"n": 1}}) for number in range(1, 31))
            yield RowFault(31, "ROW_INVALID", "input", "is odd")
            raise FileFault("FILE_UNREADABLE", "ends in a quote", 32)

        checked = check(rows(), SPEC, policy)

        assert not checked.is_usable
        assert checked.train == checked.holdout == ()
        assert [(f.row_number, f.reason, f.path, f.blocking) for f in checked.findings] == [
            (31, "ROW_INVALID", "rows[31].input", True),
            (32, "FILE_UNREADABLE", "file", True),
        ]
        assert (checked.report.row_count, checked.report.invalid_count) == (31, 1)


class TestHalfCharacters:
    """Text that UTF-8 cannot hold."""

    @pytest.mark.parametrize("line", [b'{"input":"a\\ud800","output":"x"', b'{"input":"a","output":"\\udfff"'])
    def test_no_split_and_no_policy_keeps_it(self, line: bytes) -> None:
        """No tokenizer reads it: as a held-out row it would end the evaluation."""
        held = line + b',"split":"holdout"}'
        checked = _check([*_good(20), *_good(5, split="holdout"), held], InvalidRowPolicy.EXCLUDE)

        assert (checked.report.invalid_count, len(checked.holdout)) == (1, 5)
        assert any("half a character" in finding.message for finding in checked.findings)
