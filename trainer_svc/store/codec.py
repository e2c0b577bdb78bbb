"""Domain objects as JSON text and back."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter

Thing = TypeVar("Thing")


@cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:  # Any: one adapter a class
    return TypeAdapter(kind)


def dump(thing: object) -> str:
    """JSON text of a domain dataclass."""
    return _adapter(type(thing)).dump_json(thing).decode()


def load(kind: type[Thing], text: str) -> Thing:
    """The domain dataclass of `dump`."""
    thing: Thing = _adapter(kind).validate_json(text)
    return thing
