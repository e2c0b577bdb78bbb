"""Deliberately broken adapters on their way to `live`: where each is stopped, and for what.

`python -m tests.bench evaluation`; some minutes. Beside them a sound adapter of the same size is promoted.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.broken_adapters import CASES, SHOWN_TO_VLLM, BrokenAdapter
from tests.bench.broken_workshop import Sizes, Workshop
from tests.bench.result import Figures
from tests.promotion_house import EMPTY, SERVED, Ending, Stage


def measure() -> Figures:
    """How many were tried, how many came to `live`, and how many were stopped elsewhere or for another reason."""
    with tempfile.TemporaryDirectory() as folder:
        shop = Workshop(Path(folder), Sizes())
        found = tried(shop, (*CASES, *SHOWN_TO_VLLM)).endings
        shop.house.close()
    Console(width=200).print(_table(found))
    return {
        "bad_adapters": len(found),
        "bad_adapters_promoted": sum(ending.stage is Stage.LIVE for ending in found.values()),
        "bad_adapters_stopped_for_their_own_reason": sum(
            case.is_stopped_as_expected(ending) for case, ending in found.items()
        ),
    }


@dataclass(frozen=True)
class Trial:
    """What broken adapters came to, and what the aliases that they were for meant before and after them."""

    endings: dict[BrokenAdapter, Ending]
    sound: str
    """The revision that was live in `SERVED` before them."""
    served: str
    """The one that is live there after them."""
    elsewhere: str
    """The one that is live in `EMPTY` after them, where nothing was; empty for none."""


def tried(shop: Workshop, cases: tuple[BrokenAdapter, ...]) -> Trial:
    """Makes each beside a sound one that is live.

    Broken ones deploy also where nothing is live: there nothing but their own fault stops them.
    """
    house, sound = shop.house, shop.sound
    house.deploy(sound, SERVED)
    live = house.live(SERVED)
    assert live, "the sound one is not promoted: what stops the others proves nothing"
    assert house.replicate(sound.package, sound).stage is Stage.LIVE
    endings = {case: case.make(shop) for case in cases}
    return Trial(endings, sound=live, served=house.live(SERVED), elsewhere=house.live(EMPTY))


def _table(found: dict[BrokenAdapter, Ending]) -> Table:
    table = Table("adapter", "where it came in", "where it ended", "reasons", "and beside a live one", "told")
    for case, ending in found.items():
        mark = "" if case.is_stopped_as_expected(ending) else " (!)"
        reasons, beside = (", ".join(names) for names in (ending.reasons, ending.beside_live))
        table.add_row(case.kind, case.way, ending.stage + mark, reasons, beside, ending.told[:160])
    return table
