"""What a check tells of a dataset that can be trained on, all together."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from shared.contracts.spec import ContractKind, ContractSpec
from trainer_svc.curation.check import Checked, check_rows
from trainer_svc.domain.dataset import Finding, InvalidRowPolicy

_SPEC = ContractSpec(
    ContractKind.JSON,
    json_schema=json.dumps({
        "type": "object",
        "properties": {"day": {"type": "string"}, "state": {"enum": ["open", "closed"]}, "note": {"type": "string"}},
        "required": ["day"],
    }),
)  # fmt: skip
_WORDS = ("Café", "Straße", "Łódź", "東京", "приве́т", "दिन", "alpha", "bravo", "charlie", "delta")


def _rows() -> list[dict[str, object]]:
    """Eleven hundred that have nothing in common, and no fault."""
    return [
        {
            "input": f"{_WORDS[number % 10]} {number} {_WORDS[number // 10 % 10]} {str(number)[::-1]}",
            "output": {
                "day": f"2024-03-{number % 28 + 1:02}",
                "state": ("open", "closed")[number % 2],
                "note": f"n{number}",
            },
        }
        for number in range(1_100)
    ]


def _check(rows: Sequence[dict[str, object]], spec: ContractSpec = _SPEC) -> Checked:
    return check_rows("\n".join(map(json.dumps, rows)).encode(), spec, InvalidRowPolicy.EXCLUDE)


def _told(checked: Checked) -> list[tuple[int, str]]:
    return [(finding.row_number, finding.reason) for finding in checked.findings]


def test_of_a_clean_dataset_nothing_is_told() -> None:
    """In whatever languages it is."""
    assert _told(_check(_rows())) == []


def test_each_fault_is_told_by_its_row_and_stops_nothing() -> None:
    """In the order of the rows."""
    rows = _rows()
    rows[2]["input"] = "Das Caf\u00c3\u00a9 an der Ecke"
    rows[4]["input"] = "zero\u200bwidth"
    rows[6]["output"] = {"day": "7.3.2024", "state": "open", "note": "n6"}
    rows[8]["output"] = {"day": "2024-03-09", "state": "open", "note": "Sure, here is the note"}

    checked = _check(rows)

    assert _told(checked) == [
        (3, "TEXT_DAMAGED"), (5, "TEXT_HAS_HIDDEN_SIGNS"), (7, "FORMAT_DIFFERS"), (9, "OUTPUT_CHATTY"),
    ]  # fmt: skip
    assert checked.is_usable
    assert checked.report.invalid_count == 0
    assert checked.report.finding_counts["TEXT_DAMAGED"] == 1


def test_what_only_held_out_rows_show_is_never_learned() -> None:
    """They are not trained on."""
    rows = _rows()
    for number, row in enumerate(rows):
        row["split"] = "holdout" if number % 2 else "train"

    (finding,) = _check(rows).findings

    assert finding.reason == "NEVER_SEEN"
    assert "/state = 'closed'" in finding.message


def test_held_out_rows_outside_the_contract_are_told_as_such_only() -> None:
    """They stay as misses; nothing else in them is to be mended."""
    rows = [
        *_rows(),
        {"input": "one", "output": {"day": "7.3.2024", "else": 1}, "split": "holdout"},
        {"input": "two", "output": "[" * 3000 + "]" * 3000, "split": "holdout"},
    ]

    assert set(_told(_check(rows))) == {(1101, "CONTRACT_VIOLATED"), (1102, "CONTRACT_VIOLATED")}


def test_findings_of_one_kind_have_an_end() -> None:
    """An upload may have millions of them."""
    lists = ContractSpec(ContractKind.JSON, json_schema='{"type":"array","items":{"type":"string"}}')

    checked = _check([{"input": f"row {number}", "output": ["\ufffd"] * 100} for number in range(30)], lists)

    found = [finding for finding in checked.findings if finding.reason == "TEXT_DAMAGED"]
    assert len(found) == 1001
    assert any("3000 findings" in finding.message for finding in found)


@pytest.mark.parametrize("line", [b"[" * 100_000, b'{"\\ud800":1,"input":"x","output":{}}'])
def test_a_hostile_row_is_told_and_can_be_stored(line: bytes) -> None:
    """What cannot be stored or sent would leave the dataset half checked for ever."""
    data = b"\n".join([*(json.dumps(row).encode() for row in _rows()), line])

    (finding,) = check_rows(data, _SPEC, InvalidRowPolicy.EXCLUDE).findings

    assert finding.row_number == 1101
    assert (finding.path + finding.message).encode()


def test_a_finding_fits_into_an_answer() -> None:
    """Names in rows and schemas may be of any length."""
    finding = Finding(1, "REASON", "p" * 20_000, "m\ud800" * 20_000)

    assert len(finding.path) == 500
    assert len(finding.message.encode()) < 10_000
