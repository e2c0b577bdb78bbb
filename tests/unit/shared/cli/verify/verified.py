"""`goldsmith verify` as a test runs and reads it."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner, Result

from shared.cli.main import app


def verify(package: Path, *options: str | Path) -> Result:
    """Runs the command; whatever ends it is told by its status."""
    env = {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    result = CliRunner().invoke(app, ["verify", str(package), *map(str, options)], env=env)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def checks_of(result: Result) -> dict[str, tuple[str, str]]:
    """Outcome and reason by subject, of a result in JSON."""
    checks = json.loads(result.stdout)["checks"]
    return {check["subject"]: (check["outcome"], check["reason"]) for check in checks}
