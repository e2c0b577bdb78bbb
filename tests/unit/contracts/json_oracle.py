"""What every contract of a schema must keep, asked of the `jsonschema` library itself."""

from __future__ import annotations

import json
import random
from typing import Any

from shared.contracts.check import canonicalise, check_output
from shared.contracts.json_schema.dialect import dialect_of
from shared.contracts.json_schema.value import same_value
from shared.contracts.lower import lower
from shared.contracts.report import Guarantee
from shared.contracts.spec import ContractKind, ContractSpec, UndeclaredProperties
from shared.errors import InvalidInput
from tests.derivation import KeyTwice, RandomTexts
from tests.unit.contracts.grammar_oracle import Oracle

Json = Any  # JSON values


class SchemaCase:
    """One schema with its contract, its grammar read literally, and the library's validator."""

    def __init__(self, schema: dict[str, Json], undeclared: UndeclaredProperties) -> None:
        self.spec = ContractSpec(ContractKind.JSON, json.dumps(schema), undeclared_properties=undeclared)
        self.lowered = lower(self.spec)
        self.grammar = self.lowered.grammar
        self._oracle = Oracle(self.grammar)
        self._library = dialect_of(schema).validator(schema)

    @property
    def is_certain(self) -> bool:
        """Whether the grammar alone keeps the schema."""
        return self.lowered.guarantee is Guarantee.CERTAIN

    def derives(self, text: str) -> bool:
        """Whether the grammar derives a text; keys that repeat are not looked at."""
        return self._oracle.accepts(text)

    def is_valid(self, value: Json) -> bool:
        """The library's opinion; it takes formats for annotations."""
        return bool(self._library.is_valid(value))

    def spelled(self, value: Json) -> str | None:
        """The canonical text, which the grammar derives; None where there is none."""
        try:
            text = canonicalise(self.spec, json.dumps(value))
        except InvalidInput:
            return None
        assert self.derives(text), text
        assert check_output(self.spec, text) == ()
        return text

    def check_derivations(self, rng: random.Random, count: int) -> int:
        """Every text of the grammar is valid, and its canonical text is an equal value; returns how many were derived.

        A checked contract may also derive invalid texts. Not every text is canonical: branches that name members in
        different orders spell an object in either.
        """
        texts, derived = RandomTexts(self.grammar, rng, eagerness=0.65, enough=100), 0
        for _ in range(count):
            try:
                text = texts.draw()
            except KeyTwice:
                continue
            derived += 1
            faults = check_output(self.spec, text)
            assert not faults or not self.is_certain, (text, faults)
            if not faults:
                spelled = canonicalise(self.spec, text)
                assert self.is_valid(json.loads(text)), text
                assert same_value(json.loads(spelled), json.loads(text)), text
                assert canonicalise(self.spec, spelled) == spelled, text
        return derived
