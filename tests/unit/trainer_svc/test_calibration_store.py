"""What is kept of runs, for estimates of later ones."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert

from tests.unit.trainer_svc.conftest import FINISH, Stage
from tests.unit.trainer_svc.usage_sample import RUN, measured, run_with
from trainer_svc.domain.estimate import Calibration, Usage
from trainer_svc.domain.run import TrainingMode
from trainer_svc.store import calibration
from trainer_svc.store.calibration import KEPT_RUNS
from trainer_svc.store.codec import dump
from trainer_svc.store.table import calibrations


class TestStore:
    """What is kept of runs."""

    def test_keeps_the_newest_of_each_kind(self, transact: Callable[..., Any]) -> None:
        """Oldest first; other bases, modes and thread counts have their own."""
        others = [run_with(threads=4), run_with(mode=TrainingMode.QLORA), run_with(base_model_digest="sha256:1")]

        def work(connection: Any) -> list[Usage]:
            for usage in (*others, *(run_with(rank=number) for number in range(KEPT_RUNS + 5))):
                calibration.add_usage(connection, usage)
            for usage in others:
                kind = (usage.base_model_digest, usage.mode, usage.threads)
                assert calibration.list_usages(connection, *kind) == [usage]
            return calibration.list_usages(connection, "sha256:0", TrainingMode.LORA, 2)

        assert [usage.rank for usage in transact(work)] == list(range(5, KEPT_RUNS + 5))

    def test_calibrations_drive_out_no_run(self, transact: Callable[..., Any]) -> None:
        """However many are asked for."""
        made = run_with(calibration=Calibration("key", datetime.now(UTC)), rank=64)

        def work(connection: Any) -> list[Usage]:
            for usage in (RUN, *[made] * (KEPT_RUNS + 3)):
                calibration.add_usage(connection, usage)
            return calibration.list_usages(connection, "sha256:0", TrainingMode.LORA, 2)

        assert transact(work) == [RUN, *[made] * KEPT_RUNS]

    def test_calibrations_drive_out_none_of_another_tenant(self, transact: Callable[..., Any]) -> None:
        """Each tenant has as many of its own."""
        other, made = (
            run_with(calibration=Calibration("key", datetime.now(UTC), tenant)) for tenant in ("globex", "acme")
        )  # fmt: skip

        def work(connection: Any) -> list[Usage]:
            for usage in (other, *[made] * (KEPT_RUNS + 3)):
                calibration.add_usage(connection, usage)
            return calibration.list_usages(connection, "sha256:0", TrainingMode.LORA, 2)

        assert transact(work) == [other, *[made] * KEPT_RUNS]

    def test_reads_what_an_earlier_release_wrote(self, transact: Callable[..., Any]) -> None:
        """And leaves it out: it was other training code."""
        added = (
            "padded_tokens step_count steps answer_tokens answering_seconds scoring_seconds free_bytes calibration "
            "validation_count recipe_version"
        ).split()
        body = json.loads(dump(RUN))
        old = json.dumps({key: value for key, value in body.items() if key not in added})
        values = {"base_model_digest": "sha256:0", "mode": "lora", "threads": 2, "body": old}

        def work(connection: Any) -> list[Usage]:
            connection.execute(insert(calibrations).values(**values))
            return calibration.list_usages(connection, "sha256:0", TrainingMode.LORA, 2)

        assert transact(work) == []

    def test_forgets_other_training_code(self, transact: Callable[..., Any]) -> None:
        """Which may be as fast as it likes: right after an update nothing is measured."""
        former = dataclasses.replace(RUN, recipe_version=RUN.recipe_version - 1)

        def work(connection: Any) -> list[list[Usage]]:
            listed = []
            for usage in (former, RUN, former):
                calibration.add_usage(connection, usage)
                listed.append(calibration.list_usages(connection, "sha256:0", TrainingMode.LORA, 2))
            return listed

        assert transact(work) == [[], [RUN], [RUN]]

    def test_forgets_another_device(self, transact: Callable[..., Any]) -> None:
        """What was measured before the machine got a GPU says nothing now."""

        def work(connection: Any) -> list[Usage]:
            for device in ("cpu", "H200", "H200"):
                calibration.add_usage(connection, run_with(device=device))
            return calibration.list_usages(connection, "sha256:0", TrainingMode.LORA, 2)

        assert [usage.device for usage in transact(work)] == ["H200", "H200"]

    def test_takes_it_from_a_runs_journal_once(self, stage: Stage) -> None:
        """As the child tells it at its end."""
        line = json.dumps({"type": "usage", **dataclasses.asdict(measured())})
        stage.act(f"printf '%s\\n' '{line}' >> \"$3/events.jsonl\"\n" + FINISH)

        stage.serve()

        kept = lambda c: calibration.list_usages(c, "sha256:0", TrainingMode.LORA, 2)  # noqa: E731
        assert asyncio.run(stage.database.run(kept)) == [measured()]
