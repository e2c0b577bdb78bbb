"""The run folder: what the service and its child process tell each other through files."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from tests.unit.trainer_svc.evidence_sample import sound
from trainer_svc.domain.job import Progress
from trainer_svc.domain.run import (
    Initialization,
    Phase,
    Preset,
    RunSpec,
    ServedType,
    TrainingMode,
)
from trainer_svc.domain.run_result import Evaluation, RunResult
from trainer_svc.engine.journal import Journal


class TestRunFiles:
    """Records that are written by one process and read by the other."""

    @pytest.mark.parametrize("mode", list(TrainingMode))
    def test_a_spec_survives_its_file(self, mode: TrainingMode) -> None:
        """Open settings stay open, text of any language stays as it is."""
        spec = RunSpec(
            job="tenants/a/jobs/b",
            base_model_dir="/base",
            contract_name="tenants/a/contracts/c",
            contract="{}",
            contract_cache_dir="/cache",
            dataset_digest="sha256:0",
            mode=mode,
            learning_rate=1e-3,
            use_rslora=True,
            initialization=Initialization.EVA,
            preset=Preset.FAST,
            early_stopping_patience=0,
            served_type=ServedType.FLOAT32,
            instruction_prompt='Réponds "oui"\n日本語',
        )

        assert RunSpec.from_json(spec.to_json()) == spec

    @pytest.mark.parametrize("execution", [None, 0.5])
    def test_a_result_survives_its_file(self, execution: float | None) -> None:
        """An execution match that was not measured is not a zero."""
        result = RunResult("sha256:1", Evaluation(9, 0.5, 0.75, execution, 1000.0, 20.5, 0.25))

        assert RunResult.from_json(result.to_json()) == result

    def test_evidence_survives_its_file(self) -> None:
        """To the last bit; a result of a release that knew none has none."""
        result = RunResult("sha256:0", Evaluation(5, 0.5, 0.6, None, 100.0, 10.0, 0.1), sound("r"))
        old = json.loads(result.to_json())
        del old["evidence"]

        assert RunResult.from_json(result.to_json()) == result
        assert RunResult.from_json(json.dumps(old).encode()).evidence is None


class TestJournal:
    """Events that a run appends while it goes."""

    def test_a_line_torn_by_a_crash_stays_alone(self, tmp_path: Path) -> None:
        """The next attempt ends it first, so that its own events are whole lines."""
        path = tmp_path / "events.jsonl"
        path.write_bytes(b'{"type":"phase","phase":"training"}\n{"type":"progr')

        with closing(Journal(path)) as journal:
            journal.phase(Phase.PREPARING)

        lines = path.read_bytes().split(b"\n")
        assert lines[1] == b'{"type":"progr'
        assert json.loads(lines[2]) == {"type": "phase", "phase": "preparing"}
        assert lines[3] == b""

    def test_each_event_is_on_disk_when_it_is_told(self, tmp_path: Path) -> None:
        """A reader beside the run sees whole lines at once."""
        path = tmp_path / "events.jsonl"
        with closing(Journal(path)) as journal:
            journal.progress(Progress(5, 10, 0.5, 1.0, 1 << 20))
            journal.checkpoint(5)
            kinds = [json.loads(line)["type"] for line in path.read_text().splitlines()]

        assert kinds == ["progress", "checkpoint"]
