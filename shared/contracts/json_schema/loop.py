"""References that lead back to where they stand without going into a value."""

from __future__ import annotations

from collections.abc import Iterator

from shared.contracts.json_schema.document import Document
from shared.contracts.json_schema.follower import Follower
from shared.contracts.json_schema.keyword_reader import REFERENCES
from shared.contracts.json_schema.keywords import subschemas

_IN_PLACE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependencies")


def endless(document: Document, follower: Follower, start: str = "") -> str | None:
    """The place of a reference that a validator would follow for ever (Core 9.4.1); None when there is none."""
    opened, finished = {start}, set[str]()
    stack = [(start, _reached(document, follower, start))]
    waiting: list[str] = []
    while stack or waiting:
        if not stack:
            place = waiting.pop()
            if place in opened:
                continue
            opened.add(place)
            stack.append((place, _reached(document, follower, place)))
        place, targets = stack[-1]
        step = next(targets, None)
        if step is None:
            finished.add(place)
            stack.pop()
            continue
        target, reference = step
        if reference is None:
            waiting.append(target)
        elif target in opened and target not in finished:
            return reference
        elif target not in opened:
            opened.add(target)
            stack.append((target, _reached(document, follower, target)))
    return None


def _reached(document: Document, follower: Follower, place: str) -> Iterator[tuple[str, str | None]]:
    """Schemas that a schema leads to, and the place to blame: None when they judge a part of the value."""
    schema = document.schema(place)
    if not isinstance(schema, dict):
        return
    for keyword in REFERENCES:
        if keyword in schema:
            target = follower.target(place, keyword)
            if target is not None:
                yield target, f"{place}/{keyword}"
            if document.dialect.hides_siblings:
                return
    for rest, _ in subschemas(schema):
        keyword = rest.split("/")[1]
        if keyword in _IN_PLACE:
            yield place + rest, place + rest
        elif keyword not in ("$defs", "definitions"):
            yield place + rest, None
