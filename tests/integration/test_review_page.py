"""The reviewers' page in a headless Chromium, from a file and without a network."""

from __future__ import annotations

from pathlib import Path

import pytest

from goldsmith.trainer.v1 import preference_pb2 as pb
from shared.review.page import review_page
from shared.review.verdict_file import read_verdicts
from tests.scripted_page import drive

pytestmark = pytest.mark.timeout(120)
STUDY = "tenants/acme/adapters/a/preferenceStudies/first"
HOSTILE = '</script><img src="http://evil.test/x" onerror="alert(1)"><b>&amp;{{ 7 }}'
QUIET: dict[str, object] = {"requests": [], "refused": []}
_CAPTURE = """
  const made = {}, original = URL.createObjectURL;
  URL.createObjectURL = (blob) => { made.blob = blob; return original(blob); };
  HTMLAnchorElement.prototype.click = function () { made.link = this; };
"""
"""Keeps the file that the page would write, and writes none: a headless Chromium may end before it is whole."""


def _page(count: int = 3, text: str = "") -> str:
    pairs = [
        pb.PreferencePair(
            id=f"p{n}", input=f"input {n}{text}", left_answer=f'{{"n":{n},"s":"x"}}', right_answer=f"right {n}{text}"
        )
        for n in range(count)
    ]
    return review_page(STUDY, pairs)


class TestPage:
    """A reviewer at the keyboard."""

    def test_shows_the_first_pair_when_it_opens(self, tmp_path: Path) -> None:
        """JSON laid out, progress at nothing, nothing to download."""
        found = drive(_page(), """
          tell({ place: text("place"), input: text("input"), left: text("left"), right: text("right"),
                 count: text("count"), disabled: document.getElementById("download").disabled });
        """, tmp_path)  # fmt: skip

        assert found == QUIET | {
            "place": "1 of 3", "input": "input 0", "left": '{\n  "n": 0,\n  "s": "x"\n}', "right": "right 0",
            "count": "0 of 3 judged", "disabled": True,
        }  # fmt: skip

    def test_takes_verdicts_from_the_keyboard_and_downloads_what_the_importer_reads(self, tmp_path: Path) -> None:
        """1, 2, 0 and b in turn; a comment is typed without its digits being verdicts."""
        script = """
          const comment = document.getElementById("comment");
          press("1", comment);
          comment.value = 'says "1", <b>\\u2028 é';
          comment.dispatchEvent(new Event("input", { bubbles: true }));
          for (const key of ["1", "2", "0", "b"]) press(key);
          const notice = text("notice");
          document.getElementById("download").click();
          tell({ lines: await made.blob.text(), file: made.link.download, scheme: made.link.protocol,
                 count: text("count"), notice });
        """

        found = drive(_page(4), _CAPTURE + script, tmp_path)

        assert (found["count"], found["requests"], found["refused"]) == ("4 of 4 judged", [], [])
        assert (found["file"], found["scheme"]) == ("first-verdicts.jsonl", "blob:")
        assert "All pairs are judged" in str(found["notice"])
        verdicts = read_verdicts(STUDY, str(found["lines"]).encode())
        assert [(one.pair, pb.PreferenceChoice.Name(one.choice)) for one in verdicts] == [
            ("p0", "PREFERENCE_CHOICE_LEFT"), ("p1", "PREFERENCE_CHOICE_RIGHT"),
            ("p2", "PREFERENCE_CHOICE_EQUAL"), ("p3", "PREFERENCE_CHOICE_BOTH_BAD"),
        ]  # fmt: skip
        assert verdicts[0].comment == 'says "1", <b>\u2028 é'

    def test_arrows_move_and_a_second_verdict_takes_the_place_of_the_first(self, tmp_path: Path) -> None:
        """Not past either end; the button of what was said is pressed."""
        script = """
          const pressed = () => document.querySelector('[aria-pressed="true"]')?.dataset.verdict ?? null;
          const places = [];
          for (const key of ["ArrowLeft", "ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft"]) {
            press(key);
            places.push(text("place"));
          }
          press("2"); press("ArrowLeft");
          const first = pressed();
          press("1"); press("ArrowLeft");
          tell({ places, first, second: pressed(), count: text("count") });
        """

        found = drive(_page(), script, tmp_path)

        assert found == QUIET | {
            "places": ["1 of 3", "2 of 3", "3 of 3", "3 of 3", "2 of 3"], "first": "RIGHT", "second": "LEFT",
            "count": "1 of 3 judged",
        }  # fmt: skip

    def test_loses_nothing_when_it_is_opened_again(self, tmp_path: Path) -> None:
        """It goes on at the first pair without a verdict; another study of that name begins empty."""
        folder, look = tmp_path, 'tell({ place: text("place"), count: text("count") });'
        drive(_page(), 'press("1"); await new Promise((done) => setTimeout(done, 6000)); tell({});', folder)

        again = drive(_page(), look, folder)
        other = drive(_page().replace('"p0"', '"q0"'), look, folder)

        assert again == QUIET | {"place": "2 of 3", "count": "1 of 3 judged"}
        assert other == QUIET | {"place": "1 of 3", "count": "0 of 3 judged"}

    def test_says_so_when_the_browser_keeps_nothing(self, tmp_path: Path) -> None:
        """Verdicts stay in the page until it is closed."""
        script = """
          Storage.prototype.setItem = () => { throw new Error("full"); };
          press("1");
          tell({ notice: text("notice"), count: text("count") });
        """

        found = drive(_page(), script, tmp_path)

        assert "keeps nothing" in str(found["notice"])
        assert found["count"] == "1 of 3 judged"

    def test_shows_hostile_texts_as_text(self, tmp_path: Path) -> None:
        """Markup in an answer is read, not run; nothing is asked for over the network."""
        found = drive(_page(1, HOSTILE), """
          tell({ input: text("input"), right: text("right"), images: document.images.length });
        """, tmp_path)  # fmt: skip

        assert found == QUIET | {"input": f"input 0{HOSTILE}", "right": f"right 0{HOSTILE}", "images": 0}

    def test_runs_no_script_but_its_own(self, tmp_path: Path) -> None:
        """What somebody slips into the file is refused by the page's policy, and so is every request."""
        script = """
          const slipped = document.createElement("script");
          slipped.textContent = "window.slipped = true";
          document.body.append(slipped);
          document.body.append(Object.assign(new Image(), { src: "http://evil.test/x" }));
          await new Promise((done) => setTimeout(done, 100));
          tell({ ran: window.slipped === true });
        """

        found = drive(_page(), script, tmp_path, quiet=False)

        assert found["ran"] is False
        assert found["refused"] == ["script-src-elem", "img-src"]

    def test_marks_what_differs(self, tmp_path: Path) -> None:
        """In both answers, by whole words."""
        page = review_page(STUDY, [pb.PreferencePair(id="p0", left_answer="to Lisbon", right_answer="to Porto now")])

        found = drive(page, """
          const marks = (id) => [...document.querySelectorAll(`#${id} mark`)].map((mark) => mark.textContent);
          tell({ left: marks("left"), right: marks("right") });
        """, tmp_path)  # fmt: skip

        assert found == QUIET | {"left": ["Lisbon"], "right": ["Porto now"]}
