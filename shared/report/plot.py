"""The plots of a page."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from shared.report.drawing import Drawing
from shared.report.figure import Figure

WIDTH, HEIGHT = 460.0, 250.0
"""So that text of 12 units is as large as the page's on a desktop, and can be read on a telephone."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 448.0, 30.0, 208.0
_MAX_POINTS = 600
"""Of a curve: more than there are pixels."""
_MAX_STEP_LABELS = 7
_TICKS = 4
_SHAPES = ("circle", "square", "diamond")


@dataclass(frozen=True)
class LossPoint:
    """Of the training curve."""

    step: int
    loss: float


@dataclass(frozen=True)
class Point:
    """A value at a step, with its interval."""

    step: int
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Series:
    """One metric over the checkpoints."""

    name: str
    points: Sequence[Point]


def loss_plot(points: Sequence[LossPoint], ends: tuple[Figure, Figure], steps: tuple[Figure, Figure]) -> Markup:
    """Training loss by step; the first and the last loss are written out."""
    drawing = Drawing(WIDTH, HEIGHT, "Training loss by step: it falls as the adapter learns", "plot")
    kept = _thinned([point for point in points if math.isfinite(point.loss)])
    ticks = _ticks(max((point.loss for point in kept), default=1.0))
    x = _scale(points[0].step, points[-1].step, _LEFT, _RIGHT)
    y = _scale(0.0, ticks[-1], _BOTTOM, _TOP)
    _grid(drawing, ticks, y, lambda tick: f"{tick:g}")
    drawing.add(
        "polyline", points=" ".join(f"{x(one.step):.1f},{y(one.loss):.1f}" for one in kept), style_class="curve"
    )
    if kept:
        drawing.text((_LEFT + 6, max(y(kept[0].loss) - 7, 14)), ends[0], "value")
        drawing.text((_RIGHT, y(kept[-1].loss) - 9), ends[1], "value", "end")
    drawing.text((_LEFT, _BOTTOM + 18), steps[0], "tick")
    drawing.text((_RIGHT, _BOTTOM + 18), steps[1], "tick", "end")
    drawing.text(((_LEFT + _RIGHT) / 2, _BOTTOM + 34), "step", "axis", "middle")
    return drawing.markup()


def checkpoint_plot(series: Sequence[Series], steps: Sequence[Figure], published: int) -> Markup:
    """Metrics in percent by checkpoint, with intervals; `published` is the place of the one that was published."""
    drawing = Drawing(WIDTH, HEIGHT, "Metrics by checkpoint with their intervals; the published one is marked", "plot")
    ticks = [tick / _TICKS for tick in range(_TICKS + 1)]
    numbers = [point.step for point in series[0].points]
    x = _scale(numbers[0], numbers[-1], _LEFT + 26, _RIGHT - 26)
    y = _scale(0.0, 1.0, _BOTTOM, _TOP)
    _grid(drawing, ticks, y, lambda tick: f"{tick:.0%}")
    mark = x(numbers[published])
    drawing.line((mark, _TOP - 6), (mark, _BOTTOM), "published")
    drawing.text((mark, _TOP - 11), "published", "mark", "end" if mark > WIDTH / 2 else "start")
    for place, one in enumerate(series):
        shift = (place - (len(series) - 1) / 2) * 9
        _draw_series(drawing, one, lambda step, shift=shift: x(step) + shift, y, place)  # type: ignore[misc]  # bound
    for place, step in enumerate(steps):
        if _is_labelled(place, len(steps), published):
            drawing.text((x(numbers[place]), _BOTTOM + 18), step, "tick", "middle")
    drawing.text(((_LEFT + _RIGHT) / 2, _BOTTOM + 34), "step", "axis", "middle")
    return drawing.markup()


def legend_mark(place: int) -> Markup:
    """The shape that a series of `checkpoint_plot` has."""
    drawing = Drawing(14, 14, "", "key")
    _shape(drawing, 7, 7, place)
    return drawing.markup()


def interval_bar(low: float, value: float, high: float, label: str) -> Markup:
    """A share of 0..1 on a line from 0 to 1, with its interval."""
    drawing = Drawing(120, 12, label, "bar")
    drawing.line((2, 6), (118, 6), "rail")
    x = _scale(0.0, 1.0, 5, 115)
    _whisker(drawing, x(low), x(value), x(high))
    return drawing.markup()


