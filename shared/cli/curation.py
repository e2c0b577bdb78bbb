"""`goldsmith dataset curate` and `changes`: a dataset from another, and what was done to each row."""

from __future__ import annotations

import enum
import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Annotated

import typer
from google.protobuf.json_format import MessageToDict, MessageToJson
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from goldsmith.trainer.v1 import golden_dataset_pb2 as pb
from shared.cli.address import TRAINER, TrainerAddress
from shared.cli.change_text import show_change
from shared.cli.screen import errors_shown
from shared.cli.visible import visible
from shared.client import TrainerClient
from shared.names import DatasetName

_NOTHING = "Nothing was changed."
_PREFIX = "CURATION_STEP_"
_Json = Annotated[bool, typer.Option("--json", help="For machines: the whole answer as JSON.")]


def _word(name: str) -> str:
    return name.removeprefix(_PREFIX).lower().replace("_", "-")


Step = enum.StrEnum(  # type: ignore[misc]  # its members are those of the contract
    "Step", {name: _word(name) for name, number in pb.CurationStep.items() if number}
)


def curate(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="tenants/{tenant}/datasets/{dataset}")],
    new_id: Annotated[str, typer.Argument(metavar="NEW_ID", help="Last segment of the new dataset's name.")],
    *,
    step: Annotated[list[Step], typer.Option(help="What to do; several in their order.")],
    max_row_tokens: Annotated[int | None, typer.Option(help="With drop-long-rows: the most tokens of a row.")] = None,
    as_json: _Json = False,
    address: TrainerAddress = TRAINER,
) -> None:
    """Make a dataset from another, which stays as it is: rows are dropped whole or spelt anew, never cut."""
    with errors_shown():
        own = DatasetName.parse(source)
        name = str(DatasetName(own.tenant, new_id))
        values = [pb.CurationStep.Value(one.name) for one in step]
        with TrainerClient(address, context.obj) as trainer:
            made = trainer.curate(name, str(own), values, max_row_tokens=max_row_tokens)
            before = trainer.dataset(str(own))
            if as_json:
                # Escapes everything but ASCII, so that no text of a tenant reaches a terminal as it is.
                typer.echo(
                    MessageToJson(made, always_print_fields_with_no_presence=True, preserving_proto_field_name=True)
                )
                return
            show_curation(Console(highlight=False), before, made, trainer.changes(made.name))


def changes(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="tenants/{tenant}/datasets/{dataset}")],
    *,
    text: Annotated[bool, typer.Option("--text", help="With each row before and after, as a unified diff.")] = False,
    as_json: _Json = False,
    address: TrainerAddress = TRAINER,
) -> None:
    """Show what a curation did to each row of its source."""
    with errors_shown():
        own = str(DatasetName.parse(name))
        with TrainerClient(address, context.obj) as trainer:
            found = trainer.changes(own, include_text=text)
            if as_json:
                # In ASCII, for the same reason.
                typer.echo(json.dumps([_document(change) for change in found], indent=1))
            elif text:
                show_texts(Console(highlight=False), found)
            else:
                show_changes(Console(highlight=False), found)


def show_curation(
    console: Console, source: pb.GoldenDataset, made: pb.GoldenDataset, changed: Iterable[pb.DatasetChange]
) -> None:
    """Name and state, rows before and after, and how many each step dropped and changed."""
    state = pb.GoldenDatasetState.items()
    told = {number: name for name, number in state}.get(made.state, str(made.state))
    console.print(Text(f"{visible(made.name)}: {visible(told.removeprefix('GOLDEN_DATASET_STATE_').lower())}"))
    facts = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("", "to train on", "held out"):
        facts.add_column(column, justify="right" if column else "left", overflow="fold")
    for dataset in (source, made):
        report = dataset.report
        facts.add_row(Text(visible(dataset.name)), f"{report.train_count:,}", f"{report.holdout_count:,}")
    console.print(facts)
    counts: defaultdict[int, Counter[bool]] = defaultdict(Counter)
    for change in changed:
        counts[change.step][_is_dropped(change)] += 1
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("step", "rows dropped", "rows changed"):
        table.add_column(column, justify="left" if column == "step" else "right", overflow="fold")
    for step in made.lineage.steps:
        table.add_row(Text(_step(step)), f"{counts[step][True]:,}", f"{counts[step][False]:,}")
    console.print(table)


def show_changes(console: Console, changed: Iterable[pb.DatasetChange]) -> None:
    """One row of the source a line; all text goes through `visible`."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("row", "step", "", "why"):
        table.add_column(column, justify="right" if column == "row" else "left", overflow="fold")
    for change in changed:
        fate, why = _fate(change), Text(visible(change.message))
        table.add_row(f"{change.row_number:,}", Text(_step(change.step)), fate, why)
    console.print(table if table.row_count else _NOTHING)


def show_texts(console: Console, changed: Iterable[pb.DatasetChange]) -> None:
    """Each change with its row before and after, as they come: a curation may have a hundred thousand."""
    is_any = False
    for change in changed:
        is_any = True
        show_change(console, change, _step(change.step), _fate(change))
    if not is_any:
        console.print(_NOTHING)


def _fate(change: pb.DatasetChange) -> Text:
    return Text("dropped", style="yellow") if _is_dropped(change) else Text("changed", style="cyan")


def _document(change: pb.DatasetChange) -> dict[str, object]:
    told: dict[str, object] = MessageToDict(
        change, always_print_fields_with_no_presence=True, preserving_proto_field_name=True
    )
    return told


def _is_dropped(change: pb.DatasetChange) -> bool:
    return not change.after_digest


def _step(value: int) -> str:
    # A newer server may have more of them.
    names: dict[int, str] = {number: name for name, number in pb.CurationStep.items()}
    return _word(names.get(value, str(value)))
