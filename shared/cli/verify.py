"""`goldsmith verify`: is a package what its trainer published? Needs no service and no network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from jinja2 import TemplateError
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shared.adapter.key_file import read_trusted_keys
from shared.adapter.verification import Outcome, ServedBase, Verification, verify_package
from shared.cli.visible import visible
from shared.errors import InvalidInput

REFUSED, UNUSABLE = 1, 2
"""Exit statuses: the package is refused; a key file or base model that cannot be used, and wrong usage."""
_STYLES = {Outcome.PASSED: "green", Outcome.REFUSED: "red", Outcome.NOT_CHECKED: "yellow"}
_KEYS_HELP = "PEM file of public keys, one of which must have signed it."


def verify(
    package: Annotated[
        Path,
        typer.Argument(metavar="PACKAGE", help="Folder with the files of an adapter.", exists=True, file_okay=False),
    ],
    *,
    trusted_keys: Annotated[Path | None, typer.Option(metavar="FILE", help=_KEYS_HELP)] = None,
    base_model: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="The base model: checks the weights against it, too.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines: the whole answer as JSON.")] = False,
) -> None:
    """Check an adapter's files against their manifest, its signature, and its weights against their base, offline.

    Ends with 0 when everything that was asked for holds, 1 when the package is refused, 2 when it was not checked: a
    key file or base model that cannot be used, or wrong usage.
    """
    try:
        trusted = read_trusted_keys(trusted_keys, "--trusted-keys") if trusted_keys is not None else None
        base = ServedBase.load(base_model) if base_model is not None else None
    except (InvalidInput, OSError, LookupError, ValueError, TypeError, TemplateError) as err:  # of no model's files
        Console(stderr=True, highlight=False).print(Text(visible(f"not checked: {err}"), style="red"))
        raise typer.Exit(UNUSABLE) from err
    found = verify_package(package, trusted=trusted, base=base)
    if as_json:
        # Escapes everything but ASCII, so that no text of a stranger reaches a terminal as it is.
        typer.echo(json.dumps(_document(found), indent=1))
    else:
        show_verification(Console(highlight=False), found)
    if not found.is_sound:
        raise typer.Exit(REFUSED)


def show_verification(console: Console, found: Verification) -> None:
    """What the package says of itself, then each check; all text goes through `visible`."""
    facts = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, value in _facts(found).items():
        facts.add_row(name.replace("_", " "), Text(visible(value)))
    console.print(facts)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("check", "outcome", "detail"):
        table.add_column(column, overflow="fold")
    for check in found.checks:
        detail = f"{check.reason}: {check.detail}" if check.reason else check.detail
        table.add_row(check.subject, Text(check.outcome, style=_STYLES[check.outcome]), Text(visible(detail)))
    console.print(table)


def _facts(found: Verification) -> dict[str, str]:
    facts = {"digest": found.digest or "none"}
    manifest = found.manifest
    if manifest is not None:
        facts["contract"] = f"{manifest.contract_name} ({manifest.contract.kind}, {manifest.contract.digest})"
        facts["base_model"] = f"{manifest.base_model_id} ({manifest.base_model_digest})"
        facts["dataset"] = manifest.dataset_digest
        facts["metrics"] = (
            ", ".join(f"{name} {value:.3f}" for name, value in sorted(manifest.metrics.items())) or "none"
        )
    return facts


def _document(found: Verification) -> dict[str, object]:
    checks = [
        {"subject": check.subject, "outcome": check.outcome.value, "reason": check.reason, "detail": check.detail}
        for check in found.checks
    ]
    return {"is_sound": found.is_sound, "signature_key_id": found.signature_key_id, **_facts(found), "checks": checks}
