"""The page: what was gathered, through the templates."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from shared.report.definition import DEFINITIONS
from shared.report.figure import Figures
from shared.report.plot import legend_mark
from shared.report.source import ReportSource
from shared.report.view import View


def render(source: ReportSource) -> str:
    """One HTML file that needs nothing else: no script, no font, no network."""
    figures = Figures(source.roots)
    return (
        _environment()
        .get_template("page.html")
        .render(fig=figures, view=View(figures), definitions=DEFINITIONS, legend_mark=legend_mark)
    )


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("shared.report", "template"),
        autoescape=True,
        undefined=StrictUndefined,
        lstrip_blocks=True,
    )
