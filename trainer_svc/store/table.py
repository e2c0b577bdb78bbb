"""Tables of the trainer's database. Key columns are relational; the rest of a resource is its JSON `body`."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Index, Integer, MetaData, String, Table, Text

from shared.usage import COUNTERS

metadata = MetaData()

contracts = Table(
    "contracts", metadata,
    Column("tenant", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("body", Text, nullable=False),
)  # fmt: skip

datasets = Table(
    "datasets", metadata,
    Column("tenant", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("body", Text, nullable=False),
)  # fmt: skip

findings = Table(
    "findings", metadata,
    Column("tenant", String, primary_key=True),
    Column("dataset", String, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("row_number", Integer, nullable=False),
    Column("reason", String, nullable=False),
    Column("path", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("blocking", Boolean, nullable=False),
    Column("related_rows", JSON, nullable=False, server_default="[]"),
)  # fmt: skip

jobs = Table(
    "jobs", metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("tenant", String, nullable=False),
    Column("id", String, nullable=False),
    Column("state", String, nullable=False),
    Column("body", Text, nullable=False),
    Index("jobs_by_name", "tenant", "id", unique=True),
    Index("jobs_by_state", "state", "number"),
    sqlite_autoincrement=True,
)  # fmt: skip

events = Table(
    "events", metadata,
    Column("tenant", String, primary_key=True),
    Column("job", String, primary_key=True),
    Column("sequence", Integer, primary_key=True),
    Column("body", Text, nullable=False),
)  # fmt: skip

revisions = Table(
    "revisions", metadata,
    Column("tenant", String, primary_key=True),
    Column("adapter", String, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("body", Text, nullable=False),
)  # fmt: skip

aliases = Table(
    "aliases", metadata,
    Column("tenant", String, primary_key=True),
    Column("adapter", String, primary_key=True),
    Column("alias", String, primary_key=True),
    Column("body", Text, nullable=False),
)  # fmt: skip

alias_changes = Table(
    "alias_changes", metadata,
    Column("cursor", Integer, primary_key=True, autoincrement=True),
    Column("body", Text, nullable=False),
    sqlite_autoincrement=True,
)  # fmt: skip

promotion_policies = Table(
    "promotion_policies", metadata,
    Column("tenant", String, primary_key=True),
    Column("adapter", String, primary_key=True),
    Column("body", Text, nullable=False),
)  # fmt: skip

# The audit record: rows are only ever added.
promotions = Table(
    "promotions", metadata,
    Column("tenant", String, primary_key=True),
    Column("adapter", String, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("alias", String, nullable=False),
    Column("way", String, nullable=False),
    Column("revision", String, nullable=False),
    Column("body", Text, nullable=False),
    Index("promotions_by_alias", "tenant", "adapter", "alias", "number"),
)  # fmt: skip

# What the newest runs took; of no tenant, since it says something about the machine alone.
calibrations = Table(
    "calibrations", metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("base_model_digest", String, nullable=False),
    Column("mode", String, nullable=False),
    Column("threads", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Index("calibrations_by_kind", "base_model_digest", "mode", "threads"),
    sqlite_autoincrement=True,
)  # fmt: skip

preference_studies = Table(
    "preference_studies", metadata,
    Column("tenant", String, primary_key=True),
    Column("adapter", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("body", Text, nullable=False),
)  # fmt: skip

# One row a verdict, so that reviewers who submit at once do not write over each other.
preference_verdicts = Table(
    "preference_verdicts", metadata,
    Column("tenant", String, primary_key=True),
    Column("adapter", String, primary_key=True),
    Column("study", String, primary_key=True),
    Column("pair", String, primary_key=True),
    Column("reviewer", String, primary_key=True),
    Column("choice", String, nullable=False),
    Column("comment", Text, nullable=False),
)  # fmt: skip

# What replicas of the inference service counted: absolute counters by hours since 1970, UTC. The base model without an
# adapter has an empty adapter and revision 0. Rows are kept for ever: 9,000 a year for a busy revision and replica.
usage = Table(
    "usage", metadata,
    Column("tenant", String, primary_key=True),
    Column("adapter", String, primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("hour", Integer, primary_key=True),
    Column("replica_id", String, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    *(Column(name, BigInteger, nullable=False) for name in COUNTERS),
    Index("usage_by_hour", "tenant", "hour", "adapter", "revision"),
)  # fmt: skip

# In the same transaction as the row that the request creates, so that a repeat finds either both or neither.
request_ids = Table(
    "request_ids", metadata,
    Column("tenant", String, primary_key=True),
    Column("method", String, primary_key=True),
    Column("request_id", String, primary_key=True),
    Column("payload_digest", String, nullable=False),
)  # fmt: skip
