"""`goldsmith`: every command group under one name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shared.cli import contract, dataset, policy, preference
from shared.cli.adapters import adapters
from shared.cli.economics import savings, usage
from shared.cli.export import export
from shared.cli.promotion import promote, promotions, rollback
from shared.cli.report import report
from shared.cli.screen import errors_shown
from shared.cli.verify import verify
from shared.client import Credentials

app = typer.Typer(name="goldsmith", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(contract.app, name="contract")
app.add_typer(dataset.app, name="dataset")
app.add_typer(preference.app, name="preference")
app.add_typer(policy.app, name="policy")
app.command()(adapters)
app.command()(promote)
app.command()(rollback)
app.command()(promotions)
app.command()(export)
app.command()(verify)
app.command()(savings)
app.command()(usage)
app.command()(report)


def _file(name: str, text: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        f"--{name}",
        envvar=f"GOLDSMITH_{name.replace('-', '_').upper()}",
        metavar="FILE",
        help=text,
        exists=True,
        dir_okay=False,
        show_default=False,
    )
    return option


@app.callback()
def goldsmith(
    context: typer.Context,
    *,
    ca: Annotated[Path | None, _file("ca", "Authorities that vouch for the services, PEM; else the system's.")] = None,
    certificate: Annotated[Path | None, _file("certificate", "Your client certificate, PEM.")] = None,
    key: Annotated[Path | None, _file("key", "Its private key, PEM.")] = None,
    token_file: Annotated[Path | None, _file("token-file", "Your token.")] = None,
) -> None:
    """Adapters that always answer in your exact format.

    With any of these files the services are reached over TLS, without them in plaintext, which they allow on loopback.
    """
    with errors_shown():
        given = Credentials(ca=ca, certificate=certificate, key=key, token_file=token_file)
    context.obj = None if given == Credentials() else given


def main() -> None:
    """Entry point; ends the process with 0, 1 (refused or failed, the reason on standard error) or 2 (wrong usage)."""
    app()
