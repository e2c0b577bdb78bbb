"""Texts of others on a page: made visible, laid out, and cut where they are too long."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from shared.cli.visible import visible

MAX_CHARACTERS = 4000
"""Of a text of a row: two screens of a telephone. Rows may have 32 KiB, and free answers more."""
_MAX_INDENT = 12
_JSON = re.compile(r'"(?:\\.|[^"\\])*"|[{}\[\],:]|[^\s{}\[\],:"]+')


@dataclass(frozen=True)
class CutText:
    """The begin of a text."""

    text: str
    left_out_count: int
    """Characters after it; 0 where this is all of it."""


def shown(text: str) -> str:
    """With nothing in it that moves, hides or turns; lines end as they do, since a page shows that by itself."""
    return "\n".join(map(visible, text.split("\n")))


def cut(text: str) -> CutText:
    """At most `MAX_CHARACTERS` of it."""
    return CutText(text[:MAX_CHARACTERS], max(0, len(text) - MAX_CHARACTERS))


def laid_out(text: str) -> str:
    """JSON objects and lists with a line for each member, every token as it was; all other text as it is."""
    try:
        is_nested = isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return text
    return "".join(_lines(_JSON.findall(text))) if is_nested else text


def _lines(pieces: list[str]) -> Iterator[str]:
    depth = 0
    for piece, following in itertools.zip_longest(pieces, pieces[1:], fillvalue=""):
        depth += (piece in "{[") - (following in ("}", "]"))
        yield piece
        if piece == ":":
            yield " "
        elif piece + following in ("{}", "[]"):
            continue
        elif piece in "{[," or following in ("}", "]"):
            yield "\n" + "  " * max(0, min(depth, _MAX_INDENT))
