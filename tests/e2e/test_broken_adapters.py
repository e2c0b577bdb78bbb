"""Adapters with the mistakes that teams really make: none comes to `live`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.bench.broken_adapters import CASES, BrokenAdapter, Sizes, Workshop
from tests.bench.evaluation_broken import tried
from tests.promotion_house import Ending

pytestmark = [
    pytest.mark.engine,
    pytest.mark.soak,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore:Could not find a config file"),  # PEFT, of a base that has a name and no path
]

_SMALL = Sizes(train_count=100, holdout_count=30)


@pytest.fixture(scope="module")
def endings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[BrokenAdapter, Ending]]:
    """What became of each, while a sound one was live beside them, which stayed that."""
    shop = Workshop(tmp_path_factory.mktemp("house"), _SMALL)
    yield dict(tried(shop, CASES))
    shop.house.close()


class TestBrokenAdapter:
    """One fault on one way in."""

    @pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}, {case.way}")
    def test_is_stopped_for_its_own_reason(self, case: BrokenAdapter, endings: dict[BrokenAdapter, Ending]) -> None:
        """Where it should be, and not only because something better is live."""
        ending = endings[case]

        assert (ending.stage, case.reason in ending.reasons) == (case.stage, True), ending
        assert case.words in ending.told
