"""`python -m trainer_svc --base-model-dir M`: serve datasets, jobs, contracts and the registry until SIGTERM."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from shared.rpc.launch import launch
from shared.rpc.server import Application
from trainer_svc.config import DESCRIPTION, Settings


async def _build(settings: Settings) -> Application:
    from trainer_svc.bootstrap import build

    return await build(settings)


def main(argv: Sequence[str] | None = None) -> int:
    """Serves; returns the exit status of the process."""
    return launch(argv, Settings, _build, prog="trainer_svc", description=DESCRIPTION)


if __name__ == "__main__":
    sys.exit(main())
