"""`python -m tests.fuzz TARGET [--hole] [CORPUS] [LIBFUZZER OPTION...]`: tries inputs until one breaks a rule.

Exit status 0 after `-runs` or `-max_total_time`; another one, and a file `crash-...`, for an input that breaks a rule.
`--hole` opens a hole on purpose, which the target then has to find.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

TARGETS = ("token", "name", "message", "cursor")
_MEMORY = Path("/dev/shm")
"""Where there is such a folder: every transaction waits for the disk."""


def main(arguments: list[str]) -> int:
    """Exit status of the fuzzer."""
    if arguments[:1] not in ([target] for target in TARGETS):
        sys.stderr.write(f"{__doc__}\nTARGET is one of {', '.join(TARGETS)}\n")
        return 2
    with tempfile.TemporaryDirectory(prefix="goldsmith-fuzz-", dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        command = [sys.executable, "-m", "tests.fuzz.run", *arguments]
        return subprocess.run(command, env={**os.environ, "TMPDIR": folder}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
