"""Evaluates a trained adapter: the states kept on the way, the published one, the base, and the revision that is live.

After the training and not during it: nothing is held beside the model that is trained, and no evaluation can change
what is learned.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.digest import sha256_bytes
from trainer_svc.domain.comparison import Comparison
from trainer_svc.domain.dataset import CheckedRow
from trainer_svc.domain.evaluation import (
    MAX_CHECKPOINT_ROWS,
    MAX_HOLDOUT_ROWS,
    MAX_TRAIN_ROWS,
    AdapterEvaluation,
    CheckpointEvaluation,
    EvaluatedRow,
    ScoredAnswer,
)
from trainer_svc.domain.row_score import Generated, RowScore
from trainer_svc.domain.run import RunFolder
from trainer_svc.engine.export import serving
from trainer_svc.engine.forgetting import ForgettingGauge
from trainer_svc.engine.generation import DEFAULT_OUTPUT_TOKENS
from trainer_svc.engine.holdout import holdout_loss
from trainer_svc.engine.journal import Journal
from trainer_svc.engine.live import live_revision
from trainer_svc.engine.memo import Memo
from trainer_svc.engine.preparation import Prepared
from trainer_svc.engine.served import Server
from trainer_svc.engine.usage import Stopwatch
from trainer_svc.engine.validation import record_of
from trainer_svc.evaluation.comparison import compare_all, contrast
from trainer_svc.evaluation.score import score_rows
from trainer_svc.evaluation.summary import metrics_of

_SCORED_AT_ONCE = 8
"""Rows between two looks whether the run shall stop."""


@dataclass(frozen=True)
class _Scores:
    rows: tuple[RowScore, ...]


@dataclass(frozen=True)
class Evaluated:
    """What an evaluation found, with what the manifest's canaries are chosen from."""

    evaluation: AdapterEvaluation
    rows: tuple[EvaluatedRow, ...]
    """The holdout, the worst answers first."""
    prompts: list[list[int]]
    answers: list[list[int]]
    """Of the published adapter under the contract, as token ids."""


