"""Settings of a service: flags over environment over a TOML file over defaults."""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import os
import tomllib
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from shared.errors import FieldViolation, InvalidInput

ENVIRONMENT_PREFIX = "GOLDSMITH_"

Settings = TypeVar("Settings")


def load_config(cls: type[Settings], argv: Sequence[str] | None, *, prog: str, description: str) -> Settings:
    """Builds the frozen dataclass `cls` from the command line.

    Each field is a flag (`data_dir` is `--data-dir`), an environment variable (`GOLDSMITH_DATA_DIR`) and a key of the
    file named by `--config`; the first of these that is present wins. Field types: str, int, float, bool, Path, each
    optionally `| None`. A field's help text is its `metadata["help"]`.

    Raises:
        InvalidInput: FIELD_INVALID listing every unknown key, missing value and value of the wrong type at once.
        SystemExit: `--help` and unknown flags, as argparse does.
    """
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]  # cls is a dataclass by contract
    hints = typing.get_type_hints(cls)
    parser = argparse.ArgumentParser(prog=prog, description=description)
    parser.add_argument("--config", type=Path, help="TOML file with the settings below")
    for name, spec in fields.items():
        # A flag without a value says true where that is a value.
        bare: dict[str, Any] = {"nargs": "?", "const": "true"} if hints[name] is bool else {}  # Any: argparse's options
        parser.add_argument(f"--{name.replace('_', '-')}", dest=name, metavar="VALUE", help=_help(spec), **bare)
    arguments = vars(parser.parse_args(argv))
    file_path = arguments.pop("config")
    raw: dict[str, object] = dict(tomllib.loads(file_path.read_text()) if file_path else {})
    violations = [_unknown(key, list(fields)) for key in raw if key not in fields]
    raw |= {n: os.environ[v] for n in fields if (v := ENVIRONMENT_PREFIX + n.upper()) in os.environ}
    raw |= {name: value for name, value in arguments.items() if value is not None}
    values: dict[str, Any] = {}  # Any: each value has its own field's type
    for name, spec in fields.items():
        if name in raw:
            try:
                values[name] = _convert(raw[name], hints[name])
            except ValueError as err:
                violations.append(FieldViolation(name, str(err)))
        elif spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING:
            violations.append(FieldViolation(name, f"is required: pass --{name.replace('_', '-')}"))
    if violations:
        text = "; ".join(f"{v.path}: {v.description}" for v in violations)
        raise InvalidInput("FIELD_INVALID", f"settings: {text}", violations=violations)
    return cls(**values)


def _help(spec: dataclasses.Field[object]) -> str:
    text = str(spec.metadata.get("help", ""))
    return text if spec.default is dataclasses.MISSING else f"{text} (default: {spec.default})"


def _unknown(key: str, known: list[str]) -> FieldViolation:
    near = difflib.get_close_matches(key, known, 1)
    return FieldViolation(key, "unknown setting" + (f", did you mean {near[0]}?" if near else ""))


def _convert(value: object, hint: object) -> object:
    if isinstance(hint, types.UnionType):
        hint = next(part for part in typing.get_args(hint) if part is not types.NoneType)
    if hint is bool:
        if str(value).lower() in ("true", "1", "yes"):
            return True
        if str(value).lower() in ("false", "0", "no"):
            return False
        raise ValueError(f"must be true or false, got {value!r}")
    if hint is Path:
        return Path(str(value)).expanduser()
    if hint in (int, float, str):
        return hint(str(value))
    raise AssertionError(f"settings do not support the type {hint}")
