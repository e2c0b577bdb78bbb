"""What the report says of damaged and chatty texts."""

from __future__ import annotations

import unicodedata

import pytest

from shared.contracts.spec import ContractKind
from trainer_svc.curation.text_finding import text_findings
from trainer_svc.domain.dataset import CheckedRow, Finding

_SENTENCE = "Das Café in Łódź öffnet um 8 Uhr: “täglich”, außer am 1. Mai."


def _input(text: str) -> list[Finding]:
    return list(text_findings(ContractKind.TEXT, [CheckedRow(7, text, "fine")]))


def _output(text: str, source: str = "question", kind: ContractKind = ContractKind.TEXT) -> list[Finding]:
    return list(text_findings(kind, [CheckedRow(7, source, text)]))


class TestDamage:
    """Text that is not what its author wrote."""

    @pytest.mark.parametrize(
        ("text", "hint"),
        [
            ("Das Café".encode().decode("latin-1"), "Café"),
            ("Das Café".encode().decode("cp1252"), "Café"),
            (_SENTENCE.encode().decode("cp1252", errors="replace"), "lost"),
            ("naïve “quotes”".encode().decode("cp1252", errors="ignore"), "naïve"),
            ("to be continued\x85", "…"),
            ("Şeker Bank".encode().decode("cp1252"), "Şeker"),
            ("Århus".encode().decode("cp1252"), "Århus"),
            ("Coca-Cola™".encode().decode("cp1252"), "™"),
            ("Das Caf\ufffd", "lost"),
            ("half \ud83d of it", "lost"),
            ("Tom &amp; Jerry", "Tom & Jerry"),
        ],
    )
    def test_is_told_with_its_place(self, text: str, hint: str) -> None:
        """Where it can be mended, as it should read."""
        (finding,) = _input(text)

        assert (finding.row_number, finding.reason, finding.path) == (7, "TEXT_DAMAGED", "rows[7].input")
        assert hint in finding.message
        assert not finding.blocking
        assert finding.message.encode()  # halves of characters cannot be sent

    @pytest.mark.parametrize("sign", ["\x00", "\x1b", "\x7f", "\u200b", "\ufeff", "\u202e", "\u00ad", "\u2028"])
    def test_hidden_signs_are_told_by_their_code(self, sign: str) -> None:
        """Nobody would see them in the message."""
        (finding,) = _input(f"one{sign}two")

        assert finding.reason == "TEXT_HAS_HIDDEN_SIGNS"
        assert f"U+{ord(sign):04X}" in finding.message
        assert sign not in finding.message

    def test_letters_apart_from_their_accents_are_told(self) -> None:
        """They look alike and are other tokens."""
        assert [finding.reason for finding in _input(unicodedata.normalize("NFD", "Café"))] == ["TEXT_NOT_NORMALISED"]

    @pytest.mark.parametrize(
        "text",
        [
            _SENTENCE,
            "a\tb\r\nc",
            "می‌خواهم",
            "👩‍👩‍👧",
            "東京都は日本の首都です。",
            "Q&A at AT&T; R&D",
            "<b>&amp;</b>",
            "ÃO ÂNGELA",
            "50 €",
            "x?a=1&copy=2",
            "What does &nbsp; mean in HTML?",
            "ภาษา\u200bไทย",
            "\u2068abc\u2069",
            "पढ़ाई",
            "20 \u212a",
            "\ufa19",
        ],
    )
    def test_sound_text_is_left_alone(self, text: str) -> None:
        """Of any language, with line breaks and joiners; HTML that is meant to be HTML."""
        assert _input(text) == []

    def test_a_damaged_value_is_told_by_its_place(self) -> None:
        """Which of twenty fields it is."""
        (finding,) = _output('{"a":[{"b/c":"Caf\u00c3\u00a9"}]}', kind=ContractKind.JSON)

        assert finding.path == "rows[7].output#/a/0/b~1c"


class TestChatter:
    """Words to a person."""

    @pytest.mark.parametrize(
        "text",
        [
            "Sure, here is your answer: 12",
            "Here is the JSON you asked for",
            "As an AI language model I cannot tell",
            "I\u2019m unable to find it in the document",
            "Here\u2019s the JSON",
            "12 EUR. Let me know if you need anything else!",
            "It is 12. I hope this helps.",
        ],
    )
    def test_is_told_where_it_stands(self, text: str) -> None:
        """In a text, and in a value of JSON."""
        (whole,) = _output(text)
        (value,) = _output(f'{{"note":"{text}"}}', kind=ContractKind.JSON)

        assert (whole.reason, whole.path) == ("OUTPUT_CHATTY", "rows[7].output")
        assert (value.reason, value.path) == ("OUTPUT_CHATTY", "rows[7].output#/note")

    @pytest.mark.parametrize(
        "text",
        [
            "Surely not",
            "sure",
            "Here are twelve chairs",
            "The Answer Company",
            "I am 12 years old",
            "certainly",
            "I am happy.",
        ],
    )
    def test_other_words_are_left_alone(self, text: str) -> None:
        """Answers may begin so."""
        assert _output(text) == []

    def test_what_the_input_says_is_no_chatter(self) -> None:
        """Extraction copies it."""
        text = "Sure, I will be there"

        assert _output(text, source=f"What did she write? '{text}'") == []

    def test_a_long_answer_is_read_in_no_time(self) -> None:
        """An expression that looks back and forth would hold up every tenant for minutes."""
        text = "let me know if " * 400 + " " * 10_000 + ". x"

        assert _output(text) == []
