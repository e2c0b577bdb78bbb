"""One run from rows to package: prepare, train, evaluate, publish. Each step is skipped when its result is on disk."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch

from shared.adapter.manifest import Canary
from shared.files import write_atomic
from trainer_svc.domain.run import (
    Cancelled,
    Initialization,
    Phase,
    RunFolder,
    RunSpec,
)
from trainer_svc.domain.run_result import RunResult
from trainer_svc.engine.answering_stage import answer_prompt_sets
from trainer_svc.engine.canary import pick_canaries
from trainer_svc.engine.evaluation_material import EvaluationMaterial
from trainer_svc.engine.evaluation_stage import EvaluationStage
from trainer_svc.engine.forgetting import ForgettingGauge
from trainer_svc.engine.journal import Journal
from trainer_svc.engine.memo import Memo
from trainer_svc.engine.packaging import draft_manifest, pack, summary_of
from trainer_svc.engine.preparation import Prepared, prepare
from trainer_svc.engine.provenance import provenance
from trainer_svc.engine.recipe import keep_to_answerer, keep_to_recipe
from trainer_svc.engine.served import Server
from trainer_svc.engine.training_stage import train
from trainer_svc.engine.usage import Stopwatch
from trainer_svc.store.codec import dump


def run(spec: RunSpec, folder: RunFolder, journal: Journal, is_cancelled: Callable[[], bool]) -> RunResult:
    """Runs to the end, or from where an earlier attempt was killed.

    Raises:
        DomainError: the dataset or the settings do not allow it.
        Cancelled: asked to stop.
    """
    torch.set_num_threads(spec.threads)
    stopwatch = Stopwatch()
    journal.phase(Phase.PREPARING)
    ready = prepare(spec, folder, journal)
    keep_to_recipe(folder, ready.base, ready.renderer, spec.processes)
    if folder.result.is_file():
        return RunResult.from_json(folder.result.read_bytes())
    made_of = provenance(ready)  # now: an update may replace sources while this run, which has read them, trains

    def stop_if_cancelled() -> None:
        if is_cancelled():
            raise Cancelled

    stop_if_cancelled()
    if not folder.adapter.is_dir():
        journal.phase(Phase.TRAINING)
        train(ready, folder, journal, is_cancelled, stopwatch)
    server = Server.of_run(ready, stop_if_cancelled)
    result = _publish(ready, folder, server, made_of, stopwatch, journal)
    # How long EVA looks at the rows says nothing of other runs, nor do several processes of one.
    is_typical = ready.plan.initialization is not Initialization.EVA and spec.processes == 1
    if stopwatch.gauge.has_measured and is_typical:
        journal.usage(stopwatch.usage(ready, trained_tokens=_trained_tokens(ready, stopwatch)))
    return result


def _trained_tokens(ready: Prepared, stopwatch: Stopwatch) -> int:
    """Of the steps that were taken, which early stopping may have ended."""
    tokens = sum(len(example.input_ids) for example in ready.examples) * ready.plan.epoch_count
    return tokens * len(stopwatch.gauge.steps) // ready.plan.step_count


def _publish(
    ready: Prepared, folder: RunFolder, server: Server, made_of: dict[str, str | int], stopwatch: Stopwatch,
    journal: Journal,
) -> RunResult:  # fmt: skip
    journal.phase(Phase.EVALUATING)
    draft = draft_manifest(ready, folder, made_of)
    keep_to_answerer(folder, ready.spec)
    material = EvaluationMaterial(ready, folder)
    gauge = ForgettingGauge(server, ready.benchmarks)
    stage = EvaluationStage(ready, material, Memo(folder.evaluations), server, gauge, stopwatch, journal)
    draft = dataclasses.replace(draft, canaries=_measure(material, stage, server))

    def look() -> None:
        server.stop_if_asked()
        stage.tell()

    answer_prompt_sets(ready, folder, server, draft, material.prompt_sets(), stopwatch, look)
    evaluated = stage.conclude()
    journal.phase(Phase.PUBLISHING)
    summary = summary_of(ready, evaluated.evaluation)
    manifest = pack(ready, folder, draft, evaluated.evaluation, summary)
    write_atomic(folder.evaluation, dump(evaluated.evaluation).encode())
    write_atomic(folder.evaluated_rows, b"".join(dump(row).encode() + b"\n" for row in evaluated.rows))
    result = RunResult(manifest.digest, summary, evaluated.evaluation.evidence)
    write_atomic(folder.result, result.to_json())
    return result


def _measure(material: EvaluationMaterial, stage: EvaluationStage, server: Server) -> tuple[Canary, ...]:
    """What needs the model itself, which is let go of in the end."""
    served = server.load(material.published.folder)
    stage.measure(served)
    return pick_canaries(served, server, [server.renderer.prompt_ids(row.input) for row in material.holdout])
