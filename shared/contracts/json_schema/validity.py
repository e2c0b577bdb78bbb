"""Whether a value satisfies a schema, by the `jsonschema` library made safe against hostile patterns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache, lru_cache
from typing import Any
from urllib.parse import quote

from jsonschema import Draft7Validator, FormatChecker, ValidationError
from jsonschema.validators import extend

from shared.contracts.grammar.machine import Machine, TooComplex
from shared.contracts.grammar.pattern import PatternError, parse_pattern
from shared.contracts.json_schema.dialect import Dialect
from shared.contracts.json_schema.document import Document, is_own
from shared.contracts.json_schema.formats import PATTERNS, format_expression

_Value = Any  # Any: JSON values and schemas, as jsonschema takes them


@lru_cache(maxsize=2048)
def _machine(pattern: str) -> Machine:
    return Machine.of(parse_pattern(pattern))


def _matches(pattern: str, text: str) -> bool:
    try:
        return _machine(pattern).accepts(text)
    except (PatternError, TooComplex) as err:
        raise ValidationError(f"the pattern {pattern!r} cannot be checked: {err}") from err


def _pattern(validator: _Value, pattern: str, instance: _Value, schema: _Value) -> Iterator[ValidationError]:
    """`pattern` in linear time: `re.search` takes for ever on `^(a+)+$`."""
    if isinstance(instance, str) and not _matches(pattern, instance):
        yield ValidationError(f"does not match the pattern {pattern!r}")


def _pattern_properties(
    validator: _Value, patterns: _Value, instance: _Value, schema: _Value
) -> Iterator[ValidationError]:
    for pattern, part in patterns.items() if isinstance(instance, dict) else ():
        for name, value in instance.items():
            if _matches(pattern, name):
                yield from validator.descend(value, part, path=name, schema_path=pattern)


def _additional_properties(
    validator: _Value, part: _Value, instance: _Value, schema: _Value
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    declared, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for name, value in instance.items():
        if name in declared or any(_matches(pattern, name) for pattern in patterns):
            continue
        if part is False:
            yield ValidationError(f"{name!r} is not declared and additionalProperties is false")
        else:
            yield from validator.descend(value, part, path=name)


def _multiple_of(validator: _Value, step: _Value, instance: _Value, schema: _Value) -> Iterator[ValidationError]:
    """`multipleOf` on the decimal text: the library divides doubles, so 0.07 is no multiple of 0.01 to it."""
    if isinstance(instance, int | float) and not isinstance(instance, bool):
        ratio = Fraction(repr(instance)) / Fraction(repr(step))
        if ratio.denominator != 1:
            yield ValidationError(f"{instance} is not a multiple of {step}")


@cache
def _validator_class(dialect: Dialect) -> _Value:
    own: dict[str, Callable[..., Iterator[ValidationError]]] = {
        "pattern": _pattern, "patternProperties": _pattern_properties, "additionalProperties": _additional_properties,
        "multipleOf": _multiple_of, "dependencies": Draft7Validator.VALIDATORS["dependencies"],
    }  # fmt: skip
    return extend(dialect.validator, own)  # type: ignore[no-untyped-call]  # jsonschema leaves this function untyped


def _checker(name: str) -> Callable[[object], bool]:
    machine = Machine.of(format_expression(name))
    return lambda value: not isinstance(value, str) or machine.accepts(value)


@cache
def _formats() -> FormatChecker:
    """What is generated for a format and what is accepted as one are the same language."""
    checker = FormatChecker(())
    checker.checkers = {name: (_checker(name), ()) for name in PATTERNS}
    return checker


class SchemaValidator:
    """Checks values against one root schema, and against parts of it."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._validator = _validator_class(document.dialect)(document.root, format_checker=_formats())
        self._parts: dict[str, _Value] = {}

    def errors(self, value: _Value) -> Iterator[ValidationError]:
        """Every fault of a value under the root schema."""
        yield from self._validator.iter_errors(value)

    def meets(self, value: _Value, place: str) -> bool:
        """Whether a value satisfies the schema at a place of the document."""
        schema = self._document.schema(place)
        if isinstance(schema, bool):
            return schema
        if place not in self._parts:
            self._parts[place] = self._part(place)
        return bool(self._parts[place].is_valid(value))

    def _part(self, place: str) -> _Value:
        if self._document.shares_base(place):
            return self._validator.evolve(schema=self._document.schema(place))
        # Its own references are relative to another base: let the library find the way there.
        uri, _, pointer = ("", "", place) if is_own(place) else place.rpartition("#")
        return self._validator.evolve(schema={"$ref": f"{uri}#{quote(pointer)}"})
