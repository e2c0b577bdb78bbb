"""What a dataset does not show: too few rows, one answer for nearly all, fields and values that never come."""

from __future__ import annotations

import json
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from shared.contracts.json_schema.dialect import dialect_of
from shared.contracts.json_schema.document import Document
from shared.contracts.json_schema.keywords import escape
from shared.contracts.spec import ContractKind, ContractSpec
from trainer_svc.curation.leaf import fields_of
from trainer_svc.domain.dataset import CheckedRow, Finding

_FEW_ROWS, _MANY_ROWS = 100, 5_000
_ONE_ANSWER = 0.8
"""Of the rows: an adapter learns to give it whatever is asked."""
_NAMED = 20
"""Fields or values in one message."""
_SHOWN_CHARS = 60
_MAX_FIELDS = 1_000
_MAX_VALUES = 1_000
"""Different ones of a field that are remembered: with more, none is said to be missing."""
_MAX_VALUES_IN_ALL = 100_000
"""Of all fields together."""


def coverage_findings(spec: ContractSpec, rows: Sequence[CheckedRow], last: int) -> Iterator[Finding]:
    """Findings about all that is trained on together, listed under the last row for want of a better one."""
    if len(rows) < _FEW_ROWS:
        message = f"{len(rows)} rows to train on: below {_FEW_ROWS} little but the format is learned"
        yield _finding(last, "DATASET_SMALL", message)
    elif len(rows) > _MANY_ROWS:
        message = f"{len(rows)} rows to train on: beyond {_MANY_ROWS} they cost hours and gain little"
        yield _finding(last, "DATASET_LARGE", message)
    answer, count = Counter(row.output for row in rows).most_common(1)[0]
    if count >= max(2, _ONE_ANSWER * len(rows)):
        message = f"{count} of {len(rows)} rows have the output {answer[:_SHOWN_CHARS]!r}"
        yield _finding(last, "ANSWERS_ALIKE", message)
    if missing := _missing(spec, rows):
        shown = ", ".join(name[:_SHOWN_CHARS] for name in missing[:_NAMED])
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        yield _finding(last, "NEVER_SEEN", f"no row shows {shown}{more}, which the contract allows")


def _finding(last: int, reason: str, message: str) -> Finding:
    return Finding(last, reason, "rows", message, blocking=False)


def _missing(spec: ContractSpec, rows: Sequence[CheckedRow]) -> list[str]:
    """Choices of the contract, and fields and listed texts of its schema, that no row has."""
    if spec.kind is ContractKind.CHOICE:
        seen = {row.output for row in rows}
        return [repr(choice) for choice in spec.choices if choice not in seen]
    if spec.kind is not ContractKind.JSON:
        return []
    found = _seen(rows)
    if found is None:
        return []
    values, crowded = found
    fields = {place[:end] for place in values for end in range(len(place) + 1) if place[end : end + 1] in ("/", "")}
    parts: dict[str, _Part] = {}
    for part in _declared(json.loads(spec.json_schema), fields):
        known_part = parts.setdefault(part.schema, part)
        known_part.is_seen |= part.at in fields
        known_part.values |= values.get(part.at, set())
        known_part.is_crowded |= part.at in crowded
    missing = [part.at for part in parts.values() if not part.is_seen]
    for part in parts.values():
        if part.values and not part.is_crowded:
            missing += [f"{part.at} = {value!r}" for value in part.listed if value not in part.values]
    return list(dict.fromkeys(missing))


def _seen(rows: Sequence[CheckedRow]) -> tuple[dict[str, set[str]], set[str]] | None:
    """Short texts of each field, and the fields that have more than are remembered; None if there are too many."""
    values: defaultdict[str, set[str]] = defaultdict(set)
    crowded: set[str] = set()
    left = _MAX_VALUES_IN_ALL
    for row in rows:
        for place, value in fields_of(row.output):
            known = values[place]
            if len(values) > _MAX_FIELDS:
                return None
            if isinstance(value, str) and len(value) <= _SHOWN_CHARS and value not in known:
                if len(known) == _MAX_VALUES or not left:
                    crowded.add(place)
                else:
                    known.add(value)
                    left -= 1
    return values, crowded


@dataclass
class _Part:
    """Of a schema. One that refers to itself has the same part at many fields: one of them is enough."""

    schema: str
    """Its place there."""
    at: str
    """Of outputs, where it may stand, first of all."""
    listed: list[str]
    """Texts that are its values."""
    is_seen: bool = False
    values: set[str] = field(default_factory=set)
    """Seen at its fields."""
    is_crowded: bool = False
    """Whether there were more than are remembered."""


def _declared(schema: dict[str, object], fields: AbstractSet[str]) -> Iterator[_Part]:
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
            yield _Part(place, at, [])
            continue
        listed = [*part.get("enum", []), *([part["const"]] if "const" in part else [])]
        yield _Part(place, at, [value for value in listed if isinstance(value, str) and len(value) <= _SHOWN_CHARS])
        if at not in fields:
            continue
        names = map(escape, part.get("properties", {}))
        left.extend((f"{place}/properties/{name}", f"{at}/{name}") for name in names)
        if isinstance(part.get("items"), dict):
            left.append((f"{place}/items", f"{at}/*"))
        for keyword in ("anyOf", "oneOf", "allOf"):
            left.extend((f"{place}/{keyword}/{number}", at) for number in range(len(part.get(keyword, []))))
