"""A compiled contract: everything the serving path needs to hold a promise, read-only."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

from shared.contracts.automaton import TokenAutomaton
from shared.contracts.check import canonicalise, check_output
from shared.contracts.report import KeywordVerdict
from shared.contracts.spec import ContractSpec
from shared.errors import FieldViolation

COMPILER_VERSION = "2"
"""Part of every digest: raise it whenever the same contract compiles to another automaton."""


def contract_digest(spec: ContractSpec, vocabulary_digest: str) -> str:
    """`sha256:<hex>` that names the automaton of this contract over this vocabulary by this compiler."""
    parts = f"{spec.digest}\n{vocabulary_digest}\n{COMPILER_VERSION}"
    return "sha256:" + hashlib.sha256(parts.encode()).hexdigest()


@dataclass(frozen=True)
class CompiledContract:
    """A contract with its token automaton; immutable and shared by all requests that name it."""

    spec: ContractSpec
    vocabulary_digest: str
    verdicts: tuple[KeywordVerdict, ...]
    automaton: TokenAutomaton

    @cached_property
    def digest(self) -> str:
        """`sha256:<hex>` of contract, vocabulary and compiler version: the name of its folder and of its grammar."""
        return contract_digest(self.spec, self.vocabulary_digest)

    @property
    def min_tokens(self) -> int:
        """Fewest tokens of a complete answer, the stop token included; a smaller `max_tokens` must be refused."""
        return self.automaton.min_tokens

    def check(self, text: str) -> tuple[FieldViolation, ...]:
        """Every fault of a finished text; empty when it keeps the contract."""
        return check_output(self.spec, text)

    def canonicalise(self, text: str) -> str:
        """The spelling of `text` that the automaton can produce; raises `InvalidInput` (`CONTRACT_VIOLATED`)."""
        return canonicalise(self.spec, text)
