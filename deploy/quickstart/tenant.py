"""What a team brings to Goldsmith: golden rows, the contract of their outputs, and the prompt they use today."""

from __future__ import annotations

import json
from dataclasses import dataclass

from shared.contracts.spec import ContractKind, ContractSpec


@dataclass(frozen=True)
class GoldenRow:
    """One golden example."""

    input: str
    output: str


@dataclass(frozen=True)
class DemoTenant:
    """One team's golden dataset with everything around it."""

    id: str
    kind: ContractKind
    schema: str
    """JSON Schema text, or DDL."""
    instruction_prompt: str
    """About 1,000 tokens: what the team sends with every request until it has an adapter."""
    train: tuple[GoldenRow, ...]
    holdout: tuple[GoldenRow, ...]
    database_sql: str = ""
    """SQL only: INSERT statements, for execution match."""

    @property
    def spec(self) -> ContractSpec:
        """The output contract."""
        if self.kind is ContractKind.JSON:
            return ContractSpec(self.kind, json_schema=self.schema)
        return ContractSpec(self.kind, ddl=self.schema)

    def upload(self) -> bytes:
        """The golden dataset as JSON Lines, each row with its split."""
        splits = (("train", self.train), ("holdout", self.holdout))
        lines = [
            json.dumps({"input": row.input, "output": row.output, "split": split}, ensure_ascii=False)
            for split, rows in splits
            for row in rows
        ]
        return ("\n".join(lines) + "\n").encode()
