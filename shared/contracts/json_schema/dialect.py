"""The drafts of JSON Schema: which one a schema is written in, and how they differ."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from jsonschema import (
    Draft4Validator,
    Draft6Validator,
    Draft7Validator,
    Draft201909Validator,
    Draft202012Validator,
)

_Schema = dict[str, Any]  # Any: JSON values


@dataclass(frozen=True)
class Dialect:
    """One draft."""

    name: str
    validator: Any  # Any: a validator class of jsonschema, which types them loosely
    hides_siblings: bool
    """Keywords beside `$ref` say nothing (up to draft-07)."""
    is_array_split: bool
    """`items` may be a list, with `additionalItems` after it (up to 2019-09)."""

    @property
    def keywords(self) -> frozenset[str]:
        """Assertions that this draft knows; `dependencies` is read in every draft."""
        own = frozenset(self.validator.VALIDATORS) | {"dependencies"}
        return own | ({"then", "else"} if "if" in own else set()) | _companions(own)

    @property
    def id_keyword(self) -> str:
        """How a schema names itself."""
        return "id" if self.name == "draft-04" else "$id"


def _companions(own: frozenset[str]) -> set[str]:
    """Keywords that the library reads through another keyword."""
    found = {"minContains", "maxContains"} if "unevaluatedItems" in own else set()
    return found | ({"exclusiveMinimum", "exclusiveMaximum"} if "minimum" in own else set())


DIALECTS = (
    Dialect("2020-12", Draft202012Validator, hides_siblings=False, is_array_split=False),
    Dialect("2019-09", Draft201909Validator, hides_siblings=False, is_array_split=True),
    Dialect("draft-07", Draft7Validator, hides_siblings=True, is_array_split=True),
    Dialect("draft-06", Draft6Validator, hides_siblings=True, is_array_split=True),
    Dialect("draft-04", Draft4Validator, hides_siblings=True, is_array_split=True),
)
"""Newest first."""


def dialect_of(schema: _Schema) -> Dialect:
    """The draft that `$schema` names; else the newest whose meta-schema the schema satisfies, or else 2020-12."""
    named = schema.get("$schema")
    if isinstance(named, str):
        for dialect in DIALECTS:
            if _identifier(dialect) == named.rstrip("#"):
                return dialect
    fitting = (d for d in DIALECTS if meta_validator(d).is_valid(schema))
    return next(fitting, DIALECTS[0])


@cache
def meta_validator(dialect: Dialect) -> Any:  # Any: a jsonschema validator
    """Validates schemas of a draft."""
    return dialect.validator(dialect.validator.META_SCHEMA)


def _identifier(dialect: Dialect) -> str:
    meta = dialect.validator.META_SCHEMA
    return str(meta.get("$id") or meta["id"]).rstrip("#")
