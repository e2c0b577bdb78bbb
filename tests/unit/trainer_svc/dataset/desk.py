"""The use cases of datasets with a curator."""

from __future__ import annotations

import json
from pathlib import Path

from shared.digest import sha256_bytes
from shared.names import DatasetName
from shared.storage.local import LocalBlobStore
from tests.unit.trainer_svc.dataset.house import NAME, House
from trainer_svc.app.curator import Curator
from trainer_svc.curation.compiled_example import ExampleCompiler
from trainer_svc.curation.row_file import load_rows
from trainer_svc.domain.curation import CurationStep
from trainer_svc.domain.dataset import Dataset, InvalidRowPolicy
from trainer_svc.store.database import Database

NEW = DatasetName("acme", "curated")
STEPS = [CurationStep.DROP_DUPLICATES, CurationStep.UNICODE_NFC]
DATA = b"".join(json.dumps({"input": f"row {number % 35}", "output": True}).encode() + b"\n" for number in range(40))


class Desk(House):
    """The use cases with a curator."""

    def __init__(self, folder: Path, database: Database, compiler: ExampleCompiler) -> None:
        super().__init__(folder, database, compiler)
        self.folder = folder
        self.curator = Curator(database, LocalBlobStore(folder / "blobs"), self.clock, compiler=compiler)

    async def source(
        self, data: bytes = DATA, policy: InvalidRowPolicy = InvalidRowPolicy.REFUSE, *, name: DatasetName = NAME,
        split_seed: int = 0,
    ) -> Dataset:  # fmt: skip
        """A sealed dataset."""
        await self.create(split_seed=split_seed, name=name)
        await self.datasets.upload(name, 0, data)
        return await self.datasets.seal(name, len(data), sha256_bytes(data), policy)

    def held(self, dataset: Dataset) -> set[int]:
        """Numbers of the rows that are held out."""
        blobs = LocalBlobStore(self.folder / "blobs")
        return {row.row for row in load_rows(blobs.read(dataset.holdout_rows))}
