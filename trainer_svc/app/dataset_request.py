"""What is asked for when a golden dataset is created: its limits, and what tells one request from another."""

from __future__ import annotations

import dataclasses
import json

from shared.digest import sha256_bytes
from shared.names import ContractName, DatasetName, invalid_field
from trainer_svc.domain.dataset import Dataset, DatasetFormat

MAX_INSTRUCTION_BYTES = 64 << 10
MAX_DATABASE_BYTES = 4 << 20


def check_wanted(name: DatasetName, contract: ContractName, dataset: Dataset) -> None:
    """Raises `InvalidInput` for a contract of another tenant, a seed below 0, and texts that are too long."""
    if contract.tenant != name.tenant:
        raise invalid_field("dataset.contract", "belongs to another tenant")
    if dataset.split_seed < 0:
        raise invalid_field("dataset.split_seed", f"must be 0 or more, got {dataset.split_seed}")
    for path, text, limit in (
        ("dataset.instruction_prompt", dataset.instruction_prompt, MAX_INSTRUCTION_BYTES),
        ("dataset.database_sql", dataset.database_sql, MAX_DATABASE_BYTES),
    ):
        if len(text.encode()) > limit:
            raise invalid_field(path, f"has more than {limit} bytes")


def payload_digest(dataset: Dataset) -> str:
    """Equal where the same was asked for."""
    fields = [dataset.name, dataset.contract, dataset.instruction_prompt, dataset.database_sql]
    form = [dataset.format.value] if dataset.format is not DatasetFormat.JSONL else []
    teacher = [json.dumps(dataclasses.asdict(dataset.teacher))] if dataset.teacher is not None else []
    # A number stands for nothing else in the list, so that a seed is never read as another field.
    seed = [dataset.split_seed] if dataset.split_seed else []
    return sha256_bytes(json.dumps([*fields, *form, *teacher, *seed]).encode())
