"""Figures of a page, each with the path of the field that it came from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from markupsafe import Markup

from shared.report.definition import definition_of
from shared.report.text import shown

_STEP = re.compile(r"(\w+)|\[([^\]]+)\]")
_SPACE = "\u202f"
"""Between a number and its unit: narrow, and no line ends there."""
_MINUS = "\u2212"


@dataclass(frozen=True)
class Figure:
    """A value as it is shown, with where it came from."""

    source: str
    """Path of the field: a field of `ReportSource`, then names with `[index]` or `[key]`."""
    value: str
    """In full: what the text is rounded from."""
    text: str
    definition: str = ""

    def __html__(self) -> str:
        """Escaped, for templates."""
        title = Markup(' title="{}"').format(self.definition) if self.definition else ""
        return Markup('<span class="n" data-source="{}" data-value="{}"{}>{}</span>').format(
            self.source, self.value, title, self.text
        )


class Figures:
    """Reads messages by paths. Raises `KeyError` for a path that leads nowhere: templates must not make figures up."""

    def __init__(self, roots: Mapping[str, object]) -> None:
        self._roots = roots

    def value(self, path: str) -> Any:  # Any: a message, or what a field of one holds
        """What stands there."""
        found: Any = self._roots
        for name, index in _STEP.findall(path):
            if isinstance(found, Message):
                if name not in found.DESCRIPTOR.fields_by_name:
                    raise KeyError(path)
                found = getattr(found, name)
            elif index and isinstance(found, Mapping):
                found = found[index]
            elif index:
                found = found[int(index)]
            else:
                found = found[name]
        return found

    def has(self, path: str) -> bool:
        """Whether the message holds this field; False, too, where there is no such message."""
        parent, _, name = path.rpartition(".")
        if not parent:
            return path in self._roots
        if not self.has(re.sub(r"\[[^\]]+\]$", "", parent)):
            return False
        message = self.value(parent)
        field = message.DESCRIPTOR.fields_by_name.get(name)
        if field is None:
            return False
        return message.HasField(name) if field.has_presence else bool(getattr(message, name))

    def percent(self, path: str) -> Figure:
        """A share of 0..1 in percent."""
        return self._figure(path, percent_text(float(self.value(path))))

    def points(self, path: str) -> Figure:
        """A difference of shares in percentage points, with its sign."""
        return self._figure(path, _signed(float(self.value(path)) * 100))

    def count(self, path: str) -> Figure:
        """A whole number; of a list the number of its members."""
        found = self.value(path)
        number = found if isinstance(found, int) else len(found)
        return Figure(path, str(number), f"{number:,}", definition_of(path))

    def decimal(self, path: str, digits: int = 3) -> Figure:
        """A number with so many digits after the point."""
        return self._figure(path, rounded_text(float(self.value(path)), digits))

    def probability(self, path: str) -> Figure:
        """A p value; below a thousandth nothing is told of how far."""
        number = float(self.value(path))
        return self._figure(path, f"<{_SPACE}0.001" if number < 0.001 else f"{number:.3f}")

    def setting(self, path: str) -> Figure:
        """A number as it was set, to its last digit."""
        return self._figure(path, f"{self.value(path):,}" if isinstance(self.value(path), int) else None)

    def text(self, path: str) -> Figure:
        """Text of others, made visible."""
        found = str(self.value(path))
        return Figure(path, shown(found), shown(found))

    def words(self, path: str) -> Figure:
        """A name with underscores as words."""
        found = shown(str(self.value(path)))
        return Figure(path, found, found.replace("_", " "))

    def last(self, path: str) -> Figure:
        """The last segment of a resource's name."""
        found = shown(str(self.value(path)))
        return Figure(path, found, found.rpartition("/")[2], found)

    def word(self, path: str) -> Figure:
        """A value of an enum, in small letters."""
        parent, _, name = path.rpartition(".")
        kind = self.value(parent).DESCRIPTOR.fields_by_name[name].enum_type
        number = int(self.value(path))
        # A newer server may have more of them.
        label = kind.values_by_number[number].name if number in kind.values_by_number else str(number)
        prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", kind.name).upper() + "_"
        return Figure(path, str(number), label.removeprefix(prefix).lower().replace("_", " "))

    def time(self, path: str) -> Figure:
        """A moment, to the minute, UTC."""
        found: Timestamp = self.value(path)
        return Figure(path, found.ToJsonString(), f"{found.ToDatetime():%Y-%m-%d %H:%M} UTC")

    def duration(self, path: str) -> Figure:
        """A time span in its two largest units."""
        found: Duration = self.value(path)
        seconds = round(found.ToMicroseconds() / 1e6)
        hours, minutes = seconds // 3600, seconds // 60 % 60
        parts = ((hours, "h"), (minutes, "min"), (seconds % 60, "s"))
        told = [f"{number}{_SPACE}{unit}" for number, unit in parts if number][:2]
        return Figure(path, found.ToJsonString(), " ".join(told) or f"0{_SPACE}s")

    def _figure(self, path: str, text: str | None) -> Figure:
        found = self.value(path)
        return Figure(path, repr(found), repr(found) if text is None else text, definition_of(path))


def percent_text(share: float) -> str:
    """A share in percent with one digit after the point; 0 and 100 only where they are exact."""
    if share in (0.0, 1.0):
        return f"{share:.0%}".replace("%", f"{_SPACE}%")
    percent = min(max(round(share * 100, 1), 0.1), 99.9) if 0 < share < 1 else share * 100
    return f"{percent:,.1f}{_SPACE}%".replace("-", _MINUS)


def rounded_text(number: float, digits: int) -> str:
    """With so many digits, and a true minus."""
    return f"{number:,.{digits}f}".replace("-", _MINUS)


def _signed(number: float) -> str:
    text = f"{number:+,.1f}"
    return "0" if text in ("+0.0", "-0.0") else text.replace("-", _MINUS)
