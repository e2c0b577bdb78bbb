"""The file that a reviewer sends back: a stranger's."""

from __future__ import annotations

import json

import pytest

from goldsmith.trainer.v1 import preference_pb2 as pb
from shared.errors import InvalidInput
from shared.review import verdict_file
from shared.review.pair_file import pair_lines
from shared.review.verdict_file import read_verdicts

STUDY = "tenants/acme/adapters/a/preferenceStudies/first"


def _line(pair: str = "p1", **changes: object) -> str:
    return json.dumps({"study": STUDY, "pair": pair, "verdict": "LEFT", "comment": ""} | changes)


class TestReadVerdicts:
    """`read_verdicts`."""

    def test_reads_each_line(self) -> None:
        """In its order; a comment may be missing, lines may be empty and end as Windows ends them."""
        text = (
            f'{_line("p1", verdict="BOTH_BAD", comment="why")}\r\n\n{{"study":"{STUDY}","pair":"p2","verdict":"RIGHT"}}'
        )

        assert read_verdicts(STUDY, text.encode()) == [
            pb.PreferenceVerdict(pair="p1", choice=pb.PREFERENCE_CHOICE_BOTH_BAD, comment="why"),
            pb.PreferenceVerdict(pair="p2", choice=pb.PREFERENCE_CHOICE_RIGHT),
        ]

    def test_reads_exported_pairs_to_which_verdicts_were_added(self) -> None:
        """Who reviews without the page sends the same file back."""
        exported = pair_lines(STUDY, [pb.PreferencePair(id="p1", input="é\u2028", left_answer="l", right_answer="r")])
        line = json.loads(exported) | {"verdict": "EQUAL"}

        assert exported.isascii()
        assert [one.pair for one in read_verdicts(STUDY, json.dumps(line).encode())] == ["p1"]

    @pytest.mark.parametrize(
        ("line", "place"),
        [
            (_line(study="tenants/acme/adapters/a/preferenceStudies/other"), "line 2, study"),
            (_line(verdict="A"), "line 2, verdict"),
            (_line(verdict="left"), "line 2, verdict"),
            (_line(verdict=""), "line 2, verdict"),
            (_line(pair=7), "line 2, pair"),  # type: ignore[arg-type]  # as a stranger may
            (_line(comment=None), "line 2, comment"),
            (_line(revision="2"), "line 2, revision"),
            (f'{{"study":"{STUDY}","pair":"p1"}}', "line 2, verdict"),
            (_line("p0"), "line 2, pair"),
            ("[]", "line 2"),
            ("not json", "line 2"),
            ("[" * 100_000, "line 2"),
            ('"\\ud800"', "line 2"),
        ],
    )
    def test_names_the_line_at_fault(self, line: str, place: str) -> None:
        """And stores nothing of the file."""
        with pytest.raises(InvalidInput) as caught:
            read_verdicts(STUDY, f"{_line('p0')}\n{line}\n".encode())

        assert [fault.path for fault in caught.value.violations] == [place]

    def test_names_all_lines_at_fault(self) -> None:
        """At once."""
        with pytest.raises(InvalidInput) as caught:
            read_verdicts(STUDY, b"x\n\xff\n" + _line().encode())

        assert [fault.path for fault in caught.value.violations] == ["line 1", "line 2"]

    @pytest.mark.parametrize("data", [b"", b"\n\n"])
    def test_refuses_a_file_without_verdicts(self, data: bytes) -> None:
        """It is the wrong one."""
        with pytest.raises(InvalidInput, match="no verdict"):
            read_verdicts(STUDY, data)

    def test_refuses_what_is_too_large(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Before it is read."""
        monkeypatch.setattr(verdict_file, "MAX_BYTES", 10)

        with pytest.raises(InvalidInput, match="bytes"):
            read_verdicts(STUDY, _line().encode())
