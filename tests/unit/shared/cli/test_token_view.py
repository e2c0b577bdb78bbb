"""What an example looks like on a terminal."""

from __future__ import annotations

import io
import unicodedata

import pytest
from rich.console import Console

from goldsmith.trainer.v1 import example_preview_pb2 as pb
from shared.cli.token_view import show_preview
from shared.cli.visible import visible

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\r\b\x7f\u202e\u2066\u200b\u2028\ufeff\U000e0041"


def _token(text: str | bytes, role: str, *, control: str = "") -> pb.ExampleToken:
    data = text if isinstance(text, bytes) else text.encode()
    value = pb.ExampleTokenRole.Value(f"EXAMPLE_TOKEN_ROLE_{role}")
    return pb.ExampleToken(id=7, text=data, control_name=control, role=value, learned=role in ("OUTPUT", "STOP"))


def _preview(*tokens: pb.ExampleToken, fault: str = "") -> pb.ExamplePreview:
    proofs = [
        pb.ExampleProofResult(proof=pb.EXAMPLE_PROOF_ONE_BOS),
        pb.ExampleProofResult(proof=pb.EXAMPLE_PROOF_FITS_CONTEXT, fault=fault),
    ]
    return pb.ExamplePreview(
        row_number=3, split=pb.EXAMPLE_SPLIT_TRAIN, tokens=tokens, prompt_token_count=1_200, completion_token_count=34,
        context_tokens=2_048, proofs=proofs,
    )  # fmt: skip


def _shown(preview: pb.ExamplePreview, *, colour: bool = False) -> str:
    screen = io.StringIO()
    system = "truecolor" if colour else None
    show_preview(Console(width=400, file=screen, color_system=system, force_terminal=colour, highlight=False), preview)  # type: ignore[arg-type]
    return screen.getvalue()


class TestVisible:
    """Bytes as a terminal may have them."""

    def test_leaves_nothing_that_a_terminal_obeys(self) -> None:
        """Escapes, returns, bells, reading orders and invisible characters are shown by name or number."""
        shown = visible(HOSTILE.encode())

        assert all(unicodedata.category(c) not in ("Cc", "Cf", "Zl", "Zp", "Cn", "Co") for c in shown)
        assert shown.startswith("\u241b]0;owned\u2407\u241b[2J\\u{9b}31m\u240d\u2408\\u{7f}\\u{202e}")

    @pytest.mark.parametrize(
        ("data", "expected"),
        [
            (b"a b", "a b"),
            ("日本 é 🙂".encode(), "日本 é 🙂"),
            (b"a\n\tb", "a\u240a\n\u2409b"),
            (b"\xe6\x97", "\\xe6\\x97"),
            (b"\xa5!", "\\xa5!"),
            (b"\x00", "\u2400"),
            (b"\xed\xa0\x80", "\\xed\\xa0\\x80"),
        ],
    )
    def test_shows_text_as_it_is_and_the_rest_by_number(self, data: bytes, expected: str) -> None:
        """A line end is shown and kept; a part of a character is its bytes."""
        assert visible(data) == expected


class TestShowPreview:
    """The whole view."""

    def test_marks_borders_of_learned_tokens_without_colour(self) -> None:
        """So that a log or a pipe tells read from learned."""
        tokens = [
            _token("", "TEMPLATE", control="<|input|>"),
            _token("hi", "INPUT"),
            _token("", "TEMPLATE", control="="),
        ]
        tokens += [_token("4", "OUTPUT"), _token("2", "OUTPUT"), _token("", "STOP", control="<|end|>")]

        assert _shown(_preview(*tokens)).splitlines()[0] == "<|input|>hi=|4|2|<|end|>"

    def test_shows_read_characters_whole_and_learned_tokens_by_themselves(self) -> None:
        """A character across two tokens is one where tokens do not matter, and its bytes where they do."""
        halves = [b"\xc3", b"\xb6"]
        tokens = [*(_token(half, "INPUT") for half in halves), *(_token(half, "OUTPUT") for half in halves)]

        assert _shown(_preview(*tokens)).splitlines()[0] == "ö|\\xc3|\\xb6"

    def test_colours_neighbours_differently(self) -> None:
        """Two learned tokens in a row never look like one; what is read looks like neither."""
        shown = _shown(_preview(_token("4", "INPUT"), _token("4", "OUTPUT"), _token("4", "OUTPUT")), colour=True)

        first = shown.splitlines()[0]
        styles = [part.split("m")[0] for part in first.split("\x1b[") if "m4" in part]
        assert len(styles) == len(set(styles)) == 3

    def test_obeys_no_markup_and_no_escape_of_a_tenant(self) -> None:
        """Neither rich's nor the terminal's, in texts, names and faults."""
        text = f"[bold red]x[/]{HOSTILE}"
        tokens = [_token(text, "INPUT"), _token(text, "OUTPUT"), _token("", "STOP", control=text)]

        shown = _shown(_preview(*tokens, fault=text))

        assert shown.count("[bold red]x[/]") == 4
        assert not {"\x1b", "\x07", "\x9b", "\r", "\u202e"} & set(shown)

    def test_counts_and_names_what_does_not_hold(self) -> None:
        """Tokens read and learned, of how many; broken proofs with their fault."""
        shown = _shown(_preview(fault="takes 1200 + 34 tokens, the context holds 5"))

        assert "row 3, trained on: 1,200 tokens read + 34 learned = 1,234 of 2,048" in shown
        assert "1 of 2 proofs hold" in shown
        assert "fits_context: takes 1200 + 34 tokens" in shown
