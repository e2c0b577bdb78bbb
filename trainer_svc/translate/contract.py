"""Contracts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple

from goldsmith.contract.v1 import contract_pb2 as pb
from goldsmith.contract.v1 import contract_service_pb2
from shared.contracts.report import CompileReport
from shared.contracts.spec import ContractKind, ContractSpec
from shared.names import invalid_field
from shared.rpc.contract_message import definition_of, report_message, spec_of
from shared.rpc.unknown_field import refuse_unknown_fields
from trainer_svc.domain.registry import Contract
from trainer_svc.translate.time import timestamp

MAX_DEFINITION_BYTES = 64 << 10
_REQUIRED = ("contract.json.schema", "contract.sql.ddl", "contract.regex.pattern")


def spec_from(contract: pb.OutputContract) -> ContractSpec:
    """The definition of a request.

    Raises `InvalidInput` when it has none, holds fields of a newer version, or is too long.
    """
    refuse_unknown_fields(contract, "contract")
    spec = spec_of(contract)
    for path, texts in _texts(spec).items():
        if path in _REQUIRED and not any(text.strip() for text in texts):
            raise invalid_field(path, "is required")
        size = sum(len(text.encode()) for text in texts)
        if size > MAX_DEFINITION_BYTES:
            raise invalid_field(path, f"has {size} bytes, the limit is {MAX_DEFINITION_BYTES}")
    return spec


def _texts(spec: ContractSpec) -> dict[str, Sequence[str]]:
    """The texts of a definition by the field that holds them."""
    match spec.kind:
        case ContractKind.JSON:
            return {"contract.json.schema": [spec.json_schema]}
        case ContractKind.SQL:
            return {
                "contract.sql.ddl": [spec.ddl],
                "contract.sql.value_lists": [text for each in spec.value_lists for text in each.values],
                "contract.sql.join_edges": [text for edge in spec.join_edges for text in astuple(edge)],
            }
        case ContractKind.CHOICE:
            return {"contract.choice.choices": spec.choices}
        case ContractKind.REGEX:
            return {"contract.regex.pattern": [spec.pattern]}
        case ContractKind.TEXT:
            return {}


def contract(stored: Contract) -> pb.OutputContract:
    """A contract with its report."""
    message = pb.OutputContract(
        name=stored.name,
        digest=stored.digest,
        report=report_message(stored.report),
        create_time=timestamp(stored.create_time),
    )
    message.MergeFrom(definition_of(ContractSpec.from_canonical(stored.spec.encode())))
    return message


def compiled(spec: ContractSpec, report: CompileReport) -> contract_service_pb2.CompileContractResponse:
    """The outcome of a dry run."""
    return contract_service_pb2.CompileContractResponse(digest=spec.digest, report=report_message(report))
