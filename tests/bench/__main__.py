"""`python -m tests.bench [NAME ...]`: runs the named benchmarks, or those that take minutes."""

from __future__ import annotations

import importlib
import sys

NAMES = ("authorisation", "contract", "fairness", "format_sql", "serving")
"""What `make bench` runs; others, like `format`, which takes 20 minutes, are asked for by name."""


def main(names: list[str]) -> int:
    """Runs each benchmark in turn."""
    for name in names or NAMES:
        importlib.import_module(f"tests.bench.{name}").main()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
