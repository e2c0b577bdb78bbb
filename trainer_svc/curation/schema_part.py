"""What the schema of a contract names, and how much of it the rows show."""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from shared.contracts.json_schema.dialect import dialect_of
from shared.contracts.json_schema.document import Document
from shared.contracts.json_schema.keywords import escape
from trainer_svc.curation.leaf import fields_of
from trainer_svc.domain.dataset import CheckedRow

RARE_ROWS = 3
"""A field that fewer rows show is hardly learned, and what they say of it may be a slip."""
SHOWN_CHARS = 60
_MAX_FIELDS = 1_000
_MAX_VALUES = 1_000
"""Different ones of a field that are remembered: with more, none is said to be missing."""
_MAX_VALUES_IN_ALL = 100_000
"""Of all fields together."""


@dataclass
class SchemaPart:
    """Of a schema. One that refers to itself has the same part at many fields: one of them is enough."""

    schema: str
    """Its place there."""
    at: str
    """Of outputs, where it may stand, first of all."""
    listed: list[str]
    """Texts that are its values."""
    rows: set[int] = field(default_factory=set)
    """Numbers of rows that show it; of each of its fields the first three."""
    values: set[str] = field(default_factory=set)
    """Seen at its fields."""
    is_crowded: bool = False
    """Whether there were more than are remembered."""


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
    """Each part of a schema with what the rows show of it; none where outputs have too many fields to tell."""
    seen = _seen(rows)
    if seen is None:
        return []
    parts: dict[str, SchemaPart] = {}
    for part in _declared(json.loads(json_schema), seen.rows.keys()):
        known = parts.setdefault(part.schema, part)
        known.rows.update(seen.rows.get(part.at, ()))
        known.values |= seen.values.get(part.at, set())
        known.is_crowded |= part.at in seen.crowded
    return list(parts.values())


def missing_parts(parts: Iterable[SchemaPart]) -> list[str]:
    """Fields and listed texts that no row has, each once; of a field that is missing as a whole nothing within."""
    known = list(parts)
    missing = [part.at for part in known if not part.rows]
    for part in known:
        if part.values and not part.is_crowded:
            missing += [f"{part.at} = {value!r}" for value in part.listed if value not in part.values]
    return list(dict.fromkeys(missing))


def rare_parts(parts: Iterable[SchemaPart]) -> dict[str, list[int]]:
    """Fields that one or two rows show, with their numbers; of one that is rare as a whole nothing within."""
    rare: dict[str, list[int]] = {}
    for part in sorted(parts, key=lambda part: part.at.count("/")):
        is_within = any(within in rare for within in _prefixes(part.at))
        if 0 < len(part.rows) < RARE_ROWS and not is_within:
            rare[part.at] = sorted(part.rows)
    return rare


def _seen(rows: Sequence[CheckedRow]) -> _Seen | None:
    """None if there are too many fields."""
    seen = _Seen()
    left = _MAX_VALUES_IN_ALL
    for row in rows:
        for place, value in fields_of(row.output):
            known = seen.values[place]
            if len(seen.values) > _MAX_FIELDS:
                return None
            _note(seen, place, row.row)
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
    for around in _prefixes(place):
        numbers = seen.rows[around]
        if len(numbers) < RARE_ROWS and numbers[-1:] != [number]:
            numbers.append(number)


def _prefixes(place: str) -> Iterator[str]:
    """A field and all around it, that of the whole output among them."""
    return (place[:end] for end in range(len(place) + 1) if place[end : end + 1] in ("/", ""))


def _declared(schema: dict[str, object], fields: AbstractSet[str]) -> Iterator[SchemaPart]:
    """What a schema names, at each field where that may stand; of fields not among `fields` nothing within."""
    dialect = dialect_of(schema)
    document = Document(schema, dialect)
    left, done = deque([("", "")]), set()
    while left:
        place, at = left.popleft()
        part = document.schema(place)
        if not isinstance(part, dict) or (place, at) in done:
            continue
        done.add((place, at))
        has_reference = "$ref" in part
        if has_reference and (target := document.target(place, part["$ref"])) is not None:
            left.append((target, at))
        if has_reference and dialect.hides_siblings:
            yield SchemaPart(place, at, [])
            continue
        listed = [*part.get("enum", []), *([part["const"]] if "const" in part else [])]
        yield SchemaPart(place, at, [value for value in listed if isinstance(value, str) and len(value) <= SHOWN_CHARS])
        if at not in fields:
            continue
        names = map(escape, part.get("properties", {}))
        left.extend((f"{place}/properties/{name}", f"{at}/{name}") for name in names)
        if isinstance(part.get("items"), dict):
            left.append((f"{place}/items", f"{at}/*"))
        for keyword in ("anyOf", "oneOf", "allOf"):
            left.extend((f"{place}/{keyword}/{number}", at) for number in range(len(part.get(keyword, []))))
