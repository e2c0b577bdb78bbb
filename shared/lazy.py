"""Attributes that are computed at their first use, by any thread."""

from __future__ import annotations

import functools
from typing import Any, Self, TypeVar, cast, overload

Value = TypeVar("Value", covariant=True)  # noqa: PLC0105  # read as a word
_ABSENT = object()


class cached_property(functools.cached_property[Value]):  # noqa: N801, TID251  # named as the one whose place it takes
    """`functools.cached_property` without its lock, as in Python 3.12 (https://github.com/python/cpython/issues/87634).

    Up to 3.11 all instances of a class share one lock for each such property. Two threads that compute properties whose
    values need one another's classes, such as those of expressions in expressions, wait for each other for ever. Here
    threads that come at the same time may each compute the value, and all get the one that was kept first.
    """

    @overload
    def __get__(self, instance: None, owner: type[Any] | None = None) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type[Any] | None = None) -> Value: ...
    def __get__(self, instance: object, owner: type[Any] | None = None) -> Any:  # Any: as the class it extends
        """The value, or this object itself when it is looked up on the class."""
        if instance is None:
            return self
        kept = instance.__dict__
        name = cast("str", self.attrname)  # set by __set_name__
        value = kept.get(name, _ABSENT)
        if value is _ABSENT:
            value = kept.setdefault(name, self.func(instance))
        return value
