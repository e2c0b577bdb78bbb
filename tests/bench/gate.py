"""Faults planted in real golden datasets: how many the gate finds, and how much of what it tells is true.

`python -m tests.bench gate`; about two minutes. What it tells of rows in which nothing was planted is judged too, by
measures that are not its own: see `gate_repetition` and `gate_personal`. Precision is that of the worst set; all sets
together are the figures that end in `_pooled`.
"""

from __future__ import annotations

import sys
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from shared.base_model import BaseModel
from shared.prompt import PromptRenderer
from tests.bench.contract import BASE
from tests.bench.gate_fault import EACH, Planted, plant
from tests.bench.gate_judge import DUPLICATE, PERSONAL, is_found, judged
from tests.bench.gate_set import DATA, GoldenSet, golden_sets, mixture, upload
from tests.bench.result import Figures, report
from trainer_svc.curation.check import check_rows
from trainer_svc.curation.compiled_example import ExampleCompiler
from trainer_svc.curation.token_gauge import TokenGauge
from trainer_svc.domain.dataset import Finding, InvalidRowPolicy

_SEED = 20_261_122


@dataclass
class _Score:
    """Of one set."""

    recall: dict[str, float]
    claims: Counter[tuple[str, bool]] = field(default_factory=Counter)
    """By kind, and whether they are true."""

    def judged(self, kind: str) -> int:
        """Claims of a kind."""
        return self.claims[kind, True] + self.claims[kind, False]

    def precision(self, kind: str) -> float:
        """Share of them that are true."""
        return self.claims[kind, True] / self.judged(kind)


def measure(data: Path = DATA) -> Figures:
    """Recall by fault, precision of duplicates and personal data, each in the worst set, and seconds for 5,000 rows."""
    gauge = _gauge()
    scores = {golden.name: _score(golden, gauge) for golden in golden_sets(data)}
    _show(scores)
    figures: Figures = {
        f"gate_recall_{fault.lower().replace('-', '_')}": min(score.recall[fault] for score in scores.values())
        for fault in sorted({fault for score in scores.values() for fault in score.recall})
    }
    figures["gate_recall_min"] = min(share for score in scores.values() for share in score.recall.values())
    for kind in (DUPLICATE, PERSONAL):
        figures |= _precision(kind, scores)
    return figures | {"report_5000_seconds": _seconds(mixture(data), gauge)}


def _precision(kind: str, scores: dict[str, _Score]) -> Figures:
    worst = min(scores, key=lambda name: scores[name].precision(kind))
    claims = sum((score.claims for score in scores.values()), Counter[tuple[str, bool]]())
    pooled = _Score({}, claims)
    return {
        f"gate_precision_{kind}": scores[worst].precision(kind),
        f"gate_precision_{kind}_worst_set": worst,
        f"gate_precision_{kind}_pooled": pooled.precision(kind),
        f"gate_judged_{kind}_least": min(score.judged(kind) for score in scores.values()),
        f"gate_judged_{kind}_pooled": pooled.judged(kind),
    }


def _score(golden: GoldenSet, gauge: TokenGauge) -> _Score:
    """Checks a set with its faults; what was missed and what is untrue goes to standard error."""
    rows, planted = plant(golden, _SEED)
    findings = check_rows(upload(rows), golden.spec, InvalidRowPolicy.EXCLUDE, gauge=gauge).findings
    told: defaultdict[int, list[Finding]] = defaultdict(list)
    for finding in findings:
        told[finding.row_number].append(finding)

    def is_missed(one: Planted) -> bool:
        return not any(is_found(one, finding, rows[one.row - 1], golden.spec) for finding in told[one.row])

    missed = [one for one in planted if is_missed(one)]
    for one in missed:
        sys.stderr.write(f"missed {golden.name}: {one} {rows[one.row - 1].line[:300]}\n")
    misses = Counter(one.fault for one in missed)
    score = _Score({fault: 1 - misses[fault] / EACH for fault in dict.fromkeys(one.fault for one in planted)})
    for claim in judged(rows, golden.spec, planted, findings):
        score.claims[claim.kind, claim.is_true] += 1
        if not claim.is_true:
            finding = claim.finding
            line = f"row {finding.row_number} {finding.message}: {rows[finding.row_number - 1].line[:300]}"
            sys.stderr.write(f"untrue {golden.name}: {claim.claim!r} {line}\n")
    return score


def _gauge() -> TokenGauge:
    """That of the shipped base model: rows are measured in tokens, and proved, as the service does."""
    base = BaseModel.load(BASE)
    return TokenGauge(ExampleCompiler(PromptRenderer.load(base), base.max_positions))


def _seconds(golden: GoldenSet, gauge: TokenGauge) -> float:
    """Of a whole check; the median of three."""
    data, times = upload(list(golden.rows)), []
    for _ in range(3):
        begin = time.perf_counter()
        checked = check_rows(data, golden.spec, InvalidRowPolicy.EXCLUDE, gauge=gauge)
        times.append(time.perf_counter() - begin)
        assert checked.report.row_count == len(golden.rows)
        assert checked.report.token_lengths is not None, "rows were not measured in tokens"
    return sorted(times)[1]


def _show(scores: dict[str, _Score]) -> None:
    faults = list(next(iter(scores.values())).recall)
    table = Table("", *faults, "duplicates", "personal", title=f"found of {EACH} planted; true of what was told")
    for name, score in scores.items():
        recall = (f"{score.recall[fault]:.2f}" for fault in faults)
        precision = (f"{score.precision(kind):.3f} of {score.judged(kind)}" for kind in (DUPLICATE, PERSONAL))
        table.add_row(name, *recall, *precision)
    Console(width=180).print(table)


def main() -> None:
    """Prints the table and the figures; build/bench/gate.json has the latter."""
    if not DATA.is_dir():
        sys.exit(f"no real golden datasets in {DATA}: set GOLDSMITH_DATA")
    report("gate", measure())


if __name__ == "__main__":
    main()