class EvaluationStage:
    """Evaluates the adapter in a run's folder; what was measured before a death is not measured again."""

    def __init__(
        self, ready: Prepared, folder: RunFolder, server: Server, gauge: ForgettingGauge, stopwatch: Stopwatch,
        journal: Journal,
    ) -> None:  # fmt: skip
        self._ready, self._folder, self._server, self._gauge = ready, folder, server, gauge
        self._stopwatch, self._journal, self._memo = stopwatch, journal, Memo(folder.evaluations)
        self._holdout = _sample(ready.holdout, MAX_HOLDOUT_ROWS)

    def run(self, model: Any) -> Evaluated:  # a PEFT model with the adapter to publish
        """Measures everything. Raises what the server's stop raises."""
        ready, holdout = self._ready, self._holdout
        prompts = [ready.renderer.prompt_ids(row.input) for row in holdout]
        published = self._published_step()
        answers = self._answers(model, "published", prompts)
        own, free = self._scored("published", holdout, answers), self._free(model, "published", holdout)
        checkpoints = [*self._on_the_way(model, published), self._checkpoint(model, published, holdout, own, free)]
        places, lived = self._live(model, prompts)
        based = self._base(model)
        train = _sample(ready.train, MAX_TRAIN_ROWS)
        asked = [ready.renderer.prompt_ids(row.input) for row in train]
        known = self._scored("train", train, self._answers(model, "train", asked))
        scores = [one.score for one in own]
        evaluation = AdapterEvaluation(
            checkpoints=tuple(sorted(checkpoints, key=lambda checkpoint: checkpoint.step)),
            train=metrics_of([one.score for one in known]),
            memorised=contrast([one.score for one in known], scores),
            against_chance=self._against_chance("published", holdout, own),
            trained_against_chance=self._against_chance("train", train, known),
            base=metrics_of([one.score for one in based]) if based else None,
            against_base=compare_all(scores, [one.score for one in based]) if based else (),
            live_revision=ready.spec.live_revision,
            live=metrics_of([one.score for one in lived]) if lived else None,
            against_live=compare_all([scores[place] for place in places], [one.score for one in lived]),
        )
        rows = _rows(holdout, own, free, based, dict(zip(places, lived, strict=True)))
        return Evaluated(evaluation, rows, prompts, answers)

    def _published_step(self) -> int:
        """The step of the adapter that is published: the last one, unless validations chose another."""
        return int(record_of(self._folder.adapter).get("best_step", self._ready.plan.step_count))

    def _on_the_way(self, model: Any, published: int) -> Iterator[CheckpointEvaluation]:
        rows = _sample(self._holdout, MAX_CHECKPOINT_ROWS)
        prompts = [self._ready.renderer.prompt_ids(row.input) for row in rows]
        for step in self._ready.plan.milestone_steps:
            place = self._folder.milestone(step)
            if step == published or not place.is_dir():  # a run that stopped early never came there
                continue
            name = f"step-{step}"
            with serving(model, place, name):
                own = self._scored(name, rows, self._answers(model, name, prompts))
                yield self._checkpoint(model, step, rows, own, self._free(model, name, rows), name)

    def _checkpoint(
        self, model: Any, step: int, rows: Sequence[CheckedRow], own: list[ScoredAnswer], free: list[ScoredAnswer],
        name: str = "published",
    ) -> CheckpointEvaluation:  # fmt: skip
        def measure() -> CheckpointEvaluation:
            with self._stopwatch.scoring(len(rows)):
                loss = holdout_loss(model, self._ready.renderer, self._ready.base.max_positions, rows)
            with self._stopwatch.measuring_forgetting():
                forgetting = self._gauge.measure(model)
            found = CheckpointEvaluation(
                step=step,
                is_published=name == "published",
                constrained=metrics_of([one.score for one in own]),
                unconstrained=metrics_of([one.score for one in free]),
                holdout_loss=loss,
                forgetting=forgetting,
            )
            self._journal.evaluated(found)
            return found

        return self._memo.thing(CheckpointEvaluation, f"{name}.evaluation{self._gauge.mark}", measure)

    def _base(self, model: Any) -> list[ScoredAnswer]:
        """Of the base with the instruction prompt; nothing where there is none."""
        instructions, rows = self._ready.spec.instruction_prompt, self._holdout
        if not instructions:
            return []
        prompts = [self._ready.renderer.prompt_ids(row.input, instructions) for row in rows]
        # A small base goes on for as long as it may. What it saves to be short is not counted as saved.
        limit = self._limit(rows)
        with model.disable_adapter():
            return self._scored("base", rows, self._answers(model, "base", prompts, limit))

    def _live(self, model: Any, prompts: list[list[int]]) -> tuple[list[int], list[ScoredAnswer]]:
        """Places of the held-out rows that the revision that serves now was not trained on, and its answers to them.

        None where it cannot answer these rows.
        """
        live = live_revision(self._ready, self._folder)
        if live is None:
            return [], []
        rows = self._holdout
        places = [place for place, row in enumerate(rows) if (row.input, row.output) not in live.known]
        name = f"live-{live.digest}"
        with serving(model, live.folder, "live"):
            answers = self._answers(model, name, [prompts[place] for place in places])
        return places, self._scored(name, [rows[place] for place in places], answers)

    def _answers(
        self, model: Any, name: str, prompts: Sequence[Sequence[int]], limit: int | None = None
    ) -> list[list[int]]:
        """Under the contract; as long as a caller who asks for nothing may have it, or the golden ones are."""
        most = limit or max(DEFAULT_OUTPUT_TOKENS, self._longest(self._holdout) + 1)
        generate = lambda: self._stopwatch.answered(lambda: self._server.answer(model, prompts, most))  # noqa: E731
        return self._memo.tokens(f"{name}.answers", generate)

    def _longest(self, rows: Sequence[CheckedRow]) -> int:
        """Of the golden answers, in tokens."""
        return max(len(self._ready.renderer.completion_ids(row.output)) for row in rows)

    def _limit(self, rows: Sequence[CheckedRow]) -> int:
        """Twice the longest golden answer in tokens: room for what is wrong, and soon told from what has no end."""
        longest = self._longest(rows)
        return longest + min(longest, DEFAULT_OUTPUT_TOKENS)

    def _free(self, model: Any, name: str, rows: Sequence[CheckedRow]) -> list[ScoredAnswer]:
        """Without it."""
        limit, prompts = self._limit(rows), [self._ready.renderer.prompt_ids(row.input) for row in rows]
        generate = lambda: self._stopwatch.answered(  # noqa: E731
            lambda: self._server.answer_freely(model, prompts, limit)
        )
        return self._scored(f"{name}.free", rows, self._memo.tokens(f"{name}.free", generate))

    def _scored(self, name: str, rows: Sequence[CheckedRow], answers: Sequence[Sequence[int]]) -> list[ScoredAnswer]:
        read = [self._server.read(answer) for answer in answers]
        scores = self._scores(name, rows, read)
        return [ScoredAnswer(answer.text, score) for answer, score in zip(read, scores, strict=True)]

    def _scores(self, name: str, rows: Sequence[CheckedRow], answers: Sequence[Generated]) -> tuple[RowScore, ...]:
        """SQL runs on dozens of databases for each row: it is scored once, and may be stopped between rows."""
        contract, database = self._ready.contract, self._ready.spec.database_sql

        def score() -> _Scores:
            found: list[RowScore] = []
            for begin in range(0, len(rows), _SCORED_AT_ONCE):
                self._server.stop_if_asked()
                part = slice(begin, begin + _SCORED_AT_ONCE)
                golden = [row.output for row in rows[part]]
                found += score_rows(contract.spec, contract.check, golden, answers[part], database_sql=database)
            return _Scores(tuple(found))

        return self._memo.thing(_Scores, f"{name}.scores", score).rows

    def _against_chance(
        self, name: str, rows: Sequence[CheckedRow], own: Sequence[ScoredAnswer]
    ) -> tuple[Comparison, ...]:
        """Answers against the same ones dealt to other rows."""
        return compare_all([one.score for one in own], self._scores(f"{name}.dealt", rows, dealt(own)))


