"""JSON with a line a value, so that people can read it."""

from __future__ import annotations

import json
import re

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]|[^\s"{}\[\],:]+')
_INDENT = "  "
_MAX_DEPTH = 20
"""Deeper values are indented no further: brackets that nest by the thousand would fill a page with blanks."""
_EMPTY = {"{": "}", "[": "]"}


def laid_out(text: str) -> str:
    """A JSON object or list with line ends and indents; any other text as it is.

    Only blanks between tokens change: numbers, escapes, order and repeated keys are those of the text.
    """
    if not text.lstrip().startswith(("{", "[")) or not _is_json(text):
        return text
    pieces: list[str] = []
    depth, before = 0, ""
    for part in _TOKEN.findall(text):
        is_end = part in _EMPTY.values()
        depth -= is_end
        is_first = before in _EMPTY and _EMPTY[before] != part
        if is_first or before == "," or (is_end and before not in _EMPTY):
            pieces.append("\n" + _INDENT * min(depth, _MAX_DEPTH))
        pieces.append(": " if part == ":" else part)
        depth += part in _EMPTY
        before = part
    return "".join(pieces)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
