"""What tables of contracts and adapters show of text that is a tenant's."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from goldsmith.inference.v1 import inference_service_pb2 as pb
from shared.cli.screen import show_adapter_change, show_adapters, show_report
from shared.contracts.report import CompileReport, EngineName, Guarantee, KeywordFate, KeywordVerdict

_HOSTILE = "[bold]x[/]\x1b]0;owned\x07\x1b[2J\u202e"
_SHOWN = "[bold]x[/]\u241b]0;owned\u2407\u241b[2J\\u{202e}"


def _adapter() -> pb.ResidentAdapter:
    return pb.ResidentAdapter(revision="tenants/acme/adapters/a/revisions/1", aliases=[_HOSTILE], rejection=_HOSTILE)


def _told(show: str) -> str:
    console = Console(file=io.StringIO(), width=400, highlight=False)
    if show == "adapters":
        show_adapters(console, [_adapter()])
    elif show == "change":
        show_adapter_change(console, _adapter())
    else:
        verdict = KeywordVerdict(_HOSTILE, KeywordFate.CHECKED, _HOSTILE)
        report = CompileReport(Guarantee.SOUND, EngineName.OUTLINES, 1, 1, 0, None, (verdict,))
        show_report(console, report, kind=_HOSTILE, digest=_HOSTILE)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("show", ["adapters", "change", "report"])
def test_text_of_others_is_shown_and_never_obeyed(show: str) -> None:
    """Nothing in it moves, colours or hides."""
    told = _told(show)

    assert told.count(_SHOWN) >= 2
    assert "\x1b" not in told
    assert "\u202e" not in told
