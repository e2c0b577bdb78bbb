"""The texts that a row is made of, each changed by itself."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

from shared.contracts.spec import ContractKind
from trainer_svc.domain.dataset import CheckedRow

Change = Callable[[str, str], str]
"""From a label (the name of a value's field and ": ", or empty) and a text to the new text."""
Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None


class Unwritable(Exception):
    """The new texts make no row."""


def rewrite(kind: ContractKind, row: CheckedRow, change: Change) -> CheckedRow:
    """The row with its input, and all its output's values and names, changed; numbers stay numbers.

    The output is written canonically only if something in it changed. What is no JSON is changed as one text.

    Raises:
        Unwritable: a number is none any more, or two names of an object have become one.
    """
    text = change("", row.input)
    if kind is not ContractKind.JSON:
        return dataclasses.replace(row, input=text, output=change("", row.output))
    try:
        root: list[Json] = [json.loads(row.output)]
    except (ValueError, RecursionError):
        return dataclasses.replace(
            row, input=text, output=change("", row.output)
        )  # a held-out row that is kept as a miss
    is_changed = _Walk(change).through(root)
    return dataclasses.replace(row, input=text, output=_written(root[0]) if is_changed else row.output)


class _Walk:
    """Changes a JSON value in place, without recursion: it may be nested as deeply as it could be read."""

    def __init__(self, change: Change) -> None:
        self._change, self._is_changed = change, False
        self._left: list[dict[str, Json] | list[Json]] = []

    def through(self, root: list[Json]) -> bool:
        """Whether anything is another than before."""
        self._left.append(root)
        is_inner = False
        while self._left:
            holder = self._left.pop()
            if isinstance(holder, list):
                # Labels as the check has them, so that it finds nothing here that was not found there.
                holder[:] = [self._new(f"{place}: " if is_inner else "", inner) for place, inner in enumerate(holder)]
                is_inner = True
                continue
            items = [(self._told("", name), self._new(f"{name}: " if name else "", inner))
                     for name, inner in holder.items()]  # fmt: skip
            if len(dict(items)) < len(items):
                raise Unwritable("two names of an object have become one")
            holder.clear()
            holder.update(items)
        return self._is_changed

    def _new(self, label: str, value: Json) -> Json:
        if isinstance(value, dict | list):
            self._left.append(value)
            return value
        if isinstance(value, str):
            return self._told(label, value)
        if value is None or isinstance(value, bool):
            return value
        old = str(value)
        new = self._told(label, old)
        return value if new == old else _number(new)

    def _told(self, label: str, text: str) -> str:
        new = self._change(label, text)
        self._is_changed |= new != text
        return new


def _number(text: str) -> int | float:
    try:
        value = json.loads(text)
    except ValueError as err:
        raise Unwritable("a number in its output would be none any more") from err
    assert isinstance(value, int | float), "digits were put in the place of digits"
    return value


def _written(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a character, which only escapes can write
        return json.dumps(value, separators=(",", ":"))
    return text
