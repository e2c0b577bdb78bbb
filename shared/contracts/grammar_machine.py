"""A contract as a grammar over one vocabulary: the form that llguidance runs, with our own way to the end."""

from __future__ import annotations

from pathlib import Path

from shared.contracts.grammar.grammar import Grammar
from shared.contracts.grammar.lark import lark
from shared.contracts.grammar.longest import longest_bytes
from shared.contracts.grammar.masker import Masker
from shared.contracts.grammar.network import ENDLESS, Network
from shared.contracts.grammar.parser import Parser
from shared.contracts.grammar.planner import Planner
from shared.contracts.grammar.serial import grammar_from_json, grammar_to_json
from shared.contracts.index import too_poor
from shared.contracts.limit import too_large
from shared.contracts.token_table import TokenTable, token_table
from shared.contracts.vocabulary import TokenVocabulary
from shared.errors import DataLoss
from shared.lazy import cached_property

GRAMMAR_FILE = "grammar.json"
VOCABULARY_FILE = "vocabulary.json"


class GrammarMachine:
    """Everything that the answers of one contract share. The parts are made when they are first needed."""

    def __init__(self, grammar: Grammar, table: TokenTable) -> None:
        self.grammar, self.table = grammar, table

    @classmethod
    def of(cls, grammar: Grammar, vocabulary: TokenVocabulary) -> GrammarMachine:
        """The machine of a grammar, tried out.

        Raises `InvalidInput`: `CONTRACT_UNSUPPORTED` when the vocabulary cannot spell every text or there is none,
        `CONTRACT_TOO_LARGE` when the parser does not take it.
        """
        machine = cls(grammar, token_table(vocabulary.digest, lambda: vocabulary))
        machine.planner  # noqa: B018  # which finds maps that ask for more keys than there are
        if any(rule.is_dead for rule in machine.network.rules.values()):
            raise too_large("asks for more different keys or items than there are, or than can be told apart")
        if machine.table.missing_bytes(machine.network.bytes) or machine.min_tokens >= ENDLESS:
            raise too_poor()
        error = machine._parser.error
        if error:
            raise too_large(f"is more than the parser takes ({error.splitlines()[0][:200]})")
        return machine

    @cached_property
    def network(self) -> Network:
        """The grammar, measured."""
        return Network(self.grammar, self.table.costs)

    @cached_property
    def planner(self) -> Planner:
        """The ways to the end."""
        return Planner(self.network, self.table)

    @cached_property
    def masker(self) -> Masker:
        """The masks."""
        return Masker(self.network, self.planner, self.table)

    @cached_property
    def _parser(self) -> Parser:
        return Parser.of(self.table.parser_tokens, lark(self._live))

    @property
    def _live(self) -> Grammar:
        """The grammar without what never completes, into which the parser would lead otherwise."""
        dead = {name for name, rule in self.network.rules.items() if rule.body.cost >= ENDLESS}
        return self.grammar.without(frozenset(dead)) if dead else self.grammar

    def new_parser(self) -> Parser:
        """A parser for one answer."""
        return self._parser.copy()

    @cached_property
    def min_tokens(self) -> int:
        """Fewest tokens of a complete answer that are known to do, the stop token included."""
        start = self.planner.tracker.start
        cost = self.planner.cost(start)
        plan = self.planner.plan(start) if cost < ENDLESS else None
        return cost if plan is None else min(cost, len(plan) + 1)

    @property
    def max_tokens(self) -> int | None:
        """Most tokens of an answer, each a byte, and the stop token; None when there is no limit."""
        longest = longest_bytes(self.network)
        return None if longest is None else longest + 1

    def save(self, folder: Path) -> None:
        """Write the grammar and its vocabulary into `folder`, which must exist."""
        (folder / GRAMMAR_FILE).write_bytes(grammar_to_json(self.grammar))
        (folder / VOCABULARY_FILE).write_bytes(self.table.vocabulary.to_json())

    @classmethod
    def load(cls, folder: Path, vocabulary_digest: str) -> GrammarMachine:
        """Read what `save` wrote; the vocabulary only where this process does not have it. Raises `DataLoss`."""
        try:
            grammar = grammar_from_json((folder / GRAMMAR_FILE).read_bytes())
            table = token_table(
                vocabulary_digest, lambda: TokenVocabulary.from_json((folder / VOCABULARY_FILE).read_bytes())
            )
        except (OSError, ValueError, KeyError, TypeError) as err:
            raise DataLoss("DIGEST_MISMATCH", f"The stored grammar {folder.name} cannot be read: {err}.") from err
        return cls(grammar, table)
