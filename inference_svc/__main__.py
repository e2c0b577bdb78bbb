"""`python -m inference_svc --base-model-dir M --registry HOST:PORT`: serve until SIGTERM."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from inference_svc.config import DESCRIPTION, Settings
from shared.config import load_config
from shared.errors import InvalidInput
from shared.logs import configure
from shared.rpc.server import EXIT_CONFIGURATION, ServerSettings, run


def main(argv: Sequence[str] | None = None) -> int:
    """Reads the settings and serves; the exit status is that of `shared.rpc.server.run`."""
    configure()
    try:
        settings = load_config(Settings, argv, prog="inference_svc", description=DESCRIPTION)
    except InvalidInput as err:
        sys.stderr.write(f"{err}\n")
        return EXIT_CONFIGURATION
    # Only now: the composition root imports everything, and --help must not.
    from inference_svc.bootstrap import build

    return run(ServerSettings(settings.listen, settings.drain_seconds), lambda: build(settings))


if __name__ == "__main__":
    sys.exit(main())
