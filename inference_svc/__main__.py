"""`python -m inference_svc --base-model-dir M --registry HOST:PORT`: serve until SIGTERM."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from inference_svc.config import DESCRIPTION, Settings
from shared.rpc.launch import launch
from shared.rpc.server import Application


async def _build(settings: Settings) -> Application:
    from inference_svc.bootstrap import build

    return await build(settings)


def main(argv: Sequence[str] | None = None) -> int:
    """Serves; returns the exit status of the process."""
    return launch(argv, Settings, _build, prog="inference_svc", description=DESCRIPTION)


if __name__ == "__main__":
    sys.exit(main())
