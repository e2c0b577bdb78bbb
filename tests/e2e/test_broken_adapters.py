"""Adapters with the mistakes that teams really make: none comes to `live`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.bench.broken_adapters import CASES, BrokenAdapter
from tests.bench.broken_workshop import Sizes, Workshop
from tests.bench.evaluation_broken import Trial, tried

pytestmark = [
    pytest.mark.engine,
    pytest.mark.soak,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore:Could not find a config file"),  # PEFT, of a base that has a name and no path
]

_SMALL = Sizes(train_count=100, holdout_count=30)


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    """What became of each beside a sound one, and of that."""
    shop = Workshop(tmp_path_factory.mktemp("house"), _SMALL)
    yield tried(shop, CASES)
    shop.house.close()


class TestBrokenAdapter:
    """One fault on one way in."""

    @pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}, {case.way}")
    def test_is_stopped_for_its_own_reason(self, case: BrokenAdapter, trial: Trial) -> None:
        """Where it should be, and not only because something better is live."""
        ending = trial.endings[case]

        assert (ending.stage, case.reason in ending.reasons) == (case.stage, True), ending
        assert case.words in ending.told


class TestAlias:
    """`live`, for which all of them were made."""

    def test_means_the_sound_one_before_and_after(self, trial: Trial) -> None:
        """No broken one displaces it."""
        assert trial.served == trial.sound

    def test_means_nothing_where_only_broken_ones_came(self, trial: Trial) -> None:
        """Being the first is no merit."""
        assert trial.elsewhere == ""
