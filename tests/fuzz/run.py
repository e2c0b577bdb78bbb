"""The process of one fuzzer: instruments what it tries, and ends without cleaning up after itself."""

from __future__ import annotations

import importlib
import sys

import atheris

_INSTRUMENTED = ["shared.names", "shared.rpc", "shared.errors", "jwt", "trainer_svc.service", "trainer_svc.translate",
                 "trainer_svc.app", "trainer_svc.store", "inference_svc.translate"]  # fmt: skip
_OPTIONS = ("-max_len=512", "-len_control=0")
"""Inputs are read as decisions, so that even the first ones may be long."""


def main(arguments: list[str]) -> None:
    """Runs one target; does not return."""
    name, *options = arguments
    with atheris.instrument_imports(include=_INSTRUMENTED):
        target = importlib.import_module(f"tests.fuzz.{name}")
    if "--hole" in options:
        options.remove("--hole")
        target.open_hole()
    atheris.Setup([name, *_OPTIONS, *options], target.make())
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
