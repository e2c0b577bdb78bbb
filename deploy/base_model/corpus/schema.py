"""Short descriptions of an output schema in the many ways teams write them, and the shapes a record can take."""

import json
from collections.abc import Sequence
from random import Random
from typing import NamedTuple


class Field(NamedTuple):
    """One key of a flat record."""

    key: str
    type: str  # string, integer, number, date, time
    about: str
    choices: tuple[str, ...] = ()


_TYPE_WORDS = {
    "string": ("string", "text", "string, as written", "copied from the text"),
    "integer": ("integer", "whole number", "int"),
    "number": ("number", "decimal number", "float"),
    "date": ("date", "ISO date", "date, YYYY-MM-DD"),
    "time": ("time", "time, HH:MM", "24h time"),
}
_OPENINGS = (
    "Extract {} as JSON.",
    "Return a JSON object for {}.",
    "You read {}. Answer with JSON only.",
    "Extract the fields.",
    "Information extraction: {}.",
    "Turn the text into JSON.",
    "Fill this record.",
    "{}: write one compact JSON object.",
)


def type_word(rng: Random, spec: Field) -> str:
    """Returns the type of a field in words; a closed set lists its choices."""
    if spec.choices and rng.random() < 0.8:
        return "one of " + ", ".join(spec.choices)
    return rng.choice(_TYPE_WORDS[spec.type])


def field_lines(rng: Random, fields: Sequence[Field]) -> str:  # noqa: PLR0911 - one return a notation
    """Returns the list of fields in one of several notations."""
    style = rng.randrange(7)
    if style == 0:
        return "\n".join(f"- {spec.key} ({type_word(rng, spec)}): {spec.about}" for spec in fields)
    if style == 1:
        return "\n".join(f"{spec.key}: {spec.about} [{type_word(rng, spec)}]" for spec in fields)
    if style == 2:
        return "Fields: " + "; ".join(f"{spec.key} = {spec.about}, {type_word(rng, spec)}" for spec in fields) + "."
    if style == 3:
        return json.dumps({spec.key: type_word(rng, spec) for spec in fields}, ensure_ascii=False)
    if style == 4:
        return "Keys: " + ", ".join(
            spec.key + ("" if spec.type == "string" else f" ({type_word(rng, spec)})") for spec in fields
        )
    if style == 5:
        names = {"string": "string", "integer": "integer", "number": "number", "date": "string", "time": "string"}
        properties = {
            spec.key: {"type": names[spec.type]} | ({"format": spec.type} if spec.type in {"date", "time"} else {})
            for spec in fields
        }
        return json.dumps({"type": "object", "properties": properties}, separators=(",", ":"))
    return "{\n" + "\n".join(f'  "{spec.key}": {type_word(rng, spec)},  // {spec.about}' for spec in fields) + "\n}"


def describe(rng: Random, purpose: str, fields: Sequence[Field], record: dict[str, object]) -> tuple[str, object]:
    """Returns a short system text and the record in the shape it asks for."""
    parts = [rng.choice(_OPENINGS).format(purpose), field_lines(rng, fields)]
    shaped: object = record
    pick = rng.random()
    if pick < 0.08:
        parts.append("Use null for what is not mentioned.")
        shaped = {spec.key: record.get(spec.key) for spec in fields}
    elif pick < 0.16:
        label, slots = rng.choice((("intent", "entities"), ("kind", "values"), ("type", "slots"), ("action", "data")))
        intent = purpose.split(maxsplit=1)[0]
        parts.append(f'Wrap it: {{"{label}":"{intent}","{slots}":{{...}}}}')
        shaped = {label: intent, slots: record}
    elif pick < 0.22:
        parts.append("Each value is a list.")
        shaped = {key: [value] for key, value in record.items()}
    elif pick < 0.3 and len(fields) > 2:
        inner = [spec.key for spec in fields[: rng.randint(1, len(fields) - 1)]]
        holder = rng.choice(("details", "subject", "place", "header", "main"))
        parts.append(f"Put {', '.join(inner)} inside {holder}.")
        nested = {key: value for key, value in record.items() if key in inner}
        shaped = ({holder: nested} if nested else {}) | {
            key: value for key, value in record.items() if key not in inner
        }
    elif pick < 0.6:
        parts.append(
            rng.choice(
                (
                    "Leave out what is not mentioned.",
                    "Omit missing fields.",
                    "Only fields that are mentioned.",
                    "No other keys.",
                )
            )
        )
    return rng.choice(("\n", "\n", " ")).join(parts), shaped
