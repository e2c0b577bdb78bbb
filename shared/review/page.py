"""One HTML file in which a reviewer judges pairs: it needs no network and may not use one."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from importlib import resources

import jinja2

from goldsmith.trainer.v1 import preference_pb2 as pb
from shared.review.difference import Segment, mark_differences
from shared.review.layout import laid_out

_FOLDER = resources.files("shared.review")
_MAX_COMMENT_CHARACTERS = 2_000
"""As the server takes them."""


def review_page(study: str, pairs: Iterable[pb.PreferencePair]) -> str:
    """The page. Texts of a tenant stand in it as JSON alone, without `<`, and are shown as text.

    Its policy (https://www.w3.org/TR/CSP3/) allows this very script and style, by their digests, and nothing else: no
    request, no frame, no form.
    """
    script, style = _read("page.js"), _read("page.css")
    document = {
        "study": study,
        "maxCommentCharacters": _MAX_COMMENT_CHARACTERS,
        "pairs": [_pair(pair) for pair in pairs],
    }
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(_read("page.html")).render(
        document=document,
        script=script,
        style=style,
        script_digest=_digest(script),
        style_digest=_digest(style),
    )


def _pair(pair: pb.PreferencePair) -> dict[str, object]:
    left, right = mark_differences(laid_out(pair.left_answer), laid_out(pair.right_answer))
    return {"id": pair.id, "input": laid_out(pair.input), "left": _segments(left), "right": _segments(right)}


def _segments(side: Iterable[Segment]) -> list[tuple[str, bool]]:
    return [(segment.text, segment.is_different) for segment in side]


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
