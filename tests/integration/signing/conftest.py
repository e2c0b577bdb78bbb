"""One running trainer for all tests of this folder, with revisions of several signers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.adapter.package import WEIGHTS_NAME
from shared.base_model import BaseModel
from shared.client import TrainerClient
from shared.digest import hex_part
from tests.integration.signing.house import ONE, OTHER, ROTTEN, publish_revision
from tests.trainer_process import trainer_process


@pytest.fixture(scope="package")
def address(tiny_base: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where four revisions of one adapter are: signed, not signed, by a stranger, and signed with bytes that rotted."""
    folder = tmp_path_factory.mktemp("trainer")
    data = folder / "data"
    data.mkdir()
    for number, operator in enumerate((ONE, None, OTHER, ONE), 1):
        publish_revision(data, folder, tiny_base, number, operator)
    with trainer_process(
        folder, tiny_base.folder, parallel_jobs="0", signing_key_file=str(ONE.write_private(folder / "signing.pem"))
    ) as process:
        address = process.wait_ready(60)
        with TrainerClient(address) as trainer:
            rotten = next(f for f in trainer.revision(ROTTEN).files if f.filename == WEIGHTS_NAME)
        path = data / "blobs" / hex_part(rotten.digest)
        path.write_bytes(path.read_bytes()[::-1])
        yield address
