"""Real golden datasets with their contracts, as the gate gets them: rows with a supplied holdout."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from shared.contracts.check import canonicalise
from shared.contracts.spec import ContractKind, ContractSpec
from shared.errors import DomainError
from tests.bench.format_sql import geography

DATA = Path(os.environ.get("GOLDSMITH_DATA", Path(__file__).parents[3] / "shared" / "data"))
SNIPS = ("AddToPlaylist", "BookRestaurant", "GetWeather", "RateBook")


@dataclass(frozen=True)
class Row:
    """As uploaded."""

    input: str
    output: str
    split: str

    @property
    def line(self) -> str:
        """One line of JSON."""
        return json.dumps({"input": self.input, "output": self.output, "split": self.split})


@dataclass(frozen=True)
class GoldenSet:
    """A dataset of one contract."""

    name: str
    spec: ContractSpec
    rows: tuple[Row, ...]

    def keeps_contract(self, output: str) -> bool:
        """Whether an output is one that the contract allows."""
        try:
            canonicalise(self.spec, output)
        except DomainError:
            return False
        return True


def golden_sets(data: Path = DATA) -> Iterator[GoldenSet]:
    """Eight of them."""
    for name in SNIPS:
        yield _set(f"snips {name}", data / "snips", f"{name}.", (data / "snips" / f"{name}.schema.json").read_text())
    for name in ("receipts", "calendar", "banking77"):
        yield _set(name, data / name, "", (data / name / "schema.json").read_text())
    yield GoldenSet("geography", geography(data), _rows(data / "geography", ""))


def mixture(data: Path = DATA, *, count: int = 5_000) -> GoldenSet:
    """That many rows of banking77 and the four Snips sets under a contract that allows them all."""
    parts = [part for part in golden_sets(data) if part.name.startswith(("snips", "banking77"))]
    schemas = [json.loads(part.spec.json_schema) for part in parts]
    for schema in schemas:
        schema.pop("$schema", None)
    rows = [row for part in parts for row in part.rows]
    chosen = random.Random(5).sample(rows, count)
    return GoldenSet("mixture", ContractSpec(ContractKind.JSON, json_schema=json.dumps({"anyOf": schemas})), (*chosen,))


def _set(name: str, folder: Path, prefix: str, schema: str) -> GoldenSet:
    return GoldenSet(name, ContractSpec(ContractKind.JSON, json_schema=schema), _rows(folder, prefix))


def _rows(folder: Path, prefix: str) -> tuple[Row, ...]:
    rows = []
    for split in ("train", "holdout"):
        for line in (folder / f"{prefix}{split}.jsonl").read_text("utf-8").splitlines():
            row = json.loads(line)
            rows.append(Row(row["input"], row["output"], split))
    return tuple(rows)


def upload(rows: list[Row]) -> bytes:
    """JSON Lines; row n is line n + 1."""
    return "\n".join(row.line for row in rows).encode()


def with_split(row: Row, split: str) -> Row:
    """The same row on another side."""
    return replace(row, split=split)
