"""`python -m trainer_svc.merge PACKAGE BASE_MODEL FOLDER`: one model folder out of a base and an adapter's package."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from shared.base_model import BaseModel
from shared.errors import DomainError


def main(argv: list[str] | None = None) -> int:
    """Merges; ends with 0, or with 1 and the reason on standard error."""
    parser = argparse.ArgumentParser(prog="python -m trainer_svc.merge", description=__doc__)
    parser.add_argument(
        "package", type=Path, help="folder with an adapter's three files, as DownloadRevision gives them"
    )
    parser.add_argument("base_model", type=Path, help="the base model that the adapter was trained on")
    parser.add_argument("folder", type=Path, help="where the merged model goes; must not exist")
    given = parser.parse_args(argv)
    # Imported here, so that --help answers at once.
    from trainer_svc.engine.merge import merge_adapter

    try:
        merge_adapter(given.package, BaseModel.load(given.base_model), given.folder)
    except DomainError as err:
        sys.stderr.write(f"{err.reason}: {err}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
