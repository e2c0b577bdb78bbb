"""Elements of inline SVG; all text is escaped by the XML writer."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, tostring

from markupsafe import Markup

from shared.report.figure import Figure
from shared.report.text import shown

Attribute = str | float


class Drawing:
    """One picture. Lengths are in units of its own `width` by `height`, from the upper left corner."""

    def __init__(self, width: float, height: float, label: str, style: str) -> None:
        box = f"0 0 {_number(width)} {_number(height)}"
        self._root = Element("svg", {"viewBox": box, "class": style, "role": "img", "aria-label": shown(label)})
        if not label:
            self._root.attrib = {"viewBox": box, "class": style, "aria-hidden": "true"}

    def stretch(self) -> None:
        """Fills whatever place it is given, without keeping its proportions."""
        self._root.set("preserveAspectRatio", "none")

    def add(self, tag: str, **attributes: Attribute) -> Element:
        """An element; `stroke_width` is written stroke-width, `style_class` class."""
        return SubElement(self._root, tag, _attributes(attributes))

    def line(self, start: tuple[float, float], end: tuple[float, float], style: str) -> None:
        """A straight line."""
        self.add("line", x1=start[0], y1=start[1], x2=end[0], y2=end[1], style_class=style)

    def text(self, place: tuple[float, float], content: Figure | str, style: str, anchor: str = "start") -> None:
        """A text, or a figure with the path of its field."""
        element = self.add("text", x=place[0], y=place[1], style_class=style, text_anchor=anchor)
        element.text = content.text if isinstance(content, Figure) else shown(content)
        if isinstance(content, Figure):
            element.set("data-source", content.source)
            element.set("data-value", content.value)

    def markup(self) -> Markup:
        """To be put into a page."""
        return Markup(tostring(self._root, encoding="unicode"))  # noqa: S704  # ElementTree escaped it


def _attributes(given: dict[str, Attribute]) -> dict[str, str]:
    names = {name: "class" if name == "style_class" else name.replace("_", "-") for name in given}
    return {names[name]: value if isinstance(value, str) else _number(value) for name, value in given.items()}


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
