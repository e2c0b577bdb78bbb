"""A report as a browser without network shows it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.report import render
from tests.chromium import Chromium, open_browser
from tests.report_house import HOSTILE
from tests.unit.shared.report.filled import filled_source

pytestmark = pytest.mark.timeout(180)
_WIDER = """
(right => [...document.querySelectorAll("body *")]
  .filter(one => !one.closest(".scroll, .patterns, .hidden, .fields thead"))
  .filter(one => right(one) > right(one.closest("section") ?? document.body))
  .map(one => one.tagName + "." + one.className + " " + one.textContent.slice(0, 60))
)(one => one.getBoundingClientRect().right)
"""
_CONTRAST = """
(() => {
  const linear = share => share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  const light = colour => {
    const [red, green, blue] = colour.match(/[\\d.]+/g).map(one => linear(one / 255));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const ground = one => {
    const own = getComputedStyle(one).backgroundColor;
    return own === "rgba(0, 0, 0, 0)" && one.parentElement ? ground(one.parentElement) : own;
  };
  const contrast = one => {
    const [low, high] = [light(getComputedStyle(one).color), light(ground(one))].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const texts = [...document.querySelectorAll("main *:not(svg *)")]
    .filter(one => one.innerText && !one.children.length);
  return Math.min(...texts.map(contrast));
})()
"""
_NARROWEST_PLOT = "Math.min(...[...document.querySelectorAll('.plot')].map(one => one.getBBox().width))"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """One for all tests of this file."""
    with open_browser(tmp_path_factory.mktemp("profile")) as own:
        yield own


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of a page with all that a page can have, hostile and long texts among it."""
    source = filled_source()
    row = source.rows[0]
    row.input, row.adapter.text, row.golden_output = HOSTILE * 30, "w" * 5_000, json.dumps({"a": ["long " * 90, 1]})
    source.evaluation.checkpoints[1].constrained.fields[0].path = "/" + "deep/" * 40
    source.job.promotion.checks[0].description = "word" * 80
    source.savings.formula[0] = "9" * 300
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(render(source), encoding="utf-8")
    return file.as_uri()


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("is_dark", [False, True])
class TestPage:
    """In a small window and a large one, by day and by night."""

    def test_asks_for_nothing_but_itself(self, browser: Chromium, url: str, width: int, is_dark: bool) -> None:
        """No other request, no error, nothing barred by its own policy, no script of a tenant."""
        browser.open(url, width=width, is_dark=is_dark)

        assert [one["request"]["url"] for one in browser.told("Network.requestWillBeSent")] == [url]
        assert browser.told("Log.entryAdded") == []
        assert browser.told("Runtime.exceptionThrown") == browser.told("Runtime.consoleAPICalled") == []
        assert browser.value("document.title") == "Report of tenants/acme/jobs/first"

    def test_fits_its_window(self, browser: Chromium, url: str, width: int, is_dark: bool) -> None:
        """Nobody has to scroll sideways, with all that is folded unfolded."""
        browser.open(url, width=width, is_dark=is_dark)
        browser.value("document.querySelectorAll('details').forEach(one => one.open = true)")

        assert browser.value(_WIDER) == []
        assert browser.value("document.documentElement.scrollWidth") <= width

    def test_can_be_read(self, browser: Chromium, url: str, width: int, is_dark: bool) -> None:
        """Contrast of each text of at least 4.5, as WCAG 2.2 asks for (AA)."""
        browser.open(url, width=width, is_dark=is_dark)

        assert browser.value(_CONTRAST) >= 4.5

    def test_has_a_picture(self, browser: Chromium, url: str, width: int, is_dark: bool) -> None:
        """Plots are drawn: a screenshot has more than the page's ground."""
        browser.open(url, width=width, is_dark=is_dark)

        picture = browser.screenshot()

        assert picture[:8] == b"\x89PNG\r\n\x1a\n"
        assert int.from_bytes(picture[16:20]) == width
        assert browser.value(_NARROWEST_PLOT) > 300


class TestPolicy:
    """Of the page itself."""

    def test_bars_scripts_and_requests(self, browser: Chromium, url: str, tmp_path: Path) -> None:
        """What came in by a hole of ours would neither run nor ask: the browser reports what it barred."""
        page = Path(url.removeprefix("file://")).read_text(encoding="utf-8")
        hole = '<script>document.title="taken"</script><img src="http://127.0.0.1:9/x"></main>'
        (tmp_path / "open.html").write_text(page.replace("</main>", hole), encoding="utf-8")

        browser.open((tmp_path / "open.html").as_uri(), width=1280)

        assert browser.value("document.title") != "taken"
        barred = [one["entry"]["text"] for one in browser.told("Log.entryAdded")]
        assert len([text for text in barred if "Content Security Policy" in text]) == 2