def difference_bar(low: float, value: float, high: float, limit: float, label: str) -> Markup:
    """A difference with its interval on a line from -limit to limit; a stroke marks 0."""
    drawing = Drawing(120, 12, label, "bar")
    drawing.line((2, 6), (118, 6), "rail")
    drawing.line((60, 0), (60, 12), "zero")
    x = _scale(-limit, limit, 5, 115)
    _whisker(drawing, x(low), x(value), x(high))
    return drawing.markup()


def share_bar(parts: Sequence[tuple[str, int]], label: str) -> Markup:
    """Counts side by side as parts of one bar; each part has the style of its name."""
    drawing = Drawing(200, 12, label, "share")
    drawing.stretch()
    total, begin = sum(count for _, count in parts), 0.0
    for name, count in parts:
        width = 200 * count / total if total else 0.0
        if count:
            drawing.add("rect", x=begin, y=0, width=max(width, 1), height=12, style_class=f"part {name}")
            drawing.add("rect", x=begin, y=0, width=max(width, 1), height=12, fill=f"url(#{name})")
        begin += width
    return drawing.markup()


def _whisker(drawing: Drawing, low: float, value: float, high: float) -> None:
    drawing.line((low, 6), (high, 6), "range")
    for end in (low, high):
        drawing.line((end, 1.5), (end, 10.5), "range")
    drawing.add("circle", cx=value, cy=6, r=3.5, style_class="dot")


def _draw_series(
    drawing: Drawing, one: Series, x: Callable[[float], float], y: Callable[[float], float], place: int
) -> None:
    for before, after in pairwise(one.points):
        drawing.line((x(before.step), y(before.value)), (x(after.step), y(after.value)), f"join s{place}")
    for point in one.points:
        drawing.line((x(point.step), y(point.low)), (x(point.step), y(point.high)), f"range s{place}")
        for end in (point.low, point.high):
            drawing.line((x(point.step) - 3, y(end)), (x(point.step) + 3, y(end)), f"range s{place}")
        _shape(drawing, x(point.step), y(point.value), place)


def _shape(drawing: Drawing, x: float, y: float, place: int) -> None:
    style = f"point s{place}"
    match _SHAPES[place % len(_SHAPES)]:
        case "circle":
            drawing.add("circle", cx=x, cy=y, r=4.5, style_class=style)
        case "square":
            drawing.add("rect", x=x - 4, y=y - 4, width=8, height=8, style_class=style)
        case _:
            corners = f"{x:.1f},{y - 5.5:.1f} {x + 5.5:.1f},{y:.1f} {x:.1f},{y + 5.5:.1f} {x - 5.5:.1f},{y:.1f}"
            drawing.add("polygon", points=corners, style_class=style)


def _grid(drawing: Drawing, ticks: Sequence[float], y: Callable[[float], float], label: Callable[[float], str]) -> None:
    for tick in ticks:
        drawing.line((_LEFT, y(tick)), (_RIGHT, y(tick)), "grid")
        drawing.text((_LEFT - 7, y(tick) + 4), label(tick), "tick", "end")


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """From values of low..high to places of start..end; a single value is in the middle."""
    if high == low:
        return lambda _: (start + end) / 2
    return lambda value: start + (min(max(value, low), high) - low) / (high - low) * (end - start)


def _ticks(highest: float) -> list[float]:
    """From 0 to at least the highest value in steps of 1, 2 or 5 times a power of ten."""
    rough = max(highest, 1e-9) / _TICKS
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    return [step * number for number in range(math.ceil(highest / step) + 1)] if highest > step else [0.0, step]


def _thinned(points: Sequence[LossPoint]) -> Sequence[LossPoint]:
    """The first, the last and so many between; each is a point that was measured."""
    stride = math.ceil(len(points) / _MAX_POINTS) or 1
    return [*points[:-1:stride], *points[-1:]]


def _is_labelled(place: int, count: int, published: int) -> bool:
    """Labels must not touch: the published one comes first, then the ends, then every so many."""
    stride = math.ceil(count / _MAX_STEP_LABELS)
    ends = (0, count - 1)
    if place == published or (place in ends and abs(place - published) >= stride):
        return True
    return place % stride == 0 and all(abs(place - other) >= stride for other in (published, *ends))
