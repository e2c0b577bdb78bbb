"""What a curation's changes look like on a terminal, with their text."""

from __future__ import annotations

import io

from rich.console import Console

from goldsmith.trainer.v1 import golden_dataset_pb2 as pb
from shared.cli.curation import show_texts

HOSTILE = "\x1b]0;owned\x07\x1b[2J\r\u202e[bold red]x[/]"


def _change(step: str, before: pb.RowText | None = None, after: pb.RowText | None = None) -> pb.DatasetChange:
    value = pb.CurationStep.Value(f"CURATION_STEP_{step}")
    digest = "" if step.startswith("DROP") else "sha256:1"
    return pb.DatasetChange(row_number=7, step=value, after_digest=digest, message="why", before=before, after=after)


def _shown(*changes: pb.DatasetChange, colour: bool = False) -> str:
    screen = io.StringIO()
    system = "standard" if colour else None
    show_texts(Console(width=40, file=screen, color_system=system, force_terminal=colour, highlight=False), changes)  # type: ignore[arg-type]
    return screen.getvalue()


class TestShowTexts:
    """Rows before and after."""

    def test_differ_line_by_line(self) -> None:
        """What stayed is shown once, however long its line; the colours are those of every diff."""
        long = "x" * 100
        before, after = (pb.RowText(input=f"{long}\n{text}", output="1") for text in ("cafe\u0301", "caf\u00e9"))

        shown = _shown(_change("UNICODE_NFC", before, after))
        coloured = _shown(_change("UNICODE_NFC", before, after), colour=True)

        assert shown.splitlines() == [
            "row 7 unicode-nfc: changed, why", "@@ -1,3 +1,3 @@", f" input: {long}", "-input: cafe\u0301",
            "+input: caf\u00e9", " output: 1", "",
        ]  # fmt: skip
        assert "\x1b[31m-input" in coloured
        assert "\x1b[32m+input" in coloured

    def test_texts_of_too_many_lines_are_not_compared(self) -> None:
        """All of before, then all of after: lines that are made for it would cost minutes."""
        before, after = (pb.RowText(input="\n".join([*["x"] * 600, text]), output="1") for text in ("a", "b"))

        shown = _shown(_change("UNICODE_NFC", before, after)).splitlines()

        assert shown[1] == "  too long to compare, 602 lines before and 602 after"
        assert [shown.count(f"{sign}input: x") for sign in "-+"] == [600, 600]
        assert shown[602:604] == ["-input: a", "-output: 1"]
        assert shown[-3:] == ["+input: b", "+output: 1", ""]

    def test_a_long_row_is_compared_with_a_short_one(self) -> None:
        """That costs little, and a dropped one has nothing to compare with."""
        long = pb.RowText(input="x\n" * 2000, output="1")

        changed = _shown(_change("UNICODE_NFC", long, pb.RowText(input="x", output="1")))
        dropped = _shown(_change("DROP_DUPLICATES", long))

        assert " input: x" in changed.splitlines()
        assert dropped.count("\n-") == 2002

    def test_a_dropped_row_is_gone_whole(self) -> None:
        """Every line of it."""
        shown = _shown(_change("DROP_DUPLICATES", pb.RowText(input="a", output="1")))

        assert shown.splitlines()[2:4] == ["-input: a", "-output: 1"]

    def test_what_is_not_told_is_said(self) -> None:
        """The other side is no change then, and shown as it is."""
        replaced = _shown(_change("REPLACE_PERSONAL_DATA", after=pb.RowText(input="a", output="1")))
        left_out = _shown(_change("DROP_DUPLICATES", pb.RowText(left_out_bytes=9_000)))

        assert replaced.splitlines()[1:4] == ["  before: is not told", "  input: a", "  output: 1"]
        assert left_out.splitlines()[1:] == ["  before: is left out, it has 9,000 bytes", ""]

    def test_text_of_a_tenant_is_shown_and_never_obeyed(self) -> None:
        """A row may hold what moves the cursor, turns the reading order, or is markup here."""
        shown = _shown(_change("DROP_DUPLICATES", pb.RowText(input=HOSTILE, output=HOSTILE)))

        assert not {"\x1b", "\x07", "\r", "\u202e"} & set(shown)
        assert "[bold red]x[/]" in shown

    def test_nothing_is_said_to_be_nothing(self) -> None:
        """Of a dataset that was uploaded, or in which no step found anything."""
        assert _shown() == "Nothing was changed.\n"
