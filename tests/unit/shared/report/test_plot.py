"""Plots draw what they are given, where it is."""

from __future__ import annotations

import math
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.report import plot
from shared.report.figure import Figure
from shared.report.plot import LossPoint, Point, Series

_SVG = "{http://www.w3.org/2000/svg}"


def _figure(text: str) -> Figure:
    return Figure("progress[0].step", text, text)


def _elements(markup: str, tag: str, style: str = "") -> list[ET.Element]:
    found = ET.fromstring(markup).iter(tag)
    return [element for element in found if style in element.get("class", "").split() or not style]


def _loss(points: list[LossPoint]) -> str:
    pair = (_figure("first"), _figure("last"))
    return plot.loss_plot(points, pair, pair)


def _curve(markup: str) -> list[tuple[float, float]]:
    (line,) = _elements(markup, "polyline")
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in line.get("points", "").split())]


class TestLossPlot:
    """Training loss by step."""

    @given(st.lists(st.floats(0, 1e6), min_size=1, max_size=40))
    def test_stays_within_its_frame(self, losses: list[float]) -> None:
        """Whatever the losses are, and a higher loss is never drawn lower."""
        curve = _curve(_loss([LossPoint(step, loss) for step, loss in enumerate(losses)]))

        assert all(0 <= x <= plot.WIDTH and 0 <= y <= plot.HEIGHT for x, y in curve)
        assert [x for x, _ in curve] == sorted(x for x, _ in curve)
        order = sorted(range(len(losses)), key=lambda place: losses[place])
        heights = [curve[place][1] for place in order]
        assert heights == sorted(heights, reverse=True)

    def test_leaves_out_what_is_no_number(self) -> None:
        """A diverged step has no place on the page."""
        curve = _curve(_loss([LossPoint(1, 2.0), LossPoint(2, math.nan), LossPoint(3, math.inf), LossPoint(4, 1.0)]))

        assert len(curve) == 2

    def test_keeps_both_ends_of_a_long_run(self) -> None:
        """Points between are thinned out."""
        curve = _curve(_loss([LossPoint(step, 1 + step / 10_000) for step in range(10_000)]))

        assert len(curve) < 700
        assert (curve[0][0], curve[-1][0]) == (46.0, 448.0)


class TestCheckpointPlot:
    """Metrics by checkpoint."""

    def _plot(self, count: int, published: int) -> str:
        points = [Point(10 * (place + 1), 0.5, 0.25, 0.75) for place in range(count)]
        return plot.checkpoint_plot([Series("a", points)], [_figure(str(point.step)) for point in points], published)

    def test_draws_each_value_with_its_interval(self) -> None:
        """The bar reaches from the low end to the high one, around the value."""
        markup = self._plot(3, 1)

        bars = [one for one in _elements(markup, "line", "range") if one.get("x1") == one.get("x2")]
        dots = _elements(markup, "circle", "point")
        assert len(bars) == len(dots) == 3
        for bar, dot in zip(bars, dots, strict=True):
            low, high, value = (float(one) for one in (bar.get("y1"), bar.get("y2"), dot.get("cy")))  # type: ignore[arg-type]
            assert high < value < low
            assert value == pytest.approx((low + high) / 2)

    def test_marks_the_published_one(self) -> None:
        """With a line and a word."""
        markup = self._plot(3, 1)

        (line,) = _elements(markup, "line", "published")
        assert line.get("x1") == _elements(markup, "circle", "point")[1].get("cx")
        assert [one.text for one in _elements(markup, "text", "mark")] == ["published"]

    @given(st.integers(1, 20), st.data())
    def test_labels_do_not_touch(self, count: int, data: st.DataObject) -> None:
        """The published step is labelled whatever their number."""
        published = data.draw(st.integers(0, count - 1))

        labels = [one for one in _elements(self._plot(count, published), "text", "tick") if one.get("data-source")]
        places = sorted(float(one.get("x", "")) for one in labels)

        assert str(10 * (published + 1)) in [one.text for one in labels]
        assert all(after - before > 30 for before, after in pairwise(places))


class TestBars:
    """Small drawings within tables."""

    @given(st.lists(st.integers(0, 10_000), min_size=4, max_size=4))
    def test_parts_have_their_share(self, counts: list[int]) -> None:
        """Side by side, in the order given; a part that is none is not drawn."""
        names = ["matched", "mismatched", "omitted", "invented"]
        markup = plot.share_bar(list(zip(names, counts, strict=True)), "bar")

        drawn = {one.get("class", "").removeprefix("part "): one for one in _elements(markup, "rect", "part")}
        assert set(drawn) == {name for name, count in zip(names, counts, strict=True) if count}
        for name, count in zip(names, counts, strict=True):
            if count:
                expected = max(200 * count / sum(counts), 1)
                assert float(drawn[name].get("width", "")) == pytest.approx(expected, abs=0.006)

    @given(st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1)))
    def test_differences_stand_on_their_side_of_nought(self, ends: tuple[float, float, float]) -> None:
        """Above it to the right."""
        low, value, high = sorted(ends)

        (dot,) = _elements(plot.difference_bar(low, value, high, 1.0, "bar"), "circle")

        assert (float(dot.get("cx", "")) - 60) * value >= 0

    def test_names_are_escaped(self) -> None:
        """A label is text, with nothing in it that turns or hides."""
        markup = plot.interval_bar(0.1, 0.2, 0.3, "<script>\u202e\x00")

        assert "<script>" not in markup
        assert ET.fromstring(markup).get("aria-label") == "<script>\\u{202e}\u2400"
