"""`goldsmith promote`, `rollback` and `promotions`: which revision an alias means, and how it came to that."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from goldsmith.registry.v1 import adapter_pb2
from goldsmith.registry.v1 import promotion_pb2 as pb
from shared.cli.address import TRAINER, TrainerAddress
from shared.cli.screen import errors_shown
from shared.cli.visible import visible
from shared.client import PromotionClient
from shared.names import AdapterName, AliasName, RevisionName, absent

_OUTCOMES = {
    pb.CHECK_OUTCOME_PASSED: Text("passed", style="green"),
    pb.CHECK_OUTCOME_FAILED: Text("failed", style="red"),
    pb.CHECK_OUTCOME_NOT_MEASURED: Text("not measured", style="yellow"),
}


def promote(
    context: typer.Context,
    revision: Annotated[
        str, typer.Argument(metavar="REVISION", help="tenants/{tenant}/adapters/{adapter}/revisions/{number}")
    ],
    *,
    alias: Annotated[str, typer.Option(help="Which of the adapter's aliases.")] = "live",
    canary: Annotated[
        int | None, typer.Option(metavar="PERCENT", help="Only this share of the requests, beside the present one.")
    ] = None,
    reason: Annotated[str, typer.Option(help="For the record; required with --override.")] = "",
    override: Annotated[bool, typer.Option("--override", help="Also what the policy stops.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what the policy says.")] = False,
    address: TrainerAddress = TRAINER,
) -> None:
    """Point an alias at a revision, by the adapter's promotion policy."""
    with errors_shown():
        own = RevisionName.parse(revision, "REVISION")
        name = str(AliasName(own.tenant, own.adapter, alias))
        console = Console(highlight=False)
        with PromotionClient(address, context.obj) as client:
            if dry_run:
                show_report(console, client.check(revision, alias))
                return
            before = client.alias(name)
            moved = client.promote(
                revision, before.etag if before is not None else "", alias_id=alias, canary_percent=canary,
                reason=reason, override=override,
            )  # fmt: skip
            _show_alias(console, moved)


def rollback(
    context: typer.Context,
    alias: Annotated[str, typer.Argument(metavar="ALIAS", help="tenants/{tenant}/adapters/{adapter}/aliases/{alias}")],
    *,
    reason: Annotated[str, typer.Option(help="For the record.")],
    address: TrainerAddress = TRAINER,
) -> None:
    """Point an alias at the revision that it meant before."""
    with errors_shown(), PromotionClient(address, context.obj) as client:
        before = client.alias(alias)
        if before is None:
            raise absent(alias)
        _show_alias(Console(highlight=False), client.roll_back(alias, before.etag, reason))


def promotions(
    context: typer.Context,
    adapter: Annotated[str, typer.Argument(metavar="ADAPTER", help="tenants/{tenant}/adapters/{adapter}")],
    *,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 50,
    address: TrainerAddress = TRAINER,
) -> None:
    """Show who moved an adapter's aliases, when and why; newest first."""
    with errors_shown():
        own = str(AdapterName.parse(adapter, "ADAPTER"))
        with PromotionClient(address, context.obj) as client:
            show_promotions(Console(highlight=False), itertools.islice(client.promotions(own), limit))


def show_report(console: Console, report: pb.PromotionReport) -> None:
    """Verdict, then each check with its figures."""
    verdict = "passes" if report.passed else "is stopped"
    against = f", held against {report.live_revision}" if report.live_revision else ""
    console.print(Text(visible(f"{verdict}{against}"), style="green" if report.passed else "red"))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("check", "outcome", "reason", "figures"):
        table.add_column(column, overflow="fold")
    for check in report.checks:
        # A newer server may have more of them.
        outcome = _OUTCOMES.get(check.outcome, Text(str(check.outcome)))
        table.add_row(Text(visible(check.name)), outcome, visible(check.reason), Text(visible(check.description)))
    console.print(table)


def show_promotions(console: Console, entries: Iterable[pb.Promotion]) -> None:
    """One move a line; all text goes through `visible`."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("when", "alias", "from", "to", "way", "who", "why"):
        table.add_column(column, overflow="fold")
    names = {number: name for name, number in pb.PromotionWay.items()}
    for entry in entries:
        way = names.get(entry.way, str(entry.way)).removeprefix("PROMOTION_WAY_").lower().replace("_", " ")
        cells = (
            f"{entry.create_time.ToDatetime():%Y-%m-%d %H:%M:%S} UTC",
            _last(entry.alias),
            _meaning(entry.from_revision, entry.from_canary),
            _meaning(entry.to_revision, entry.to_canary, entry.to_canary_percent),
            f"{way}, overriding the policy" if entry.override else way,
            entry.subject or _last(entry.training_job),
            entry.reason,
        )
        table.add_row(*(Text(visible(cell)) for cell in cells))
    console.print(table if table.row_count else "No alias of it was ever moved.")


def _show_alias(console: Console, alias: adapter_pb2.AdapterAlias) -> None:
    meaning = _meaning(alias.revision, alias.canary.revision, alias.canary.percent)
    console.print(Text(visible(f"{alias.name}: {meaning}")))


def _meaning(revision: str, canary: str, percent: int = 0) -> str:
    share = f" {percent} %" if percent else ""
    return _last(revision) + (f" + canary {_last(canary)}{share}" if canary else "")


def _last(name: str) -> str:
    return name.rpartition("/")[2]
