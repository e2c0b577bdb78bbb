"""What a tenant promises to get: an output contract before it is compiled."""

from __future__ import annotations

import enum
import hashlib
import json
from dataclasses import dataclass
from functools import cached_property


class ContractKind(enum.StrEnum):
    """The kinds of output a contract can promise."""

    JSON = "json"
    SQL = "sql"


@dataclass(frozen=True)
class ContractSpec:
    """An output contract as its owner wrote it.

    Exactly one of the two groups is used: `json_schema` (JSON text of a Draft 2020-12 schema) for `JSON`, `ddl`
    (CREATE TABLE statements) and `dialect` for `SQL`.
    """

    kind: ContractKind
    json_schema: str = ""
    ddl: str = ""
    dialect: str = "sqlite"

    def canonical(self) -> bytes:
        """Bytes that are equal exactly when two specs are: sorted, compact JSON."""
        body = {"kind": self.kind.value}
        if self.kind is ContractKind.JSON:
            body["json_schema"] = self.json_schema
        else:
            body |= {"ddl": self.ddl, "dialect": self.dialect}
        return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    @cached_property
    def digest(self) -> str:
        """`sha256:<hex>` over `canonical()`."""
        return "sha256:" + hashlib.sha256(self.canonical()).hexdigest()

    @classmethod
    def from_canonical(cls, data: bytes) -> ContractSpec:
        """Inverse of `canonical()`."""
        body = json.loads(data)
        return cls(ContractKind(body.pop("kind")), **body)
