"""Faults planted in real golden datasets: how many the gate finds, and how much of what it tells is true.

`python -m tests.bench gate`; about a minute or two. What it tells of rows in which nothing was planted is judged too: a
duplicate by equality, a near one by rapidfuzz's ratio, personal data by `gate_personal.is_personal`.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from rapidfuzz import fuzz
from rich.console import Console
from rich.table import Table

from tests.bench.gate_fault import EACH, Planted, plant
from tests.bench.gate_personal import is_personal
from tests.bench.gate_set import DATA, GoldenSet, Row, golden_sets, mixture, upload
from tests.bench.result import Figures, report
from trainer_svc.curation.check import check_rows
from trainer_svc.domain.dataset import Finding, InvalidRowPolicy

_SEED = 20_261_122
_ALIKE = 90.0
"""Of 100 by rapidfuzz, without punctuation: what a near duplicate is said to be."""
Tally = Counter[tuple[str, bool]]


def measure(data: Path = DATA) -> Figures:
    """Recall by fault, precision of duplicates and personal data over all sets, and seconds for 5,000 rows."""
    found: dict[tuple[str, str], float] = {}
    tally: Tally = Counter()
    for golden in golden_sets(data):
        for fault, share in _measure_set(golden, tally).items():
            found[golden.name, fault] = share
    _show(found)
    faults = {fault for _, fault in found}
    figures: Figures = {
        f"gate_recall_{fault.lower().replace('-', '_')}": min(
            share for (_, own), share in found.items() if own == fault
        )
        for fault in sorted(faults)
    }
    figures["gate_recall_min"] = min(found.values())
    for key, kind in (("duplicates", "duplicate"), ("pii", "personal")):
        judged = tally[kind, True] + tally[kind, False]
        figures[f"gate_precision_{key}"] = tally[kind, True] / judged
        figures[f"gate_judged_{key}"] = judged
    return figures | {"report_5000_seconds": _seconds(mixture(data))}


def _measure_set(golden: GoldenSet, tally: Tally) -> dict[str, float]:
    """Recall by fault; adds what was true and false of a set to the tally."""
    rows, planted = plant(golden, _SEED)
    findings = check_rows(upload(rows), golden.spec, InvalidRowPolicy.EXCLUDE).findings
    told: defaultdict[int, list[Finding]] = defaultdict(list)
    for finding in findings:
        told[finding.row_number].append(finding)
    missed = [one for one in planted if not any(_is_of(one, finding) for finding in told[one.row])]
    for one in missed:
        sys.stderr.write(f"missed {golden.name}: {one} {rows[one.row - 1].line[:300]}\n")
    for kind, is_true, finding in _judged(rows, planted, findings):
        tally[kind, is_true] += 1
        if not is_true:
            sys.stderr.write(f"untrue {golden.name}: {finding} {rows[finding.row_number - 1].line[:300]}\n")
    misses = Counter(one.fault for one in missed)
    return {fault: 1 - misses[fault] / EACH for fault in Counter(one.fault for one in planted)}


def _is_of(one: Planted, finding: Finding) -> bool:
    place = finding.path.partition(".")[2]
    return finding.reason in one.reasons and one.words in finding.message and place.startswith(one.path)


def _judged(
    rows: list[Row], planted: list[Planted], findings: Iterable[Finding]
) -> Iterator[tuple[str, bool, Finding]]:
    """Whether each duplicate and each piece of personal data that was told is one."""
    own = {(one.row, one.words) for one in planted if one.words}
    for finding in findings:
        row = rows[finding.row_number - 1]
        if finding.reason in ("ROW_DUPLICATED", "ROW_NEARLY_DUPLICATED"):
            others = [rows[int(number) - 1] for number in _numbers(finding.message)]
            is_same = _is_equal if finding.reason == "ROW_DUPLICATED" else _is_alike
            yield "duplicate", any(is_same(row, other) for other in others), finding
        elif finding.reason == "PERSONAL_DATA":
            kind, _, places = finding.message.removeprefix("holds ").partition(": characters ")
            text = _text_at(row, finding.path)
            for begin, end in re.findall(r"(\d+)-(\d+)", places):
                is_planted = any(finding.row_number == number and words == kind for number, words in own)
                yield "personal", is_planted or is_personal(kind, text, int(begin), int(end)), finding


def _numbers(message: str) -> list[str]:
    """Rows that a message names."""
    named = re.search(r"rows? (\d[\d, ]*)", message)
    return re.findall(r"\d+", named[1]) if named else []


def _output(row: Row) -> object:
    try:
        return json.loads(row.output)
    except ValueError:
        return " ".join(row.output.casefold().split())


def _is_equal(row: Row, other: Row) -> bool:
    texts = [" ".join(one.input.casefold().split()) for one in (row, other)]
    return texts[0] == texts[1] and _output(row) == _output(other)


def _is_alike(row: Row, other: Row) -> bool:
    texts = [" ".join(re.findall(r"\w+", one.input.casefold())) for one in (row, other)]
    words = [sorted(text.split()) for text in texts]
    is_near = words[0] == words[1] or fuzz.ratio(*texts) >= _ALIKE
    return is_near and _output(row) == _output(other)


def _text_at(row: Row, path: str) -> str:
    """What a finding's path points to."""
    field, _, pointer = path.partition(".")[2].partition("#")
    if field == "input" or not pointer:
        return row.input if field == "input" else row.output
    value = json.loads(row.output)
    for part in pointer.split("/")[1:]:
        value = value[int(part)] if isinstance(value, list) else value[part.replace("~1", "/").replace("~0", "~")]
    return str(value)


def _seconds(golden: GoldenSet) -> float:
    """Of a whole check; the median of three."""
    data, times = upload(list(golden.rows)), []
    for _ in range(3):
        begin = time.perf_counter()
        checked = check_rows(data, golden.spec, InvalidRowPolicy.EXCLUDE)
        times.append(time.perf_counter() - begin)
        assert checked.report.row_count == len(golden.rows)
    return sorted(times)[1]


def _show(found: dict[tuple[str, str], float]) -> None:
    faults = list(dict.fromkeys(fault for _, fault in found))
    table = Table("", *faults, title=f"found of {EACH} planted")
    for name in dict.fromkeys(name for name, _ in found):
        table.add_row(name, *(f"{found[name, fault]:.2f}" for fault in faults))
    Console(width=140).print(table)


def main() -> None:
    """Prints the table and the figures; build/bench/gate.json has the latter."""
    if not DATA.is_dir():
        sys.exit(f"no real golden datasets in {DATA}: set GOLDSMITH_DATA")
    report("gate", measure())


if __name__ == "__main__":
    main()
