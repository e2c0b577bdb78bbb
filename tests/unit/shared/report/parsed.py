"""A page as a reader of its HTML finds it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser

from google.protobuf.message import Message

_VOID = {"meta", "br", "rect", "line", "path", "circle", "polyline", "polygon", "link", "img"}


@dataclass
class Element:
    """One element; `text` is that of all within it."""

    tag: str
    attributes: dict[str, str]
    parents: tuple[str, ...] = ()
    text: str = ""


@dataclass
class Page(HTMLParser):
    """All elements, and the texts that stand outside of any figure."""

    html: str
    elements: list[Element] = field(default_factory=list)
    loose: list[str] = field(default_factory=list)
    """Texts within nothing that says where they came from."""

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._open: list[Element] = []
        self.feed(self.html)
        self.close()
        assert self._open == [], [element.tag for element in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Opens an element."""
        element = Element(tag, {name: value or "" for name, value in attrs}, tuple(one.tag for one in self._open))
        self.elements.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element without content."""
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        """Closes the innermost element, which must be of this tag."""
        if tag not in _VOID:
            assert self._open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        """Text."""
        for element in self._open:
            element.text += data
        told = {"data-source", "data-constant"}
        is_told = any(told & element.attributes.keys() for element in self._open)
        is_scale = any(element.attributes.get("class") == "tick" for element in self._open)
        if not is_told and not is_scale and not any(element.tag in ("style", "title") for element in self._open):
            self.loose.append(data)

    @property
    def figures(self) -> list[Element]:
        """Elements that say which field they tell."""
        return [element for element in self.elements if "data-source" in element.attributes]


def field_value(roots: Mapping[str, object], path: str) -> object:
    """What stands at a path, read independently of the page's own way."""
    found: object = roots
    for part in path.replace("]", "").replace("[", ".").split("."):
        if isinstance(found, Message):
            assert part in found.DESCRIPTOR.fields_by_name, path
            found = getattr(found, part)
        elif re.fullmatch(r"\d+", part):
            found = list(found)[int(part)]  # type: ignore[call-overload]  # a repeated field
        else:
            found = found[part]  # type: ignore[index]  # a map
    return found
