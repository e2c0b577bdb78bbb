"""What a curation did to the text of each row, as a unified diff."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.text import Text

from goldsmith.trainer.v1 import golden_dataset_pb2 as pb
from shared.cli.visible import visible

_STYLES = {"-": "red", "+": "green", "@": "cyan"}
_FILE_LINES = 2
"""Of a unified diff: names of files, which rows have none of."""
_MAX_LINE_PAIRS = 500 * 500
"""That are compared: lines that are made for it cost a diff of 2,000 a side seconds."""


def show_change(console: Console, change: pb.DatasetChange, step: str, fate: Text) -> None:
    """A line that says what was done and why, then the row before and after; all text goes through `visible`."""
    heading = Text.assemble((f"row {change.row_number:,}", "bold"), f" {step}: ", fate, f", {visible(change.message)}")
    console.print(heading, soft_wrap=True)
    for line in _body(change):
        console.print(Text(visible(line), _STYLES.get(line[:1], "")), soft_wrap=True)
    console.print()


def _body(change: pb.DatasetChange) -> Iterator[str]:
    is_dropped = not change.after_digest
    sides = [("before", change.before if change.HasField("before") else None)]
    sides += [] if is_dropped else [("after", change.after if change.HasField("after") else None)]
    untold = [f"  {side}: {why}" for side, text in sides if (why := _why_not(text))]
    told = [_lines(text) if text is not None and not text.left_out_bytes else [] for _, text in sides]
    yield from untold
    before, after = told if len(told) > 1 else (told[0], [])
    if untold and not is_dropped:  # nothing to compare with
        yield from (f"  {line}" for line in (*before, *after))
    elif len(before) * len(after) > _MAX_LINE_PAIRS:
        yield f"  too long to compare, {len(before):,} lines before and {len(after):,} after"
        yield from (f"-{line}" for line in before)
        yield from (f"+{line}" for line in after)
    else:
        diff = difflib.unified_diff(before, after, lineterm="")
        yield from list(diff)[_FILE_LINES:]


def _why_not(text: pb.RowText | None) -> str:
    if text is None:
        return "is not told"
    return f"is left out, it has {text.left_out_bytes:,} bytes" if text.left_out_bytes else ""


def _lines(text: pb.RowText) -> list[str]:
    return [*_labelled("input", text.input), *_labelled("output", text.output)]


def _labelled(label: str, text: str) -> Iterable[str]:
    return (f"{label}: {line}" for line in text.split("\n"))
