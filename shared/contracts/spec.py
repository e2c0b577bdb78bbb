"""What a tenant promises to get: an output contract before it is compiled."""

from __future__ import annotations

import enum
import hashlib
import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from shared.lazy import cached_property


class ContractKind(enum.StrEnum):
    """The kinds of output a contract can promise."""

    JSON = "json"
    SQL = "sql"
    CHOICE = "choice"
    REGEX = "regex"
    TEXT = "text"


class UndeclaredProperties(enum.StrEnum):
    """What an object schema that is silent about `additionalProperties` lets an answer hold."""

    NARROWED = "narrowed"
    """Declared properties only, where there are any: what extraction wants. Reported, never silent."""
    AS_WRITTEN = "as_written"
    """Any further property, as JSON Schema has it."""


class SqlProfile(enum.StrEnum):
    """How much SQL a contract of kind `SQL` can say."""

    FLAT = "flat"
    """Subqueries to a bounded depth: small enough for a token automaton."""
    NESTED = "nested"
    """Derived tables and subqueries wherever a value or a set may stand."""


@dataclass(frozen=True)
class ValueList:
    """The values that one column really holds: literals compared with it are among them."""

    table: str
    column: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class JoinEdge:
    """Two columns that may be joined on although no foreign key says so."""

    table: str
    column: str
    other_table: str
    other_column: str


@dataclass(frozen=True)
class ContractSpec:
    """An output contract as its owner wrote it. Each kind uses its own fields and leaves the others at their defaults.

    `JSON`: `json_schema` (JSON text of a schema), `undeclared_properties`. `SQL`: `ddl` (CREATE TABLE statements),
    `dialect` (as sqlglot names it), `profile`, `value_lists`, `join_edges`. `CHOICE`: `choices`, the answers in full.
    `REGEX`: `pattern`, which the whole answer matches. `TEXT`: `max_chars`, code points; 0 is no limit.
    """

    kind: ContractKind
    json_schema: str = ""
    undeclared_properties: UndeclaredProperties = UndeclaredProperties.NARROWED
    ddl: str = ""
    dialect: str = "sqlite"
    profile: SqlProfile = SqlProfile.FLAT
    value_lists: tuple[ValueList, ...] = ()
    join_edges: tuple[JoinEdge, ...] = ()
    choices: tuple[str, ...] = ()
    pattern: str = ""
    max_chars: int = 0

    def canonical(self) -> bytes:
        """Bytes that are equal exactly when two specs are: sorted, compact JSON, defaults left out."""
        plain = asdict(self)
        body = {field.name: plain[field.name] for field in fields(self) if plain[field.name] != field.default}
        return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    @cached_property
    def digest(self) -> str:
        """`sha256:<hex>` over `canonical()`."""
        return "sha256:" + hashlib.sha256(self.canonical()).hexdigest()

    @classmethod
    def from_canonical(cls, data: bytes) -> ContractSpec:
        """Inverse of `canonical()`."""
        body: dict[str, Any] = json.loads(data)  # Any: our own JSON, read field by field
        enums = {"undeclared_properties": UndeclaredProperties, "profile": SqlProfile}
        body |= {name: kind(body[name]) for name, kind in enums.items() if name in body}
        rows = {"value_lists": ValueList, "join_edges": JoinEdge}
        for name, row in rows.items():
            if name in body:
                body[name] = tuple(row(**{k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()})
                                   for entry in body[name])  # fmt: skip
        if "choices" in body:
            body["choices"] = tuple(body["choices"])
        return cls(ContractKind(body.pop("kind")), **body)
