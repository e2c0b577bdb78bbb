"""A tiny task for the training engine: a two-layer Llama with random weights, a contract and rows."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from shared.base_model import BaseModel
from shared.contracts.spec import ContractKind, ContractSpec
from tests.conftest import write_tiny_base
from trainer_svc.domain.dataset import CheckedRow

CONTRACT = ContractSpec(
    ContractKind.JSON,
    json_schema=json.dumps(
        {
            "type": "object",
            "properties": {
                "city": {"enum": ["Rome", "Oslo", "Lima"]},
                "count": {"type": "integer", "minimum": 0, "maximum": 99},
            },
            "required": ["city", "count"],
            "additionalProperties": False,
        }
    ),
)


def tiny_llama(folder: Path) -> BaseModel:
    """Writes the base model, the same weights each time, and loads what both services see of it."""
    write_tiny_base(folder)
    config = LlamaConfig.from_pretrained(folder)
    torch.manual_seed(0)
    keep = {path.name: path.read_bytes() for path in folder.iterdir()}
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    for name, data in keep.items():
        (folder / name).write_bytes(data)
    return BaseModel.load(folder)


def rows(count: int) -> list[CheckedRow]:
    """Golden rows whose answers can be read off their inputs."""
    cities = ("Rome", "Oslo", "Lima")
    return [
        CheckedRow(i, f"{i % 100} people in {cities[i % 3]}", f'{{"city":"{cities[i % 3]}","count":{i % 100}}}')
        for i in range(count)
    ]
