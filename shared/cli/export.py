"""`goldsmith export`: a published adapter as files of one's own, with a bill of what it is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from shared.adapter.bill_of_materials import BILL_SUFFIX, adapter_bill
from shared.adapter.signature import Signature, read_signature
from shared.cli.address import TRAINER, TrainerAddress
from shared.cli.screen import errors_shown
from shared.cli.visible import visible
from shared.client import TrainerClient
from shared.client.download import fetched_revision
from shared.errors import AlreadyExists
from shared.files import write_atomic
from shared.names import RevisionName, invalid_field


def export(
    context: typer.Context,
    revision: Annotated[str, typer.Argument(metavar="REVISION", help="tenants/{t}/adapters/{a}/revisions/{number}")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the package goes; must not exist.")],
    *,
    address: TrainerAddress = TRAINER,
) -> None:
    """Download a revision, whole or not at all, and check it.

    FOLDER is the package as it was published: PEFT and vLLM load it, `goldsmith verify` checks it. Beside it lies
    FOLDER.cdx.json, a CycloneDX bill of materials: base model, data, contract, programs, settings and metrics.
    """
    with errors_shown():
        name = str(RevisionName.parse(revision))
        folder = folder.resolve()
        try:
            with TrainerClient(address, context.obj) as trainer:
                digest = _export(trainer, name, folder)
        except OSError as err:
            raise invalid_field("FOLDER", f"{folder} cannot be written: {err.strerror}") from err
        console = Console(highlight=False, soft_wrap=True)
        for line in (f"{folder}: {name}, {digest}", f"{bill_path(folder)}: what it is made of"):
            console.print(Text(visible(line)))


def _export(trainer: TrainerClient, name: str, folder: Path) -> str:
    """Bill first: who finds the folder finds both. Returns the digest."""
    if folder.exists():
        raise AlreadyExists("RESOURCE_EXISTS", f"{folder} exists", hint="name a new folder")
    revision, path = trainer.revision(name), bill_path(folder)
    with fetched_revision(trainer, revision, folder) as (package, manifest):
        signature = read_signature(package)
        key_id = Signature.from_json(signature).key_id if signature is not None else ""
        bill = adapter_bill(manifest, revision.digest, name=name, signature_key_id=key_id)
        if path.exists() and path.read_bytes() != bill:
            raise AlreadyExists("RESOURCE_EXISTS", f"{path} exists, of another adapter", hint="name a new folder")
        write_atomic(path, bill)
    return revision.digest


def bill_path(folder: Path) -> Path:
    """Where the bill of an exported package lies: beside it, since the package's manifest names all that is in it."""
    return folder.with_name(f"{folder.name}{BILL_SUFFIX}")
