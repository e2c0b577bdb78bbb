"""A JSON Schema as an output contract: lowered, checked and spelled canonically."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import lru_cache

from jsonschema import ValidationError
from jsonschema.exceptions import UnknownType
from referencing.exceptions import Unresolvable

from shared.contracts.json_schema.emit import emit
from shared.contracts.json_schema.ledger import Ledger
from shared.contracts.json_schema.node import Node
from shared.contracts.json_schema.reader import SchemaReader
from shared.contracts.json_schema.source import malformed, parse_json, parse_schema
from shared.contracts.json_schema.spelling import Speller, escape
from shared.contracts.json_schema.validity import SchemaValidator
from shared.contracts.report import KeywordVerdict, LoweredContract
from shared.errors import FieldViolation, InvalidInput

_MAX_FAULTS = 100


@dataclass(frozen=True)
class JsonContract:
    """A schema that was read without faults."""

    root: Node
    verdicts: tuple[KeywordVerdict, ...]


@lru_cache(maxsize=64)
def read_contract(schema_text: str) -> JsonContract:
    """The contract of a schema; raises `InvalidInput` whose violations name every fault by JSON Pointer."""
    schema = parse_schema(schema_text)
    readable = copy.deepcopy(schema)
    ledger = Ledger()
    faults = malformed(readable)
    parents = [fault.path.partition("#")[2].rpartition("/")[0] for fault in faults]
    root = SchemaReader(readable, ledger, parents).read(readable, "")
    faults += ledger.faults.values()
    if faults or root is None:
        raise InvalidInput(
            "CONTRACT_UNSUPPORTED",
            f"The schema has {len(faults)} part(s) that cannot be guaranteed, the first at {faults[0].path}: "
            f"{faults[0].description}",
            hint="Each violation names its place and what to write instead.",
            violations=faults[:_MAX_FAULTS],
            metadata={"faults": str(len(faults))},
        )
    return JsonContract(root, tuple(ledger.verdicts.values()))


@lru_cache(maxsize=1024)
def _validator(schema_text: str) -> SchemaValidator:
    return SchemaValidator(parse_schema(schema_text))


def lower_schema(schema_text: str) -> LoweredContract:
    """The regular language of all canonical texts of a schema, and the fate of each keyword."""
    contract = read_contract(schema_text)
    return LoweredContract(emit(contract.root), contract.verdicts)


def check_json(schema_text: str, text: str) -> tuple[FieldViolation, ...]:
    """Every fault of a text under a schema; empty when it satisfies it."""
    try:
        value = parse_json(text, exact=False)
    except ValueError as err:
        return (FieldViolation("output", f"is not a JSON document: {err}"),)
    try:
        return tuple(_violation(error) for error in _validator(schema_text).errors(value))
    except (UnknownType, Unresolvable, TypeError, AttributeError):
        read_contract(schema_text)  # raises for a schema that was never accepted
        raise


def canonicalise_json(schema_text: str, text: str) -> str:
    """The canonical spelling of a text; raises `InvalidInput` (`CONTRACT_VIOLATED`) with every fault."""
    faults: list[FieldViolation] = list(check_json(schema_text, text))
    speller = Speller()
    spelled = "" if faults else speller.spell(read_contract(schema_text).root, parse_json(text, exact=True), "")
    faults += speller.faults
    if faults:
        raise InvalidInput(
            "CONTRACT_VIOLATED",
            f"The output breaks its contract at {faults[0].path}: {faults[0].description}",
            violations=faults[:_MAX_FAULTS],
        )
    return spelled


def _violation(error: ValidationError) -> FieldViolation:
    pointer = "".join(f"/{escape(part)}" for part in error.absolute_path)
    return FieldViolation(f"output#{pointer}", error.message[:300])
