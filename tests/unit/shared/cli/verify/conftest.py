"""A sound package."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.base_model import BaseModel
from shared.contracts.spec import ContractKind, ContractSpec
from shared.prompt import PromptRenderer
from tests.adapter_file import write_random_package

SPEC = ContractSpec(ContractKind.JSON, json_schema='{"type":"boolean"}')
CONTRACT = "tenants/acme/contracts/answer"


@pytest.fixture
def package(tiny_base: BaseModel, tmp_path: Path) -> Path:
    """A sound one, not signed."""
    folder, digest = tmp_path / "package", PromptRenderer.load(tiny_base).digest
    write_random_package(tiny_base, folder, rank=4, seed=1, prompt_digest=digest, contract=CONTRACT, spec=SPEC)
    return folder
