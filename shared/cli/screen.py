"""What commands show: compile reports, adapters and errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from goldsmith.contract.v1 import contract_pb2
from goldsmith.inference.v1 import inference_service_pb2
from shared.cli.visible import visible
from shared.contracts.report import CompileReport, EngineName, Guarantee, KeywordFate
from shared.errors import DomainError
from shared.rpc.contract_message import report_of, spec_of

_GUARANTEES = {
    Guarantee.CERTAIN: "complete and valid whenever max_output_tokens is at least the minimum",
    Guarantee.SOUND: "never invalid; a checked keyword that stays broken is an error in place of an answer",
    Guarantee.NONE: "UTF-8 within its length, and no more",
}
_ENGINES = {
    EngineName.OUTLINES: "a finite automaton over tokens",
    EngineName.LLGUIDANCE: "a grammar, with shortest completions for the token limit",
}
_STYLES = {KeywordFate.ENFORCED: "green", KeywordFate.CHECKED: "yellow", KeywordFate.ANNOTATION: "dim"}


def show_report(console: Console, report: CompileReport, *, kind: str, digest: str) -> None:
    """One contract: class, engine, sizes, then the fate of every keyword."""
    facts = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(overflow="fold")
    facts.add_row("kind", Text(visible(kind)))
    facts.add_row("guarantee", f"{report.guarantee}: {_GUARANTEES[report.guarantee]}")
    facts.add_row("engine", f"{report.engine}: {_ENGINES[report.engine]}")
    facts.add_row("states", f"{report.state_count:,}")
    typical = f"{report.typical_tokens:,}" if report.typical_tokens else "not measured"
    most = f"{report.max_tokens:,}" if report.max_tokens is not None else "no limit"
    facts.add_row("tokens", f"min {report.min_tokens:,} · typical {typical} · max {most}")
    counts = Counter(verdict.fate for verdict in report.verdicts)
    facts.add_row("keywords", ", ".join(f"{counts[fate]} {fate}" for fate in KeywordFate))
    facts.add_row("digest", Text(visible(digest)))
    console.print(facts)
    verdicts = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    verdicts.add_column("keyword", overflow="fold")
    verdicts.add_column("fate", no_wrap=True)
    verdicts.add_column("note", overflow="fold")
    for verdict in report.verdicts:
        # Pointers and notes quote a tenant's schema.
        fate = Text(verdict.fate, style=_STYLES[verdict.fate])
        verdicts.add_row(Text(visible(verdict.pointer) or "(root)"), fate, Text(visible(verdict.note)))
    console.print(verdicts)


def show_contracts(console: Console, contracts: Iterable[contract_pb2.OutputContract]) -> None:
    """Many contracts, one a line."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("contract", "kind", "guarantee", "engine", "states", "min tokens", "created"):
        table.add_column(column, justify="right" if column in ("states", "min tokens") else "left", overflow="fold")
    for contract in contracts:
        report = report_of(contract.report)
        table.add_row(
            Text(visible(contract.name)),
            spec_of(contract).kind,
            report.guarantee,
            report.engine,
            f"{report.state_count:,}",
            f"{report.min_tokens:,}",
            f"{contract.create_time.ToDatetime():%Y-%m-%d %H:%M} UTC",
        )
    console.print(table)


def show_adapters(console: Console, adapters: Iterable[inference_service_pb2.ResidentAdapter]) -> None:
    """The adapters of a replica, one a line."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("revision", "state", "aliases", "canary of", "pinned", "requests", "why"):
        table.add_column(column, justify="right" if column == "requests" else "left", overflow="fold")
    for adapter in adapters:
        state = _state(adapter)
        aliases, shares, pinned = " ".join(adapter.aliases), " ".join(_shares(adapter)), "yes" if adapter.pinned else ""
        running = str(adapter.active_request_count)
        row = (adapter.revision, state, aliases, shares, pinned, running, adapter.rejection)
        table.add_row(*(Text(visible(cell)) for cell in row))
    console.print(table)


def show_adapter_change(console: Console, adapter: inference_service_pb2.ResidentAdapter) -> None:
    """One line: when, which revision, what it is now, under which aliases, if pinned, and why if it was rejected."""
    now, pinned = f"{datetime.now(UTC):%H:%M:%S}", "pinned" if adapter.pinned else ""
    parts = [now, adapter.revision, _state(adapter), *adapter.aliases, *_shares(adapter), pinned, adapter.rejection]
    console.print(Text(visible(" ".join(part for part in parts if part))))


def _shares(adapter: inference_service_pb2.ResidentAdapter) -> list[str]:
    return [f"{share.alias} ({share.percent} %)" for share in adapter.canaries]


def _state(adapter: inference_service_pb2.ResidentAdapter) -> str:
    names = {value: name for name, value in inference_service_pb2.ResidentAdapterState.items()}
    # A newer server may have more of them.
    return names.get(adapter.state, str(adapter.state)).removeprefix("RESIDENT_ADAPTER_STATE_").lower()


@contextmanager
def errors_shown() -> Iterator[None]:
    """Shows a `DomainError` with all its violations on standard error and ends the command with status 1."""
    try:
        yield
    except DomainError as err:
        console = Console(stderr=True, highlight=False)
        # What a server says may quote a tenant's rows.
        console.print(Text(visible(f"{err.reason}: {err}"), style="red"))
        if err.violations:
            table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
            table.add_column("where", overflow="fold")
            table.add_column("what", overflow="fold")
            for violation in err.violations:
                table.add_row(Text(visible(violation.path)), Text(visible(violation.description)))
            console.print(table)
        raise typer.Exit(1) from err
