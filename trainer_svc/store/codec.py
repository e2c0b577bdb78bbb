"""Domain objects as JSON text and back."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter

Thing = TypeVar("Thing")


@cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:  # Any: one adapter a class
    return TypeAdapter(kind)


def dump(thing: object, *, without: AbstractSet[str] = frozenset()) -> str:
    """JSON text of a domain dataclass, less the fields named in `without`."""
    kind: Any = type(thing)  # mypy does not see that classes are hashable
    return _adapter(kind).dump_json(thing, exclude=set(without)).decode()


def load(kind: type[Thing], text: str) -> Thing:
    """The domain dataclass of `dump`."""
    hashable: Any = kind  # as above
    thing: Thing = _adapter(hashable).validate_json(text)
    return thing
