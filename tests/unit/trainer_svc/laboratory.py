"""A calibrator on an idle machine, with a child that does as it is told."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from shared.names import DatasetName
from tests.unit.trainer_svc.conftest import FINISH, NAME, Stage
from trainer_svc.app.calibrator import Calibrator, Wanted
from trainer_svc.app.run_files import RunFiles, RunnerSettings
from trainer_svc.app.runner import Runner
from trainer_svc.domain.estimate import Usage
from trainer_svc.domain.job import JobSpec, JobState
from trainer_svc.domain.pace import StepSums
from trainer_svc.domain.plan import plan_training
from trainer_svc.domain.recipe import RECIPE_VERSION
from trainer_svc.domain.run import TrainingMode
from trainer_svc.store import catalog, history

Result = TypeVar("Result")
USAGE = Usage(
    base_model_digest="", mode=TrainingMode.LORA, rank=16, threads=1, device="cpu", trained_tokens=1_000,
    batch_tokens=100, scored_count=5, startup_seconds=1.0, training_seconds=2.0, evaluation_seconds=3.0,
    peak_bytes=1 << 20, step_count=10, padded_tokens=1_000, steps=StepSums.of([(100, 0.2), (50, 0.1)]),
    recipe_version=RECIPE_VERSION,
)  # fmt: skip
COUNT = 'echo >> "$(dirname "$3")/children"; '
HANG = COUNT + "trap 'exit 5' TERM; while :; do sleep 0.05; done"


@dataclasses.dataclass
class Laboratory:
    """A stage whose job is paused, so that its machine is idle, and a calibrator on it."""

    stage: Stage

    def __post_init__(self) -> None:
        self.told = dataclasses.replace(USAGE, base_model_digest=self.stage.base.digest)
        line = json.dumps({"type": "usage", **dataclasses.asdict(self.told)})
        self.tell = f"{COUNT}printf '%s\\n' '{line}' >> \"$3/events.jsonl\"; exit 0"

    def act(self, script: str) -> None:
        """What a child does that shall calibrate; a training of the stage ends well."""
        self.stage.validation = f'if [ "$4" = --calibrate ]; then {script}; fi; exit 0'
        self.stage.act(FINISH)

    def live(self, life: Callable[[Calibrator, Runner], Coroutine[Any, Any, Result]]) -> Result:
        """One life of the service."""

        async def whole() -> Result:
            await self.stage.database.run(self._pause)
            runner = self.stage.runner()
            calibrator = self._calibrator(runner)
            await calibrator.begin()
            try:
                async with asyncio.timeout(30):
                    return await life(calibrator, runner)
            finally:
                await calibrator.stop()

        return asyncio.run(whole())

    async def wanted(self, batch_size: int = 8) -> Wanted:
        """The stage's dataset, in batches of so many rows."""
        name, spec = DatasetName("acme", "d"), JobSpec(batch_size=batch_size)
        dataset = await self.stage.database.run(lambda c: catalog.get_dataset(c, name))
        return Wanted(dataset, spec, plan_training(spec, train_count=90, hidden_size=16, model_type="llama"))

    async def measure(self, calibrator: Calibrator, batch_size: int = 8) -> Usage:
        """A call."""
        return await calibrator.measure(await self.wanted(batch_size))

    async def child(self, count: int = 1) -> None:
        """Returns when so many children have begun."""
        while self.children < count:  # noqa: ASYNC110  # the child says nothing else
            await asyncio.sleep(0.01)

    @property
    def children(self) -> int:
        """How many were started to calibrate."""
        path = self.stage.folder / "children"
        return len(path.read_bytes()) if path.exists() else 0

    @property
    def is_clean(self) -> bool:
        """Whether nothing is left on disk."""
        return not (self.stage.folder / "calibration").exists()

    @staticmethod
    def _pause(connection: Any) -> None:
        job = history.get_job(connection, NAME)
        history.save_job(connection, dataclasses.replace(job, state=JobState.PAUSED))

    def _calibrator(self, runner: Runner) -> Calibrator:
        stage = self.stage
        settings = RunnerSettings(stage.folder / "runs", stage.folder / "contracts", threads=1, parallel_jobs=1)
        return Calibrator(
            database=stage.database, files=RunFiles(stage.database, stage.blobs, stage.base, settings),
            machine=runner.machine, clock=stage.clock, base=stage.base, folder=stage.folder / "calibration", threads=1,
        )  # fmt: skip
