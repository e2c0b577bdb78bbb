"""`goldsmith`: every command group under one name."""

from __future__ import annotations

import typer

from shared.cli import contract
from shared.cli.adapters import adapters

app = typer.Typer(name="goldsmith", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(contract.app, name="contract")
app.command()(adapters)


@app.callback()
def goldsmith() -> None:
    """Adapters that always answer in your exact format."""


def main() -> None:
    """Entry point; ends the process with 0, 1 (refused or failed, the reason on standard error) or 2 (wrong usage)."""
    app()
