"""JSON texts as trees in which equal values are equal, however they were written."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

from shared.contracts.json_schema.source import parse_json

Tree = dict[str, "Tree"] | list["Tree"] | str
"""An object, an array, or a leaf in its one spelling."""

_MAX_DEPTH = 100
"""Deeper than any contract that can be compiled, and far from Python's limit on recursion."""


def read_tree(text: str) -> Tree | None:
    """The tree of a JSON text, whatever it holds; None where it is none, or is nested more than 100 deep.

    Key order is forgotten by `==`, 42 equals 42.0 and true does not equal 1; texts are in Unicode's form NFC.
    """
    try:
        return _tree(parse_json(text, exact=False), _MAX_DEPTH)
    except ValueError:
        return None


def _tree(value: Any, depth: int) -> Tree:  # Any: a JSON value
    if depth < 0:
        raise ValueError("nested too deeply")
    match value:
        case dict():
            return {unicodedata.normalize("NFC", key): _tree(inner, depth - 1) for key, inner in value.items()}
        case list():
            return [_tree(inner, depth - 1) for inner in value]
        case str():
            return json.dumps(unicodedata.normalize("NFC", value))
        case float() if value.is_integer():
            return str(int(value))
    return json.dumps(value)
