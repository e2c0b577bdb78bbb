"""`goldsmith report`: one page about a training job, for the people who own its golden data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from shared.cli.screen import errors_shown
from shared.names import JobName
from shared.report import gather, render

_ADDRESS = "127.0.0.1:50051"
_MAX_ROWS = 200
"""A page with four texts of each stays under some megabytes."""


def report(
    context: typer.Context,
    job: Annotated[str, typer.Argument(metavar="JOB", help="tenants/{tenant}/jobs/{job}")],
    *,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where to write it.", show_default="report-JOB.html", dir_okay=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines: all that the page tells, as JSON.")] = False,
    rows: Annotated[int, typer.Option(min=0, max=_MAX_ROWS, help="How many of the worst answers to show.")] = 20,
    address: Annotated[str, typer.Option(metavar="HOST:PORT", help="The trainer service.")] = _ADDRESS,
) -> None:
    """Write one HTML page that says what a job proved; it needs no network and no script."""
    with errors_shown():
        own = JobName.parse(job, "JOB")
        source = gather(own, address, context.obj, row_count=rows)
        if as_json:
            # In ASCII, so that no text of a tenant reaches a terminal as it is.
            typer.echo(json.dumps(source.document(), indent=1))
            return
        path = out or Path(f"report-{own.id}.html")
        path.write_text(render(source), encoding="utf-8")
        typer.echo(str(path))
