"""What the schema of a contract names, and how much of it the rows show."""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from shared.contracts.json_schema.dialect import dialect_of
from shared.contracts.json_schema.document import Document
from shared.contracts.json_schema.keywords import escape
from trainer_svc.curation.leaf import MAX_POINTER_CHARS, fields_of
from trainer_svc.domain.dataset import CheckedRow

RARE_ROWS = 3
"""A field that fewer rows show is hardly learned, and what they say of it may be a slip."""
SHOWN_CHARS = 60
_MAX_FIELDS = 2_000
"""Of outputs, those around others among them."""
_MAX_VALUES = 1_000
"""Different ones of a field that are remembered: with more, none is said to be missing."""
_MAX_VALUES_IN_ALL = 100_000
"""Of all fields together."""
_MAX_WALKED = 500_000
"""Parts of a schema, each counted at each of its fields: one that holds itself thousands of times has millions."""
_BEYOND = "..."
"""In place of all fields that are too deep or have too long a name: a field begins with a slash."""


@dataclass
class SchemaPart:
    """Of a schema. Where it is referred to, it stands at many fields."""

    schema: str
    """Its place there."""
    at: str
    """Of outputs, where it may stand, first of all."""
    listed: list[str]
    """Texts that are its values."""
    rows: dict[str, list[int]] = field(default_factory=dict)
    """Of each of its fields that rows show, the numbers of the first three."""
    values: set[str] = field(default_factory=set)
    """Seen at its fields."""
    is_crowded: bool = False
    """Whether there were more than are remembered."""
    is_beyond: bool = False
    """Whether it may also stand where rows are not looked into."""


@dataclass
class _Seen:
    """What outputs hold, by field."""

    rows: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    """The first three that show it, or something within it."""
    values: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Short texts."""
    crowded: set[str] = field(default_factory=set)
    """Fields that have more of them than are remembered."""


def schema_parts(json_schema: str, rows: Sequence[CheckedRow]) -> list[SchemaPart]:
    """Each part of a schema with what the rows show of it; none where there are too many fields to tell."""
    seen = _seen(rows)
    declared = _declared(json.loads(json_schema), seen.rows.keys()) if seen else None
    if seen is None or declared is None:
        return []
    parts: dict[str, SchemaPart] = {}
    for part in declared:
        known = parts.setdefault(part.schema, part)
        if part.at in seen.rows:
            known.rows[part.at] = seen.rows[part.at]
        known.values |= seen.values.get(part.at, set())
        known.is_crowded |= part.at in seen.crowded
        known.is_beyond |= part.at == _BEYOND
    return list(parts.values())


def missing_parts(parts: Iterable[SchemaPart]) -> list[str]:
    """Fields and listed texts that no row has, each once; of a field that is missing as a whole nothing within.

    A part of the schema that rows show at one of its fields is not missing at the others.
    """
    known = [part for part in parts if not part.is_beyond]
    missing = [part.at for part in known if not part.rows]
    for part in known:
        if part.values and not part.is_crowded:
            missing += [f"{part.at} = {value!r}" for value in part.listed if value not in part.values]
    return list(dict.fromkeys(missing))


def rare_parts(parts: Iterable[SchemaPart]) -> dict[str, list[int]]:
    """Fields that one or two rows show, with their numbers; of one that is rare as a whole nothing within.

    Nor the depths of a part that holds itself, where three rows show the same at any depth: few trees are alike.
    """
    known = list(parts)
    repeated = {at for part in known for at in part.rows if any(around in part.rows for around in _around(at))}
    found: dict[str, list[int]] = {}
    for part in known:
        is_rare = len({number for numbers in part.rows.values() for number in numbers}) < RARE_ROWS
        few = {at: numbers for at, numbers in part.rows.items() if len(numbers) < RARE_ROWS}
        found |= {at: few[at] for at in few if is_rare or repeated.isdisjoint(_around(at))}
    return {at: found[at] for at in found if found.keys().isdisjoint(_around(at))}


def _seen(rows: Sequence[CheckedRow]) -> _Seen | None:
    """None if there are too many fields."""
    seen = _Seen()
    left = _MAX_VALUES_IN_ALL
    for row in rows:
        for place, value in fields_of(row.output):
            known = seen.values[place]
            _note(seen, place, row.row)
            if len(seen.rows) > _MAX_FIELDS:
                return None
            if isinstance(value, str) and len(value) <= SHOWN_CHARS and value not in known:
                if len(known) == _MAX_VALUES or not left:
                    seen.crowded.add(place)
                else:
                    known.add(value)
                    left -= 1
    return seen


def _note(seen: _Seen, place: str, number: int) -> None:
    """That a row shows a field, and those around it."""
    noted = seen.rows[place]
    if len(noted) == RARE_ROWS or noted[-1:] == [number]:
        return
    for shown in (*_around(place), place):
        numbers = seen.rows[shown]
        if len(numbers) < RARE_ROWS and numbers[-1:] != [number]:
            numbers.append(number)


def _around(place: str) -> Iterator[str]:
    """The fields that a field is within, that of the whole output among them."""
    return (place[:end] for end, sign in enumerate(place) if sign == "/")


def _declared(schema: dict[str, Any], fields: AbstractSet[str]) -> list[SchemaPart] | None:  # Any: JSON values
    """What a schema names, at each field where that may stand; of fields not among `fields` nothing within.

    What was told once is not told again at a field that is not among them. None if there is too much to tell.
    """
    document = Document(schema, dialect_of(schema))
    left, parts, walked = deque([("", "")]), [], 0
    done, told = {("", "")}, {""}
    while left:
        place, at = left.popleft()
        part = document.schema(place)
        if not isinstance(part, dict):
            continue
        is_hidden = "$ref" in part and document.dialect.hides_siblings
        parts.append(SchemaPart(place, at, [] if is_hidden else _listed(part)))
        is_closed = is_hidden or (at not in fields and at != _BEYOND)
        for inner, its_field in (
            *_referred(document, place, part, at),
            *(() if is_closed else _within(place, part, at)),
        ):
            walked += 1
            near = _BEYOND if at == _BEYOND or len(its_field) > MAX_POINTER_CHARS else its_field
            is_told = inner in told and near not in fields and near != _BEYOND
            if not is_told and (inner, near) not in done:
                done.add((inner, near))
                told.add(inner)
                left.append((inner, near))
        if walked > _MAX_WALKED:
            return None
    return parts


def _listed(part: dict[str, Any]) -> list[str]:  # Any: a schema
    """Short texts that are values of a part."""
    listed = [*part.get("enum", []), *([part["const"]] if "const" in part else [])]
    return [value for value in listed if isinstance(value, str) and len(value) <= SHOWN_CHARS]


def _referred(document: Document, place: str, part: dict[str, Any], at: str) -> Iterator[tuple[str, str]]:
    """The part that one refers to, with the field."""
    if "$ref" in part and (target := document.target(place, part["$ref"])) is not None:
        yield target, at


def _within(place: str, part: dict[str, Any], at: str) -> Iterator[tuple[str, str]]:
    """Parts directly within one, each with its field."""
    names = map(escape, part.get("properties", {}))
    yield from ((f"{place}/properties/{name}", f"{at}/{name}") for name in names)
    if isinstance(part.get("items"), dict):
        yield f"{place}/items", f"{at}/*"
    for keyword in ("anyOf", "oneOf", "allOf"):
        yield from ((f"{place}/{keyword}/{number}", at) for number in range(len(part.get(keyword, []))))
