"""How usage and savings look on a screen."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from goldsmith.trainer.v1 import economics_pb2
from shared.cli.visible import visible

_UNKNOWN = "not known"
_BASE = "(base model)"
_MILLITOKENS = 1000


def show_savings(console: Console, found: economics_pb2.Savings) -> None:
    """The balance, then how each figure comes about."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _facts(found):
        table.add_row(name, Text(visible(value)))
    console.print(table)
    for line in (*found.formula, *found.unknown_reasons):
        console.print(Text(visible(line)), soft_wrap=True)


def _facts(found: economics_pb2.Savings) -> Iterable[tuple[str, str]]:
    counts, even = found.counts, found.break_even
    yield "adapter", found.revision or found.name
    if found.what_if:
        yield "prices", "not the operator's: what if"
    yield "requests", f"{counts.answered_request_count:,} answered, {counts.failed_request_count:,} failed"
    yield "tokens", f"{counts.prompt_token_count:,} in, {counts.output_token_count:,} out"
    saved = counts.saved_output_millitoken_count / _MILLITOKENS
    yield "tokens saved", f"{counts.saved_instruction_token_count:,} of instructions, {saved:,.3f} of output"
    for name in ("saving", "training_cost", "labelling_cost", "net"):
        amount = f"{getattr(found, name)} {found.currency}".rstrip() if found.HasField(name) else _UNKNOWN
        yield name.replace("_", " "), amount
    if not even.HasField("request_count"):
        yield "break-even", f"none: {even.unknown_reason}"
        return
    yield "break-even", f"{even.request_count:,} requests"
    days = f"{even.day_count:,} days from now" if even.HasField("day_count") else f"none: {even.days_unknown_reason}"
    yield "", f"{days} ({even.time.ToDatetime():%Y-%m-%d})" if even.HasField("time") else days


def show_usage(console: Console, records: Iterable[economics_pb2.UsageRecord]) -> None:
    """One line for each time and revision."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("from (UTC)", no_wrap=True)
    table.add_column("revision", overflow="fold")
    for column in ("answered", "failed", "prompt", "cached", "output", "saved", "seconds each"):
        table.add_column(column, justify="right")
    for record in records:
        counts = record.counts
        requests = counts.answered_request_count + counts.failed_request_count
        mean = counts.latency.ToMicroseconds() / 1e6 / requests if requests else 0.0
        numbers = (
            counts.answered_request_count, counts.failed_request_count, counts.prompt_token_count,
            counts.cached_prompt_token_count, counts.output_token_count, counts.saved_instruction_token_count,
        )  # fmt: skip
        table.add_row(
            f"{record.start_time.ToDatetime():%Y-%m-%d %H:%M}",
            Text(visible(record.revision or _BASE)),
            *(f"{number:,}" for number in numbers),
            f"{mean:.3f}",
        )
    console.print(table)
