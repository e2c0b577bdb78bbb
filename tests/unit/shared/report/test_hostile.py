"""Whatever a tenant's texts hold, a page shows it and does nothing of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from goldsmith.trainer.v1 import evaluation_pb2
from shared.report import render
from shared.report.text import MAX_CHARACTERS, cut, shown
from tests.unit.shared.report.filled import filled_source
from tests.unit.shared.report.parsed import Page

_MARK = "</pre></style></svg><script>alert(1)</script><img src=x onerror=alert(1)>\"'&amp;{{ 7*7 }}{% raw %}"
_TURNED = "\u202egnp.exe\u2066\x1b[31m\x00\x07\u200b\ufeff"
_MEGABYTE = 1 << 20


def _texts(message: Message) -> Iterator[tuple[Message, FieldDescriptor]]:
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            continue
        if field.message_type is not None:
            for one in value if field.is_repeated else [value]:
                yield from _texts(one)
        elif field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
            yield message, field


def _poison(message: Message, text: str) -> int:
    """Puts the text into every text field; how many those were."""
    found = list(_texts(message))
    for owner, field in found:
        if field.is_repeated:
            members = getattr(owner, field.name)
            members[:] = [text] * len(members)
        else:
            setattr(owner, field.name, text)
    return len(found)


def _poisoned(text: str) -> tuple[str, int]:
    source = filled_source()
    counts = source.dataset.report.finding_counts
    messages = [source.job, source.evaluation, *source.rows, source.dataset, source.revision, source.savings]
    poisoned = sum(_poison(message, text) for message in messages if message is not None)
    for finding in source.findings:
        finding.remedy = text
        counts[finding.reason] = 5
    return render(source), poisoned


class TestHostileText:
    """In every text field of every message."""

    def test_of_markup_stays_text(self) -> None:
        """No element, attribute or style of it comes into being, in SVG neither, and no template is run."""
        html, poisoned = _poisoned(_MARK)

        page = Page(html)
        assert poisoned > 100
        assert not {"script", "img"} & {element.tag for element in page.elements}
        assert not [name for element in page.elements for name in element.attributes if name.startswith("on")]
        assert "<script>alert(1)</script>" in "".join(element.text for element in page.elements if element.tag == "pre")
        assert "{{ 7*7 }}" in html

    def test_that_moves_or_hides_is_made_visible(self) -> None:
        """Nothing reaches the page that turns the reading order, is not seen, or controls a terminal."""
        html, _ = _poisoned(_TURNED)

        assert not set("\u202e\u2066\x1b\x00\x07\u200b\ufeff") & set(html)
        assert "\\u{202e}gnp.exe\\u{2066}\u241b[31m\u2400\u2407" in html

    def test_of_half_characters_can_be_written(self) -> None:
        """No message can hold one, but a text may; a page is UTF-8."""
        halves = (chr(0xD83D), chr(0xDC80), f"a{chr(0xD800)}b")

        assert [shown(half).encode() for half in halves] == [b"\\u{d83d}", b"\\x80", b"a\\u{d800}b"]

    def test_that_is_long_is_cut_with_a_note(self) -> None:
        """Of how much is left out; the page stays small."""
        row = evaluation_pb2.EvaluatedRow(row_number=7, input="i" * _MEGABYTE, golden_output="g" * _MEGABYTE)
        for answer in (row.adapter, row.unconstrained, row.base, row.live):
            answer.text = "ab " * (_MEGABYTE // 3)
        html = render(filled_source(rows=(row,)))

        page = Page(html)
        notes = [element.text for element in page.elements if element.attributes.get("class") == "rest"]
        assert f"{_MEGABYTE - MAX_CHARACTERS:,} more characters are left out here." in notes[0]
        assert len(notes) == 9
        assert len(html) < 300_000

    def test_counts_what_it_left_out(self) -> None:
        """Begin and rest are the whole."""
        whole = "x" * (MAX_CHARACTERS + 5)

        assert (cut(whole).text, cut(whole).left_out_count) == (whole[:MAX_CHARACTERS], 5)
        assert cut("x" * MAX_CHARACTERS).left_out_count == 0


class TestSize:
    """Of a page."""

    def test_stays_small_with_many_fields_and_rows(self) -> None:
        """200 fields, 20 checkpoints, 20 rows with the longest texts, 100,000 steps."""
        source = filled_source()
        published = source.evaluation.checkpoints[1]
        field = published.constrained.fields[0]
        published.constrained.fields.extend([field] * 198)
        source.evaluation.checkpoints.extend([source.evaluation.checkpoints[0]] * 18)
        row = source.rows[0]
        for answer in (row.adapter, row.unconstrained, row.base, row.live):
            answer.text = "<wrong> " * 2_000
        row.input, row.golden_output = "input & " * 4_000, "<right> " * 2_000
        steps = tuple(type(source.progress[0])(step=step, train_loss=1 / step) for step in range(1, 100_001))

        html = render(filled_source(job=source.job, evaluation=source.evaluation, rows=(row,) * 20, progress=steps))

        assert len(re.findall(r'data-source="evaluation.checkpoints\[1\].constrained.fields\[\d+\].f1"', html)) == 200
        assert len(html.encode()) < 4_000_000
