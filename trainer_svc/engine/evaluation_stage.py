"""Evaluates a trained adapter: the states kept on the way, the published one, the base, and the revision that is live.

After the training and not during it: nothing is held beside the model that is trained, and no evaluation can change
what is learned. First what needs the weights is measured; then somebody answers the prompt sets, the engine that will
serve or transformers in its place; then the answers are scored.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.digest import sha256_bytes
from trainer_svc.domain.comparison import Comparison
from trainer_svc.domain.dataset import CheckedRow
from trainer_svc.domain.evaluation import AdapterEvaluation, CheckpointEvaluation, EvaluatedRow, ScoredAnswer
from trainer_svc.domain.forgetting import Forgetting
from trainer_svc.domain.row_score import Generated, RowScore
from trainer_svc.engine.evaluation_material import AdapterState, EvaluationMaterial, answers_of, free_answers_of
from trainer_svc.engine.export import serving
from trainer_svc.engine.forgetting import ForgettingGauge
from trainer_svc.engine.holdout import holdout_loss
from trainer_svc.engine.journal import Journal
from trainer_svc.engine.memo import Memo
from trainer_svc.engine.preparation import Prepared
from trainer_svc.engine.served import Server
from trainer_svc.engine.usage import Stopwatch
from trainer_svc.evaluation.comparison import compare_all, contrast
from trainer_svc.evaluation.score import score_rows
from trainer_svc.evaluation.summary import metrics_of

_SCORED_AT_ONCE = 8
"""Rows between two looks whether the run shall stop."""


@dataclass(frozen=True)
class _Scores:
    rows: tuple[RowScore, ...]


@dataclass(frozen=True)
class _Measured:
    """What needs the weights of a state."""

    holdout_loss: float
    forgetting: Forgetting


@dataclass(frozen=True)
class Evaluated:
    """What an evaluation found."""

    evaluation: AdapterEvaluation
    rows: tuple[EvaluatedRow, ...]
    """The holdout, the worst answers first."""


class EvaluationStage:
    """Evaluates the adapter in a run's folder; what was measured before a death is not measured again."""

    def __init__(
        self, ready: Prepared, material: EvaluationMaterial, memo: Memo, server: Server, gauge: ForgettingGauge,
        stopwatch: Stopwatch, journal: Journal,
    ) -> None:  # fmt: skip
        self._ready, self._material, self._memo, self._server = ready, material, memo, server
        self._gauge, self._stopwatch, self._journal = gauge, stopwatch, journal
        self._told: set[str] = set()

    def measure(self, model: Any) -> None:  # a PEFT model with the adapter to publish
        """Loss and forgetting of each state. Raises what the server's stop raises."""
        for state in self._material.states:
            self._server.stop_if_asked()
            if state.is_published:
                self._measure(state, model)
                continue
            with serving(model, state.folder, state.name):
                self._measure(state, model)

    def tell(self) -> None:
        """Scores the states whose answers are all there, and tells the journal of each once."""
        for state in self._material.states:
            is_new = state.name not in self._told
            if is_new and all(self._memo.has_answers(of(state.name)) for of in (answers_of, free_answers_of)):
                self._checkpoint(state)
                self._told.add(state.name)

    def conclude(self) -> Evaluated:
        """Scores the answers of all prompt sets. Raises what the server's stop raises."""
        ready, material = self._ready, self._material
        holdout, train = material.holdout, material.train
        checkpoints = tuple(self._checkpoint(state) for state in material.states)
        own, free = self._scored(answers_of("published"), holdout), self._scored(free_answers_of("published"), holdout)
        based = self._scored(answers_of("base"), holdout) if ready.spec.instruction_prompt else []
        bare = self._scored(answers_of("bare"), holdout)
        places, lived = self._live()
        known, scores = self._scored(answers_of("train"), train), [one.score for one in own]
        evaluation = AdapterEvaluation(
            checkpoints=checkpoints,
            train=metrics_of([one.score for one in known]),
            memorised=contrast([one.score for one in known], scores),
            against_chance=self._against_chance("published", holdout, own),
            trained_against_chance=self._against_chance("train", train, known),
            base=metrics_of([one.score for one in based]) if based else None,
            against_base=compare_all(scores, [one.score for one in based]) if based else (),
            bare_base=metrics_of([one.score for one in bare]),
            against_bare_base=compare_all(scores, [one.score for one in bare]),
            live_revision=ready.spec.live_revision,
            live=metrics_of([one.score for one in lived]) if lived else None,
            against_live=compare_all([scores[place] for place in places], [one.score for one in lived]),
        )
        return Evaluated(evaluation, _rows(holdout, own, free, based, dict(zip(places, lived, strict=True))))

    def _measure(self, state: AdapterState, model: Any) -> None:  # a PEFT model of that state
        def measure() -> _Measured:
            with self._stopwatch.scoring(len(state.rows)):
                loss = holdout_loss(model, self._ready.renderer, self._ready.base.max_positions, state.rows)
            with self._stopwatch.measuring_forgetting():
                return _Measured(loss, self._gauge.measure(model))

        self._memo.thing(_Measured, self._name_of_measured(state), measure)

    def _name_of_measured(self, state: AdapterState) -> str:
        return f"{state.name}.measured{self._gauge.mark}"

    def _checkpoint(self, state: AdapterState) -> CheckpointEvaluation:
        def evaluate() -> CheckpointEvaluation:
            measured = self._memo.kept(_Measured, self._name_of_measured(state))
            own, free = (self._scored(of(state.name), state.rows) for of in (answers_of, free_answers_of))
            found = CheckpointEvaluation(
                step=state.step,
                is_published=state.is_published,
                constrained=metrics_of([one.score for one in own]),
                unconstrained=metrics_of([one.score for one in free]),
                holdout_loss=measured.holdout_loss,
                forgetting=measured.forgetting,
            )
            self._journal.evaluated(found)
            return found

        return self._memo.thing(CheckpointEvaluation, f"{state.name}.evaluation{self._gauge.mark}", evaluate)

    def _live(self) -> tuple[Sequence[int], list[ScoredAnswer]]:
        """Places of the rows that the live revision was asked, and its answers to them; none where it was not."""
        live, places = self._material.live, self._material.live_places
        if live is None:
            return (), []
        return places, self._scored(answers_of(live.name), [self._material.holdout[place] for place in places])

    def _scored(self, name: str, rows: Sequence[CheckedRow]) -> list[ScoredAnswer]:
        read = [self._server.read(answer) for answer in self._memo.answers(name)]
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
