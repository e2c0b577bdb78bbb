"""A JSON Schema as an output contract: lowered, checked and spelled canonically."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from jsonschema import ValidationError
from jsonschema.exceptions import UnknownType
from referencing.exceptions import Unresolvable

from shared.contracts.grammar.grammar import Grammar
from shared.contracts.json_schema.dialect import dialect_of
from shared.contracts.json_schema.document import Document
from shared.contracts.json_schema.emission import Emission
from shared.contracts.json_schema.keywords import escape
from shared.contracts.json_schema.ledger import Ledger
from shared.contracts.json_schema.model import Model, ModelBuilder, largest_part
from shared.contracts.json_schema.source import malformed, parse_json, parse_schema
from shared.contracts.json_schema.spelling import Speller
from shared.contracts.json_schema.validity import SchemaValidator
from shared.contracts.json_schema.verdict import report
from shared.contracts.limit import OutOfTime
from shared.contracts.report import KeywordVerdict, LoweredContract
from shared.contracts.spec import ContractSpec, UndeclaredProperties
from shared.errors import FieldViolation, InvalidInput

_MAX_FAULTS = 100


@dataclass(frozen=True)
class JsonContract:
    """A schema that was read without faults."""

    model: Model
    grammar: Grammar
    verdicts: tuple[KeywordVerdict, ...]


@lru_cache(maxsize=64)
def read_contract(schema_text: str, undeclared: UndeclaredProperties) -> JsonContract:
    """The contract of a schema; raises `InvalidInput` whose violations name every fault by JSON Pointer."""
    schema = parse_schema(schema_text)
    dialect = dialect_of(schema)
    faults = malformed(schema, dialect)
    if faults:
        raise _refused(faults)
    document, ledger = Document(schema, dialect), Ledger()
    validator = SchemaValidator(document)
    narrowed = undeclared is UndeclaredProperties.NARROWED
    builder = ModelBuilder(document, validator, ledger, is_narrowed=narrowed)
    model = builder.build()
    if ledger.faults:
        raise _refused(list(ledger.faults.values()))
    try:
        grammar = Emission(model, ledger).grammar()
    except OutOfTime as err:
        raise OutOfTime(largest_part(model)) from err
    return JsonContract(model, grammar, report(document, ledger, model, builder.reached, narrowed=narrowed))


def _refused(faults: list[FieldViolation]) -> InvalidInput:
    return InvalidInput(
        "CONTRACT_UNSUPPORTED",
        f"The schema has {len(faults)} part(s) that cannot be guaranteed, the first at {faults[0].path}: "
        f"{faults[0].description}",
        hint="Each violation names its place and what to write instead.",
        violations=faults[:_MAX_FAULTS],
        metadata={"faults": str(len(faults))},
    )


@lru_cache(maxsize=1024)
def _validator(schema_text: str) -> SchemaValidator:
    schema = parse_schema(schema_text)
    return SchemaValidator(Document(schema, dialect_of(schema)))


def lower_schema(spec: ContractSpec) -> LoweredContract:
    """The grammar of all canonical texts of a schema, and the fate of each keyword."""
    contract = read_contract(spec.json_schema, spec.undeclared_properties)
    return LoweredContract(contract.grammar, contract.verdicts, largest=largest_part(contract.model))


def check_json(spec: ContractSpec, text: str) -> tuple[FieldViolation, ...]:
    """Every fault of a text under a schema; empty when it satisfies it."""
    try:
        value = parse_json(text, exact=False)
    except ValueError as err:
        return (FieldViolation("output", f"is not a JSON document: {err}"),)
    try:
        return tuple(_violation(error) for error in _validator(spec.json_schema).errors(value))
    except RecursionError:
        return (FieldViolation("output", "is nested too deeply to be checked"),)
    except (UnknownType, Unresolvable, TypeError, AttributeError):
        read_contract(spec.json_schema, spec.undeclared_properties)  # raises for a schema that was never accepted
        raise


def canonicalise_json(spec: ContractSpec, text: str) -> str:
    """The canonical spelling of a text; raises `InvalidInput` (`CONTRACT_VIOLATED`) with every fault."""
    faults: list[FieldViolation] = list(check_json(spec, text))
    spelled = ""
    if not faults:
        model = read_contract(spec.json_schema, spec.undeclared_properties).model
        spelled, faults = Speller(model).spell(parse_json(text, exact=True))
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
