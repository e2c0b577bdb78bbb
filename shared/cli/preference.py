"""`goldsmith preference`: people compare two revisions blindly."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer
from google.protobuf.json_format import MessageToJson
from rich.console import Console

from goldsmith.trainer.v1 import preference_pb2 as pb
from shared.cli.preference_report import show_study
from shared.cli.screen import errors_shown
from shared.client.preference import PreferenceClient
from shared.errors import InvalidInput
from shared.files import write_atomic
from shared.names import PreferenceStudyName, RevisionName
from shared.review.page import review_page
from shared.review.pair_file import pair_lines
from shared.review.verdict_file import MAX_BYTES, read_verdicts

app = typer.Typer(no_args_is_help=True, help="Blind comparisons of two revisions by people.")

_Study = Annotated[
    str, typer.Argument(metavar="STUDY", help="tenants/{tenant}/adapters/{adapter}/preferenceStudies/{study}")
]
_Number = Annotated[int, typer.Argument(help="Number of a revision of that adapter.", min=1)]
_Json = Annotated[bool, typer.Option("--json", help="For machines: the whole answer as JSON.")]
_Address = Annotated[str, typer.Option(metavar="HOST:PORT", help="The trainer service.")]
_ADDRESS = "127.0.0.1:50051"


class _Form(enum.StrEnum):
    """What reviewers get, by the file's ending."""

    LINES = ".jsonl"
    PAGE = ".html"


@app.callback()
def preference() -> None:
    """Blind comparisons of two revisions by people."""


@app.command()
def create(
    context: typer.Context,
    study: _Study,
    revision_a: _Number,
    revision_b: _Number,
    *,
    max_pairs: Annotated[int, typer.Option(help="The most pairs to review.", min=1, max=1000)] = 50,
    seed: Annotated[int, typer.Option(help="Chooses the rows.")] = 0,
    as_json: _Json = False,
    address: _Address = _ADDRESS,
) -> None:
    """Draw pairs from the held-out rows that both revisions answered differently."""
    with errors_shown():
        own = PreferenceStudyName.parse(study)
        first, other = (str(RevisionName(own.tenant, own.adapter, number)) for number in (revision_a, revision_b))
        with PreferenceClient(address, context.obj) as client:
            _tell(client.create(str(own), first, other, max_pairs=max_pairs, seed=seed), as_json=as_json)


@app.command()
def show(context: typer.Context, study: _Study, *, as_json: _Json = False, address: _Address = _ADDRESS) -> None:
    """Show how far a study is and, once it is closed, what came out."""
    with errors_shown(), PreferenceClient(address, context.obj) as client:
        _tell(client.study(str(PreferenceStudyName.parse(study))), as_json=as_json)


@app.command()
def export(
    context: typer.Context,
    study: _Study,
    *,
    out: Annotated[Path, typer.Option(help="page.html to review in a browser, or pairs.jsonl.", dir_okay=False)],
    address: _Address = _ADDRESS,
) -> None:
    """Write what reviewers need into one file, which does not tell which revision is which."""
    if out.suffix not in list(_Form):
        raise typer.BadParameter(f"must end in {' or '.join(_Form)}", param_hint="--out")
    with errors_shown():
        name = str(PreferenceStudyName.parse(study))
        with PreferenceClient(address, context.obj) as client:
            pairs = list(client.pairs(name))
        text = review_page(name, pairs) if out.suffix == _Form.PAGE else pair_lines(name, pairs)
        write_atomic(out, text.encode())
        typer.echo(f"{len(pairs)} pairs for reviewers")


@app.command("import")
def import_verdicts(
    context: typer.Context,
    study: _Study,
    verdicts: Annotated[Path, typer.Argument(metavar="VERDICTS", help="The file a reviewer sent back.", exists=True)],
    *,
    reviewer: Annotated[str, typer.Option(help="Who judged.")],
    as_json: _Json = False,
    address: _Address = _ADDRESS,
) -> None:
    """Store a reviewer's verdicts, in place of the same reviewer's earlier ones on the same pairs."""
    with errors_shown():
        name = str(PreferenceStudyName.parse(study))
        given = read_verdicts(name, _read(verdicts))
        with PreferenceClient(address, context.obj) as client:
            _tell(client.submit(name, reviewer, given), as_json=as_json)


@app.command()
def close(context: typer.Context, study: _Study, *, as_json: _Json = False, address: _Address = _ADDRESS) -> None:
    """End a study: it takes no more verdicts, shows its result, and adds it to both revisions."""
    with errors_shown(), PreferenceClient(address, context.obj) as client:
        _tell(client.close_study(str(PreferenceStudyName.parse(study))), as_json=as_json)


def _read(path: Path) -> bytes:
    if path.stat().st_size > MAX_BYTES:
        raise InvalidInput("FIELD_INVALID", f"{path} has more than {MAX_BYTES:,} bytes")
    return path.read_bytes()


def _tell(study: pb.PreferenceStudy, *, as_json: bool) -> None:
    if as_json:
        # In ASCII, so that no text of a tenant reaches a terminal as it is.
        typer.echo(MessageToJson(study, always_print_fields_with_no_presence=True, preserving_proto_field_name=True))
    else:
        show_study(Console(highlight=False), study)
