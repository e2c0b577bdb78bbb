"""Whether a value satisfies a schema, by the `jsonschema` library made safe against hostile patterns."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from jsonschema.validators import extend

from shared.contracts.grammar.language import Machine, TooComplex
from shared.contracts.grammar.pattern import PatternError, parse_pattern
from shared.contracts.json_schema.formats import PATTERNS

_Value = Any  # Any: JSON values and schemas, as jsonschema takes them


@lru_cache(maxsize=512)
def _machine(pattern: str) -> Machine:
    return Machine.of(parse_pattern(pattern))


def _pattern(validator: _Value, pattern: str, instance: _Value, schema: _Value) -> Iterator[ValidationError]:
    """`pattern` in linear time: `re.search` takes for ever on `^(a+)+$`."""
    if isinstance(instance, str):
        try:
            matches = _machine(pattern).accepts(instance)
        except (PatternError, TooComplex) as err:
            yield ValidationError(f"the pattern cannot be checked: {err}")
            return
        if not matches:
            yield ValidationError(f"does not match the pattern {pattern!r}")


def _multiple_of(validator: _Value, step: _Value, instance: _Value, schema: _Value) -> Iterator[ValidationError]:
    """`multipleOf` on the decimal text: the library divides doubles, so 0.07 is no multiple of 0.01 to it."""
    if isinstance(instance, int | float) and not isinstance(instance, bool):
        ratio = Fraction(repr(instance)) / Fraction(repr(step))
        if ratio.denominator != 1:
            yield ValidationError(f"{instance} is not a multiple of {step}")


_Validator = extend(  # type: ignore[no-untyped-call]  # jsonschema leaves this function untyped
    Draft202012Validator, {"pattern": _pattern, "multipleOf": _multiple_of}
)
# Not FormatChecker(names): that registry holds draft 3's `time`, which has no offset.
_FORMATS = FormatChecker(())
_FORMATS.checkers = {name: Draft202012Validator.FORMAT_CHECKER.checkers[name] for name in PATTERNS}


class SchemaValidator:
    """Checks values against one root schema, and against parts of it."""

    def __init__(self, root: dict[str, _Value]) -> None:
        self._validator = _Validator(root, format_checker=_FORMATS)

    def errors(self, value: _Value) -> Iterator[ValidationError]:
        """Every fault of a value under the root schema."""
        yield from self._validator.iter_errors(value)

    def is_valid(self, value: _Value, part: dict[str, _Value]) -> bool:
        """Whether a value satisfies a subschema whose references point into the root."""
        return bool(self._validator.evolve(schema=part).is_valid(value))
