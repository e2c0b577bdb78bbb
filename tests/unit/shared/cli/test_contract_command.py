"""`goldsmith contract compile` without a server, and what it shows."""

from __future__ import annotations

import importlib
import io
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from shared.cli.main import app
from shared.cli.screen import errors_shown, show_report
from shared.contracts.report import CompileReport, EngineName, Guarantee, KeywordFate, KeywordVerdict
from shared.errors import FieldViolation, NotFound

ROOT = Path(__file__).parents[4]
WIDE = {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}


def _shown(report: CompileReport) -> str:
    screen = io.StringIO()
    show_report(Console(width=160, file=screen), report, kind="json", digest="sha256:0")
    return screen.getvalue()


class TestCompile:
    """Compiling for a base model's folder."""

    def test_shows_class_engine_sizes_and_fates(self, tiny_base_folder: Path, tmp_path: Path) -> None:
        """Status 0 and the whole report."""
        (tmp_path / "s.json").write_text('{"title":"t","enum":["yes","no"]}')

        done = CliRunner().invoke(
            app, ["contract", "compile", str(tmp_path / "s.json"), "--tokenizer", str(tiny_base_folder)], env=WIDE
        )

        assert done.exit_code == 0, done.output
        for word in ("certain", "outlines", "/title", "annotation", "/enum", "enforced", "sha256:"):
            assert word in done.stdout
        assert re.search(r"min [1-9]\d* · typical", done.stdout)

    def test_shows_every_refused_place_and_ends_with_1(self, tiny_base_folder: Path, tmp_path: Path) -> None:
        """On standard error, so that a script's output stays clean."""
        (tmp_path / "c.txt").write_text("a\n\na\n")
        arguments = ["contract", "compile", str(tmp_path / "c.txt"), "--kind", "choice"]

        done = CliRunner().invoke(app, [*arguments, "--tokenizer", str(tiny_base_folder)], env=WIDE)

        assert done.exit_code == 1
        assert done.stdout == ""
        for word in ("CONTRACT_UNSUPPORTED", "choices[1]", "is empty", "choices[2]", "repeats choices[0]"):
            assert word in done.stderr

    def test_a_server_that_is_not_there_is_an_error_too(self, tmp_path: Path) -> None:
        """Status 1 and the address's failure, not a traceback."""
        done = CliRunner().invoke(app, ["contract", "compile", "--kind", "text", "--address", "127.0.0.1:1"], env=WIDE)

        assert done.exit_code == 1
        assert "UNAVAILABLE" in done.stderr
        assert "Traceback" not in done.stderr

    @pytest.mark.parametrize(
        "arguments",
        [["--kind", "poem"], ["/no/such/file.json"], ["--kind", "sql", "--profile", "deep"], ["--max-chars", "-1"]],
    )
    def test_wrong_usage_ends_with_2(self, arguments: list[str]) -> None:
        """As every command does."""
        assert CliRunner().invoke(app, ["contract", "compile", *arguments], env=WIDE).exit_code == 2


class TestReportTable:
    """What a report looks like."""

    def test_shows_sizes_that_are_known_and_says_which_are_not(self) -> None:
        """An unknown typical length is not 0, a missing greatest length is no limit."""
        report = CompileReport(Guarantee.SOUND, EngineName.LLGUIDANCE, 12_345, 7, 0, None, ())

        known = _shown(CompileReport(Guarantee.CERTAIN, EngineName.OUTLINES, 1, 7, 1_234, 5_678, ()))
        unknown = _shown(report)

        assert "min 7 · typical 1,234 · max 5,678" in known
        assert "min 7 · typical not measured · max no limit" in unknown
        assert "sound: never invalid" in unknown
        assert "llguidance" in unknown
        assert "12,345" in unknown

    def test_shows_pointers_and_notes_as_they_are(self) -> None:
        """Square brackets in a pattern are no markup; the root has a name."""
        verdicts = (
            KeywordVerdict("", KeywordFate.CHECKED),
            KeywordVerdict("/patternProperties/[red]x", KeywordFate.ENFORCED, "[bold]narrowed[/bold]"),
        )

        text = _shown(CompileReport(Guarantee.SOUND, EngineName.OUTLINES, 1, 1, 0, None, verdicts))

        assert "(root)" in text
        assert "/patternProperties/[red]x" in text
        assert "[bold]narrowed[/bold]" in text
        assert "1 enforced, 1 checked, 0 annotation" in text


class TestErrors:
    """Errors on the terminal."""

    def test_obey_nothing_that_they_quote(self, capsys: pytest.CaptureFixture[str]) -> None:
        """A message or place of a server may hold a tenant's escape sequences: they are shown, not sent."""
        bell = "\x1b]0;owned\x07"

        with pytest.raises(typer.Exit), errors_shown():
            raise NotFound("RESOURCE_NOT_FOUND", bell, violations=[FieldViolation(bell, bell)])

        shown = capsys.readouterr().err
        assert shown.count("owned") == 3
        assert not {"\x1b", "\x07"} & set(shown)


class TestEntryPoint:
    """`goldsmith` on the command line."""

    def test_is_the_script_that_is_installed(self) -> None:
        """The project names it, and it exists."""
        scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
        module, _, function = scripts["goldsmith"].partition(":")

        assert callable(getattr(importlib.import_module(module), function))

    def test_imports_no_engine_and_no_compiler(self) -> None:
        """Help comes at once: neither vLLM nor torch nor sqlglot is loaded for it."""
        code = "import sys, shared.cli.main; print([m for m in ('torch', 'vllm', 'sqlglot') if m in sys.modules])"

        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)

        assert done.stdout.strip() == "[]"
