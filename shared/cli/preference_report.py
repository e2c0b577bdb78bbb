"""A preference study as a terminal shows it."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from goldsmith.trainer.v1 import evaluation_pb2
from goldsmith.trainer.v1 import preference_pb2 as pb
from shared.cli.visible import visible


def show_study(console: Console, study: pb.PreferenceStudy) -> None:
    """Revisions, rows, how far reviewers are, and the result of a closed one; all text goes through `visible`."""
    facts = _facts()
    facts.add_row("study", Text(visible(study.name)))
    facts.add_row("a", Text(visible(study.revision_a)))
    facts.add_row("b", Text(visible(study.revision_b)))
    rows = f"{study.common_row_count:,} that both answered, {study.equal_row_count:,} of them alike"
    facts.add_row("rows", rows)
    facts.add_row("pairs", f"{study.judged_pair_count:,} of {study.pair_count:,} judged")
    facts.add_row("state", "closed" if study.HasField("close_time") else "takes verdicts; the result comes when closed")
    console.print(facts)
    if study.HasField("result"):
        _show_result(console, study.result)
    elif study.reviewers:
        table = _table("reviewer", "verdicts")
        for one in study.reviewers:
            table.add_row(Text(visible(one.reviewer)), f"{one.verdict_count:,}")
        console.print(table)


def _show_result(console: Console, result: pb.PreferenceResult) -> None:
    facts = _facts()
    pairs = f"{result.preferred_a_count:,} for a, {result.preferred_b_count:,} for b, {result.tied_count:,} tied"
    facts.add_row("preferred", pairs)
    facts.add_row("b over a", f"{result.preference_rate:.1%}, a tie counting half")
    low, high = result.decided_rate.low, result.decided_rate.high
    facts.add_row("without ties", f"{result.decided_rate.value:.1%} [{low:.1%}, {high:.1%}], p = {result.p_value:.3g}")
    facts.add_row("verdict", f"b is {_verdict(result.verdict)}")
    if result.HasField("agreement"):
        agreement = result.agreement
        kappa = f"{agreement.kappa:.2f}" if agreement.HasField("kappa") else "undefined, all verdicts are the same"
        same = f"{agreement.observed:.1%} on {agreement.pair_count:,} pairs with several verdicts"
        facts.add_row("agreement", f"{same}, Fleiss' kappa {kappa}")
    console.print(facts)
    table = _table("reviewer", "for a", "for b", "equal", "both bad")
    for one in result.reviewers:
        counts = (one.preferred_a_count, one.preferred_b_count, one.equal_count, one.both_bad_count)
        table.add_row(Text(visible(one.reviewer)), *(f"{count:,}" for count in counts))
    if table.row_count:
        console.print(table)


def _verdict(value: int) -> str:
    # A newer server may have more of them.
    names: dict[int, str] = {number: name for name, number in evaluation_pb2.ComparisonVerdict.items()}
    return names.get(value, str(value)).removeprefix("COMPARISON_VERDICT_").lower()


def _facts() -> Table:
    facts = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(overflow="fold")
    return facts


def _table(first: str, *others: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, overflow="fold")
    for column in others:
        table.add_column(column, justify="right")
    return table
