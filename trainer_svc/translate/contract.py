"""Contracts."""

from __future__ import annotations

from goldsmith.contract.v1 import contract_pb2 as pb
from shared.contracts.report import KeywordFate
from shared.contracts.spec import ContractKind, ContractSpec
from shared.names import invalid_field
from trainer_svc.domain.registry import Contract
from trainer_svc.translate.time import timestamp

MAX_DEFINITION_BYTES = 64 << 10
_FATES = {fate: pb.KeywordFate.Value(f"KEYWORD_FATE_{fate.name}") for fate in KeywordFate}


def spec_from(contract: pb.OutputContract) -> ContractSpec:
    """The definition of a request. Raises `InvalidInput` when it has none or is too long."""
    kind = contract.WhichOneof("definition")
    if kind is None:
        raise invalid_field("contract", "needs a definition: json or sql")
    if kind == "json":
        spec = ContractSpec(ContractKind.JSON, json_schema=contract.json.schema)
        path, text = "contract.json.schema", contract.json.schema
    else:
        spec = ContractSpec(ContractKind.SQL, ddl=contract.sql.ddl)
        path, text = "contract.sql.ddl", contract.sql.ddl
    if not text.strip():
        raise invalid_field(path, "is required")
    if len(text.encode()) > MAX_DEFINITION_BYTES:
        raise invalid_field(path, f"has more than {MAX_DEFINITION_BYTES} bytes")
    return spec


def contract(stored: Contract) -> pb.OutputContract:
    """A contract with its report."""
    message = pb.OutputContract(
        name=stored.name,
        digest=stored.digest,
        report=pb.ContractReport(
            state_count=stored.state_count,
            min_output_tokens=stored.min_output_tokens,
            verdicts=[pb.KeywordVerdict(pointer=v.pointer, fate=_FATES[v.fate], note=v.note) for v in stored.verdicts],
        ),
        create_time=timestamp(stored.create_time),
    )
    spec = ContractSpec.from_canonical(stored.spec.encode())
    if spec.kind is ContractKind.JSON:
        message.json.schema = spec.json_schema
    else:
        message.sql.ddl = spec.ddl
        message.sql.dialect = pb.SQL_DIALECT_SQLITE
    return message
