"""A teacher's answers on disk."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from shared.errors import Exhausted
from trainer_svc.app import answer_log
from trainer_svc.app.answer_log import Answer, AnswerLog, AnswersTooLarge, dump_answers

ONE = Answer(3, 0, "openai", "m", '{"n":"\ud800 🙂\n"}')
TWO = Answer(1, 1, "openai", "m", None, "was cut short")


@pytest.fixture
def log(tmp_path: Path) -> AnswerLog:
    """With two answers."""
    own = AnswerLog(tmp_path / "d.answers")
    own.append(ONE)
    own.append(TWO)
    return own


class TestAnswerLog:
    """What was paid for is kept."""

    def test_gives_back_what_was_kept(self, log: AnswerLog) -> None:
        """To another process too."""
        assert log.read() == {(3, 0): ONE, (1, 1): TWO}

    def test_of_nothing_is_nothing(self, tmp_path: Path) -> None:
        """A first start finds no file."""
        assert AnswerLog(tmp_path / "none").read() == {}

    @pytest.mark.parametrize("cut", [1, 2, 30])
    def test_drops_a_torn_last_line(self, log: AnswerLog, tmp_path: Path, cut: int) -> None:
        """Of a killed process; what comes then stands on a line of its own."""
        path = tmp_path / "d.answers"
        path.write_bytes(path.read_bytes()[:-cut])

        assert log.read() == {(3, 0): ONE}
        log.append(TWO)
        assert log.read() == {(3, 0): ONE, (1, 1): TWO}

    def test_has_an_end(self, log: AnswerLog, monkeypatch: pytest.MonkeyPatch) -> None:
        """A tenant cannot fill the disk by a talkative teacher."""
        monkeypatch.setattr(answer_log, "MAX_BYTES", 300)

        with pytest.raises(AnswersTooLarge):
            log.append(Answer(4, 0, "openai", "m", "x" * 200))
        assert len(log.read()) == 2

    def test_a_full_disk_leaves_nothing_behind(self, log: AnswerLog, monkeypatch: pytest.MonkeyPatch) -> None:
        """The answer is asked for again later."""

        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, "full")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(Exhausted, match="disk is full"):
                log.append(Answer(4, 0, "openai", "m", "x"))
        assert len(log.read()) == 2


class TestDumpAnswers:
    """The blob of all answers."""

    def test_does_not_depend_on_the_order_in_which_they_came(self) -> None:
        """Equal answers have an equal digest."""
        assert dump_answers([ONE, TWO]) == dump_answers([TWO, ONE])
        assert dump_answers([ONE, TWO]).startswith(b'{"row": 1,')
