"""Chooses the engine of a contract, builds what it runs, and reports on it."""

from __future__ import annotations

import os
import resource
import tempfile
from pathlib import Path

from shared.contracts.automaton import TokenAutomaton
from shared.contracts.automaton_guide import AutomatonGuide
from shared.contracts.compiled import CompiledContract
from shared.contracts.grammar.expression import Expression, regex
from shared.contracts.index import build_automaton
from shared.contracts.limit import TOO_SLOW, OutOfTime, processor_time, too_large
from shared.contracts.lower import lower
from shared.contracts.measure import longest_tokens, typical_tokens
from shared.contracts.report import CompileReport, EngineName, LoweredContract
from shared.contracts.spec import ContractKind, ContractSpec
from shared.contracts.vocabulary import TokenVocabulary
from shared.errors import InvalidInput

_MAX_EDGES = 16_000_000
"""Places of an expression times tokens of the vocabulary that an index is tried for: 488 places at 32,768 tokens, 122
at 131,072. An index costs a look at every token in every state, and as many edges inside of strings."""
_SMALL_VOCABULARY, _SMALL_PLACES = 4_096, 60_000
"""With so few tokens the number of states is what counts, not their edges: the quickstart's sales take 48,869 places,
11,623 states and 0.5 s."""
_INDEX_SECONDS = 2
"""Processor time that the attempt may take, so that the engine does not depend on how busy the machine is; some short
expressions have automata of millions of states."""
_INDEX_FAILED = 5
_MAX_TOKENS = 2**31 - 1
"""Of an answer: what a report has room for, and more than any context. A longer limit is none."""


def compile_contract(
    spec: ContractSpec, vocabulary: TokenVocabulary, *, max_states: int, seconds: float
) -> CompiledContract:
    """Lowers and builds a contract within `seconds` of processor time of the main thread.

    Raises `InvalidInput` as `lower` and `build_contract` do, and `CONTRACT_TOO_LARGE` naming the largest part when the
    time is over.
    """
    pointer = ""
    try:
        with processor_time(seconds):
            lowered = lower(spec)
            pointer = lowered.largest
            return build_contract(spec, lowered, vocabulary, max_states)
    except OutOfTime as err:
        raise too_large(TOO_SLOW, _place(spec, err.pointer or pointer)) from err


def _place(spec: ContractSpec, pointer: str) -> str:
    """Field path of a part of the definition."""
    if spec.kind is ContractKind.JSON:
        return f"json_schema#{pointer}"
    fields = {ContractKind.SQL: "ddl", ContractKind.CHOICE: "choices", ContractKind.REGEX: "pattern"}
    return fields.get(spec.kind, "contract")


def build_contract(
    spec: ContractSpec, lowered: LoweredContract, vocabulary: TokenVocabulary, max_states: int
) -> CompiledContract:
    """A compiled contract: an automaton where the language is regular and small, else a grammar for llguidance.

    Raises `InvalidInput`: `CONTRACT_TOO_LARGE` (also where no answer is short enough to be asked for) or
    `CONTRACT_UNSUPPORTED`.
    """
    places = _SMALL_PLACES if vocabulary.size <= _SMALL_VOCABULARY else _MAX_EDGES // vocabulary.size
    expression = lowered.grammar.expression(min(max_states, places))
    automaton = None if expression is None else _try_automaton(expression, vocabulary, max_states)
    if automaton is not None:
        return _with_automaton(spec, lowered, vocabulary, automaton)
    return _with_grammar(spec, lowered, vocabulary)


def _with_automaton(
    spec: ContractSpec, lowered: LoweredContract, vocabulary: TokenVocabulary, automaton: TokenAutomaton
) -> CompiledContract:
    report = CompileReport(
        guarantee=lowered.guarantee,
        engine=EngineName.OUTLINES,
        state_count=automaton.state_count,
        min_tokens=automaton.min_tokens,
        typical_tokens=typical_tokens(lambda: AutomatonGuide(automaton)),
        max_tokens=longest_tokens(automaton),
        verdicts=lowered.verdicts,
    )
    return CompiledContract(spec, vocabulary.digest, report, automaton)


def _with_grammar(spec: ContractSpec, lowered: LoweredContract, vocabulary: TokenVocabulary) -> CompiledContract:
    from shared.contracts.grammar_guide import GrammarGuide
    from shared.contracts.grammar_machine import GrammarMachine

    machine = GrammarMachine.of(lowered.grammar, vocabulary)
    if machine.min_tokens > _MAX_TOKENS:
        raise too_large(f"has no answer of fewer than {machine.min_tokens} tokens", _place(spec, lowered.largest))
    longest = machine.max_tokens
    report = CompileReport(
        guarantee=lowered.guarantee,
        engine=EngineName.LLGUIDANCE,
        state_count=machine.network.state_count,
        min_tokens=machine.min_tokens,
        typical_tokens=typical_tokens(lambda: GrammarGuide(machine)),
        max_tokens=None if longest is None or longest > _MAX_TOKENS else longest,
        verdicts=lowered.verdicts,
    )
    return CompiledContract(spec, vocabulary.digest, report, machine)


def _try_automaton(expression: Expression, vocabulary: TokenVocabulary, max_states: int) -> TokenAutomaton | None:
    """The automaton of an expression; None when it takes too many states, too long or too much memory.

    Built in a process of its own, which is killed when its time is over: the index knows no limits. Raises
    `InvalidInput` (`CONTRACT_UNSUPPORTED`) when the vocabulary spells no text of it.
    """
    with tempfile.TemporaryDirectory() as folder:
        child = os.fork()  # the worker has one thread
        if child == 0:
            os._exit(_build_into(Path(folder), expression, vocabulary, max_states))
        _, status = os.waitpid(child, 0)
        if status == 0:
            automaton = TokenAutomaton.load(Path(folder), is_mapped=False)
            return automaton if automaton.state_count <= max_states else None
    return None


def _build_into(folder: Path, expression: Expression, vocabulary: TokenVocabulary, max_states: int) -> int:
    resource.setrlimit(resource.RLIMIT_CPU, (_INDEX_SECONDS, _INDEX_SECONDS))
    try:
        build_automaton(regex(expression), vocabulary, max_states=max_states).save(folder)
    except (InvalidInput, MemoryError, RecursionError):
        return _INDEX_FAILED
    except BaseException:  # the parent falls back to the grammar, and the child must never return into its code
        return 1
    return 0
