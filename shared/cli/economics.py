"""`goldsmith savings` and `goldsmith usage`: what adapters are worth, and what requests cost."""

from __future__ import annotations

import enum
from datetime import UTC, datetime
from typing import Annotated

import typer
from google.protobuf import json_format
from rich.console import Console

from goldsmith.trainer.v1 import economics_pb2
from shared.cli.address import TRAINER, TrainerAddress
from shared.cli.economics_view import show_savings, show_usage
from shared.cli.screen import errors_shown
from shared.client import EconomicsClient

Trainer = Annotated[str, typer.Option("--address", metavar="HOST:PORT", help="The trainer service.")]
Start = Annotated[
    datetime | None, typer.Option("--from", help="Count hours that begin then or later, UTC.", show_default=False)
]
End = Annotated[datetime | None, typer.Option("--until", help="Count hours before, UTC.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="The whole answer as JSON.")]


class Grouping(enum.StrEnum):
    """Which times go together."""

    HOUR = "hour"
    DAY = "day"


def savings(
    context: typer.Context,
    adapter: Annotated[
        str, typer.Argument(metavar="ADAPTER", help="tenants/{tenant}/adapters/{adapter}, or a revision of it")
    ],
    *,
    start: Start = None,
    end: End = None,
    as_json: AsJson = False,
    address: TrainerAddress = TRAINER,
) -> None:
    """Show what an adapter saves, what it cost, and when it has paid, with the formula."""
    name, of_revision, _ = adapter.partition("/revisions/")
    with errors_shown(), EconomicsClient(address, context.obj) as trainer:
        revision = adapter if of_revision else ""
        found = trainer.savings(name, revision=revision, start=_aware(start), end=_aware(end))
        if as_json:
            typer.echo(json_format.MessageToJson(found))
        else:
            show_savings(Console(highlight=False), found)


def usage(
    context: typer.Context,
    parent: Annotated[
        str, typer.Argument(metavar="PARENT", help="tenants/{tenant} or tenants/{tenant}/adapters/{adapter}")
    ],
    *,
    start: Start = None,
    end: End = None,
    by: Annotated[Grouping, typer.Option("--by", help="Sum up hours or days.")] = Grouping.DAY,
    as_json: AsJson = False,
    address: TrainerAddress = TRAINER,
) -> None:
    """List what requests were and what they cost in tokens, by time and revision."""
    grouping = economics_pb2.UsageGrouping.Value(f"USAGE_GROUPING_{by.name}")
    with errors_shown(), EconomicsClient(address, context.obj) as trainer:
        records = trainer.usage(parent, start=_aware(start), end=_aware(end), grouping=grouping)
        if as_json:
            for record in records:
                typer.echo(json_format.MessageToJson(record, indent=None))
        else:
            show_usage(Console(highlight=False), records)


def _aware(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)
