"""A compiled contract: everything the serving path needs to hold a promise, read-only."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.contracts.automaton import TokenAutomaton
from shared.contracts.automaton_guide import AutomatonGuide
from shared.contracts.check import canonicalise, check_output
from shared.contracts.guide import Guide
from shared.contracts.report import CompileReport, KeywordVerdict
from shared.contracts.spec import ContractSpec
from shared.errors import FieldViolation
from shared.lazy import cached_property

if TYPE_CHECKING:  # it brings llguidance, which contracts with an automaton do without
    from shared.contracts.grammar_machine import GrammarMachine

COMPILER_VERSION = "5"
"""Part of every digest: raise it whenever the same contract compiles to another automaton."""


def contract_digest(spec: ContractSpec, vocabulary_digest: str) -> str:
    """`sha256:<hex>` that names the automaton of this contract over this vocabulary by this compiler."""
    parts = f"{spec.digest}\n{vocabulary_digest}\n{COMPILER_VERSION}"
    return "sha256:" + hashlib.sha256(parts.encode()).hexdigest()


@dataclass(frozen=True)
class CompiledContract:
    """A contract in the form that its engine runs; immutable and shared by all requests that name it."""

    spec: ContractSpec
    vocabulary_digest: str
    report: CompileReport
    machine: TokenAutomaton | GrammarMachine

    @cached_property
    def digest(self) -> str:
        """`sha256:<hex>` of contract, vocabulary and compiler version: the name of its folder and of its grammar."""
        return contract_digest(self.spec, self.vocabulary_digest)

    @property
    def min_tokens(self) -> int:
        """Fewest tokens of a complete answer, the stop token included; a smaller `max_tokens` must be refused."""
        return self.report.min_tokens

    @property
    def verdicts(self) -> tuple[KeywordVerdict, ...]:
        """The fate of each keyword."""
        return self.report.verdicts

    @property
    def automaton(self) -> TokenAutomaton:
        """The token automaton of a contract whose engine is `OUTLINES`."""
        assert isinstance(self.machine, TokenAutomaton), self.report.engine
        return self.machine

    def guide(self) -> Guide:
        """A walk over the contract for one new answer."""
        if isinstance(self.machine, TokenAutomaton):
            return AutomatonGuide(self.machine)
        from shared.contracts.grammar_guide import GrammarGuide

        return GrammarGuide(self.machine)

    def check(self, text: str) -> tuple[FieldViolation, ...]:
        """Every fault of a finished text; empty when it keeps the contract."""
        return check_output(self.spec, text)

    def canonicalise(self, text: str) -> str:
        """The spelling of `text` that the engine can produce; raises `InvalidInput` (`CONTRACT_VIOLATED`)."""
        return canonicalise(self.spec, text)
