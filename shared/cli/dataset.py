"""`goldsmith dataset`: what the check of a golden dataset found."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from shared.cli.dataset_report import report_document, show_dataset_report
from shared.cli.screen import errors_shown
from shared.client import TrainerClient
from shared.names import DatasetName

app = typer.Typer(no_args_is_help=True, help="Golden datasets: what an adapter is trained on.")

_Address = Annotated[str, typer.Option(metavar="HOST:PORT", help="The trainer service.")]
_ADDRESS = "127.0.0.1:50051"


@app.callback()
def dataset() -> None:
    """Golden datasets: what an adapter is trained on."""


@app.command()
def report(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="tenants/{tenant}/datasets/{dataset}")],
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="All of it as one JSON object, with every finding and row.")
    ] = False,
    address: _Address = _ADDRESS,
) -> None:
    """Show what the check found: counts, then by kind of finding what to do and in which rows."""
    with errors_shown():
        own = str(DatasetName.parse(name))
        with TrainerClient(address, context.obj) as trainer:
            document = report_document(trainer.dataset(own), trainer.findings(own))
        if as_json:
            typer.echo(document.model_dump_json(indent=1))
        else:
            show_dataset_report(Console(highlight=False), document)
