"""`goldsmith dataset`: look into golden datasets, and make one from another."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from google.protobuf.json_format import MessageToJson
from rich.console import Console

from shared.cli.address import TRAINER, TrainerAddress
from shared.cli.curation import changes, curate
from shared.cli.dataset_report import report_document, show_dataset_report
from shared.cli.screen import errors_shown
from shared.cli.token_view import show_preview
from shared.client import TrainerClient
from shared.names import DatasetName

app = typer.Typer(no_args_is_help=True, help="Golden datasets: what is trained on, and what was found in it.")

app.command()(curate)
app.command()(changes)

_Name = Annotated[str, typer.Argument(metavar="NAME", help="tenants/{tenant}/datasets/{dataset}")]
_Json = Annotated[bool, typer.Option("--json", help="For machines: the whole answer as JSON.")]


@app.callback()
def dataset() -> None:
    """Golden datasets: what is trained on, and what was found in it."""


@app.command()
def preview(
    context: typer.Context,
    name: _Name,
    row: Annotated[int, typer.Argument(metavar="ROW", help="Line of the upload, from 1.", min=1)],
    *,
    as_json: _Json = False,
    address: TrainerAddress = TRAINER,
) -> None:
    """Show a row as the base model is trained on it: every token, and which of them are learned."""
    with errors_shown():
        DatasetName.parse(name)
        with TrainerClient(address, context.obj) as trainer:
            found = trainer.preview(name, row)
        if as_json:
            # Escapes everything but ASCII, so that no text of a tenant reaches a terminal as it is.
            typer.echo(
                MessageToJson(found, always_print_fields_with_no_presence=True, preserving_proto_field_name=True)
            )
            return
        show_preview(Console(highlight=False), found)


@app.command()
def report(
    context: typer.Context,
    name: _Name,
    *,
    as_json: _Json = False,
    address: TrainerAddress = TRAINER,
) -> None:
    """Show what the check found: counts, then by kind of finding what to do and in which rows."""
    with errors_shown():
        own = str(DatasetName.parse(name))
        with TrainerClient(address, context.obj) as trainer:
            document = report_document(trainer.dataset(own), trainer.findings(own))
        if as_json:
            # In ASCII, for the same reason as a preview.
            typer.echo(json.dumps(document.model_dump(), indent=1))
        else:
            show_dataset_report(Console(highlight=False), document)
