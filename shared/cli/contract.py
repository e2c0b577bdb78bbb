"""`goldsmith contract`: compile, create, get and list output contracts."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from shared.base_model import BaseModel
from shared.cli.address import TRAINER, TrainerAddress
from shared.cli.definition import Options, read_spec
from shared.cli.screen import errors_shown, show_contracts, show_report
from shared.client import TrainerClient
from shared.contracts.compiler import ContractCompiler
from shared.contracts.report import CompileReport
from shared.contracts.spec import ContractKind, ContractSpec, SqlProfile, UndeclaredProperties
from shared.names import ContractName, TenantName
from shared.rpc.contract_message import DIALECTS, report_of, spec_of

app = typer.Typer(no_args_is_help=True, help="Output contracts: what every answer is promised to be.")

_File = Annotated[
    Path | None,
    typer.Argument(
        metavar="FILE",
        help="JSON Schema, CREATE TABLE statements, choices (one a line) or a pattern; none for kind text.",
        exists=True,
        dir_okay=False,
        show_default=False,
    ),
]
_Kind = Annotated[
    ContractKind | None,
    typer.Option(help="By default from the file's ending: .json, .sql or .ddl.", show_default=False),
]
_Dialect = Annotated[str, typer.Option(help=f"SQL: {', '.join(DIALECTS)}.")]
_Profile = Annotated[SqlProfile, typer.Option(help="SQL: how much can be said.")]
_Undeclared = Annotated[
    UndeclaredProperties, typer.Option(help="JSON: properties of objects that are silent about further ones.")
]
_MaxChars = Annotated[int, typer.Option(help="Text: most characters; 0 is no limit.", min=0)]
_Values = Annotated[
    list[str] | None,
    typer.Option(metavar="TABLE.COLUMN=FILE", help="SQL: a column's real values, one a line.", show_default=False),
]
_Join = Annotated[
    list[str] | None,
    typer.Option(metavar="T.COLUMN=T.COLUMN", help="SQL: columns that may be joined on.", show_default=False),
]


@app.command("compile")
def compile_(  # noqa: PLR0913  # one parameter an option
    context: typer.Context,
    file: _File = None,
    *,
    kind: _Kind = None,
    dialect: _Dialect = "sqlite",
    profile: _Profile = SqlProfile.FLAT,
    undeclared: _Undeclared = UndeclaredProperties.NARROWED,
    max_chars: _MaxChars = 0,
    values: _Values = None,
    join: _Join = None,
    tenant: Annotated[str, typer.Option(help="Whose limits apply on the server.")] = "default",
    address: TrainerAddress = TRAINER,
    tokenizer: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Compile here, for the base model in this folder, without a server.",
            exists=True,
            file_okay=False,
            show_default=False,
        ),
    ] = None,
) -> None:
    """Compile a definition and report on it; nothing is stored. Ends with 1 when it is refused."""
    with errors_shown():
        options = Options(dialect, profile, undeclared, max_chars, values or (), join or ())
        spec = _checked(read_spec(file, kind, options))
        report = (
            _compile_remotely(context, spec, tenant, address) if tokenizer is None else _compile_here(spec, tokenizer)
        )
        show_report(Console(highlight=False), report, kind=spec.kind, digest=spec.digest)


@app.command()
def create(  # noqa: PLR0913  # one parameter an option
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="tenants/{tenant}/contracts/{contract}")],
    file: _File = None,
    *,
    kind: _Kind = None,
    dialect: _Dialect = "sqlite",
    profile: _Profile = SqlProfile.FLAT,
    undeclared: _Undeclared = UndeclaredProperties.NARROWED,
    max_chars: _MaxChars = 0,
    values: _Values = None,
    join: _Join = None,
    address: TrainerAddress = TRAINER,
) -> None:
    """Compile a definition and store it under a name, which keeps that meaning for ever."""
    with errors_shown():
        ContractName.parse(name)
        options = Options(dialect, profile, undeclared, max_chars, values or (), join or ())
        spec = _checked(read_spec(file, kind, options))
        with TrainerClient(address, context.obj) as trainer:
            created = trainer.create_contract(name, spec)
        show_report(Console(highlight=False), report_of(created.report), kind=spec.kind, digest=created.digest)


@app.command()
def get(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="tenants/{tenant}/contracts/{contract}")],
    *,
    address: TrainerAddress = TRAINER,
) -> None:
    """Show a stored contract's report."""
    with errors_shown():
        with TrainerClient(address, context.obj) as trainer:
            stored = trainer.contract(str(ContractName.parse(name)))
        kind = spec_of(stored).kind
        show_report(Console(highlight=False), report_of(stored.report), kind=kind, digest=stored.digest)


@app.command("list")
def list_(
    context: typer.Context,
    tenant: Annotated[str, typer.Argument(metavar="TENANT", help="tenants/{tenant}")],
    *,
    address: TrainerAddress = TRAINER,
) -> None:
    """List a tenant's contracts by name."""
    with errors_shown():
        with TrainerClient(address, context.obj) as trainer:
            contracts = list(trainer.contracts(str(TenantName.parse(tenant))))
        show_contracts(Console(highlight=False), contracts)


def _checked(spec: ContractSpec) -> ContractSpec:
    if spec.dialect not in DIALECTS:
        raise typer.BadParameter(f"{spec.dialect!r} is not one of {', '.join(DIALECTS)}", param_hint="--dialect")
    return spec


def _compile_remotely(context: typer.Context, spec: ContractSpec, tenant: str, address: str) -> CompileReport:
    with TrainerClient(address, context.obj) as trainer:
        return trainer.compile_contract(str(TenantName(tenant)), spec)


def _compile_here(spec: ContractSpec, folder: Path) -> CompileReport:
    """In a killable process under the same limits as on a server."""
    vocabulary = BaseModel.load(folder).vocabulary()
    with tempfile.TemporaryDirectory(prefix="goldsmith-contract-") as cache:
        return ContractCompiler(Path(cache), vocabulary).compile(spec).report
