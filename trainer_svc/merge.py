"""`python -m trainer_svc.merge PACKAGE BASE_MODEL FOLDER`: one model folder out of a base and an adapter's package."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from shared.adapter.key_file import read_trusted_keys
from shared.base_model import BaseModel
from shared.errors import DomainError
from shared.names import invalid_field


def main(argv: list[str] | None = None) -> int:
    """Merges; ends with 0, or with 1 and the reason on standard error."""
    parser = argparse.ArgumentParser(prog="python -m trainer_svc.merge", description=__doc__)
    parser.add_argument("package", type=Path, help="folder with an adapter's files, as `goldsmith export` writes it")
    parser.add_argument("base_model", type=Path, help="the base model that the adapter was trained on")
    parser.add_argument("folder", type=Path, help="where the merged model goes; must not exist")
    parser.add_argument(
        "--dequantized-base",
        action="store_true",
        help="for adapters of QLoRA: merge into the base as 4-bit training saw it, which computes as the training did; "
        "without it into the base as it is, which computes as the inference service does",
    )
    parser.add_argument(
        "--trusted-keys", type=Path, metavar="FILE", help="PEM file of public keys, one of which must have signed it"
    )
    given = parser.parse_args(argv)
    # Imported here, so that --help answers at once.
    from trainer_svc.engine.merge import MergeBase, merge_adapter

    try:
        trusted = read_trusted_keys(given.trusted_keys, "--trusted-keys") if given.trusted_keys is not None else None
        merge_adapter(
            given.package,
            _base(given.base_model),
            given.folder,
            onto=MergeBase.DEQUANTIZED if given.dequantized_base else MergeBase.ORIGINAL,
            trusted=trusted,
        )
    except DomainError as err:
        sys.stderr.write(f"{err.reason}: {err}\n")
        return 1
    except OSError as err:
        sys.stderr.write(f"not merged: {err}\n")
        return 1
    return 0


def _base(folder: Path) -> BaseModel:
    """Raises `InvalidInput` (FIELD_INVALID) for what is no base model, also where its config lacks something."""
    try:
        return BaseModel.load(folder)
    except (LookupError, ValueError, TypeError) as err:
        text = f"{folder} holds no config of a model: {type(err).__name__}: {err}"
        raise invalid_field("base_model", text) from err


if __name__ == "__main__":
    sys.exit(main())