def _sample(rows: Sequence[CheckedRow], count: int) -> list[CheckedRow]:
    """Always the same of the same rows, in their order; neighbours in an upload are often alike."""
    places = sorted(random.Random(0).sample(range(len(rows)), min(count, len(rows))))
    return [rows[place] for place in places]


def dealt(answers: Sequence[ScoredAnswer]) -> list[Generated]:
    """The same answers for other rows than their own: which input each is for makes the only difference.

    The golden outputs of other rows would not do: whoever always says what is most frequent is better than those.
    """
    return [Generated(answers[place].text, 0, ended=True) for place in _others(len(answers))]


def _others(count: int) -> list[int]:
    """For each place another one, each once; its own only where there is no other."""
    places = list(range(count))
    random.Random(0).shuffle(places)
    after = dict(zip(places, [*places[1:], *places[:1]], strict=True))
    return [after[place] for place in range(count)]


def _rows(
    holdout: Sequence[CheckedRow], own: Sequence[ScoredAnswer], free: Sequence[ScoredAnswer],
    base: Sequence[ScoredAnswer], live: Mapping[int, ScoredAnswer],
) -> tuple[EvaluatedRow, ...]:  # fmt: skip
    found = (
        EvaluatedRow(
            row=row.row,
            key=sha256_bytes(f"{row.input}\x00{row.output}".encode(errors="surrogatepass")),
            input=row.input,
            golden=row.output,
            adapter=own[place],
            unconstrained=free[place],
            base=base[place] if base else None,
            live=live.get(place),
        )
        for place, row in enumerate(holdout)
    )
    return tuple(sorted(found, key=lambda row: row.badness, reverse=True))
