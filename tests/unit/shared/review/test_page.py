"""The page's text: tenants' texts cannot leave their place, and nothing may be loaded."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from goldsmith.trainer.v1 import preference_pb2 as pb
from shared.review.page import review_page

STUDY = "tenants/acme/adapters/a/preferenceStudies/first"
_DOCUMENT = re.compile(r'<script type="application/json" id="document">(.*?)</script>', re.DOTALL)
HOSTILE = [
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "]]>",
    "{{ 7 * 7 }}",
    "{% raw %}",
    "&lt;b&gt;",
    "\u2028\x00'\"\\",
]


def _pair(text: str) -> pb.PreferencePair:
    return pb.PreferencePair(id="p1", input=text, left_answer=text, right_answer=f"{text}!")


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


class TestReviewPage:
    """`review_page`."""

    @pytest.mark.parametrize("text", HOSTILE)
    def test_holds_texts_as_json_that_ends_nothing(self, text: str) -> None:
        """Only in the one data block, in which there is no `<`."""
        page = review_page(STUDY, [_pair(text)])
        (block,) = _DOCUMENT.findall(page)

        (pair,) = json.loads(block)["pairs"]
        assert pair["input"] == text
        assert "".join(part for part, _ in pair["left"]) == text
        assert "<" not in block
        harmless = review_page(STUDY, [_pair("x")])
        assert _DOCUMENT.sub("", page) == _DOCUMENT.sub("", harmless)

    @given(st.text(st.characters(exclude_categories=["Cs"])))
    def test_says_what_was_answered(self, text: str) -> None:
        """Whatever characters it has."""
        (block,) = _DOCUMENT.findall(review_page(STUDY, [pb.PreferencePair(id="p", left_answer=text, right_answer="")]))

        (pair,) = json.loads(block)["pairs"]
        shown = "".join(part for part, _ in pair["left"])
        assert "".join(shown.split()) == "".join(text.split())  # JSON is laid out

    def test_allows_its_own_script_and_style_and_nothing_else(self) -> None:
        """By their digests, before anything is loaded."""
        page = review_page(STUDY, [_pair("x")])
        (script,), (style,) = (re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL) for tag in ("script", "style"))

        (policy,) = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', page)
        assert policy.split("; ") == [
            "default-src 'none'",
            f"script-src 'sha256-{_digest(script)}'",
            f"style-src 'sha256-{_digest(style)}'",
            "base-uri 'none'",
            "form-action 'none'",
        ]
        assert page.index("Content-Security-Policy") < page.index("<style>") < page.index("<script>")

    def test_refers_to_nothing_outside(self) -> None:
        """No address, no handler in the markup, no way from text to markup in the script."""
        page = review_page(STUDY, [_pair("x")])

        assert not re.search(r"https?:|//[a-z]|\bsrc=|\bhref=|<link|@import|url\(| on[a-z]+=", page)
        assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|fetch\(|XMLHttp", page)
