"""llguidance behind one small class: masks of an Earley parser over a grammar, and nothing else of it is trusted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from llguidance import LLMatcher, LLParserLimits, LLTokenizer, TokenizerWrapper
from numpy.typing import NDArray

from shared.contracts.token_table import TokenTable
from shared.lazy import cached_property

_LIMITS = LLParserLimits(
    max_items_in_row=50_000,
    initial_lexer_fuel=20_000_000,
    step_lexer_fuel=1_000_000,
    step_max_items=500_000,
    max_lexer_states=100_000,
    max_grammar_size=5_000_000,
    verbose_errors=False,
)
"""llguidance 1.7.6 stops large schemas by default. At its own figures a step now takes at most 70 ms for the lexer and
25 ms for the parser, and the lexer's states 200 MiB; what is beyond goes on without it, see `Parser.mask`."""


class ParserTokens:
    """A vocabulary as llguidance wants it; costs about as much as the vocabulary, so one per process."""

    def __init__(self, table: TokenTable) -> None:
        self._table = table
        self.word_count = (table.vocabulary.size + 31) // 32

    @cached_property
    def tokenizer(self) -> LLTokenizer:
        """Ordinary tokens only; all others are special, and so in no text."""
        vocabulary = self._table.vocabulary
        return LLTokenizer(TokenizerWrapper(_Segmenter(self._table)), n_vocab=vocabulary.size, slices=None)


class _Segmenter:
    """The tokenizer that llguidance asks how it would write what a grammar leaves no choice about."""

    def __init__(self, table: TokenTable) -> None:
        vocabulary = table.vocabulary
        self._table = table
        self.eos_token_id = vocabulary.eos_id
        self.bos_token_id = None
        self.tokens = [vocabulary.token_bytes.get(token, b"") for token in range(vocabulary.size)]
        self.special_token_ids = [token for token, data in enumerate(self.tokens) if not data]

    def __call__(self, text: bytes) -> Sequence[int]:
        return self._table.segment(text)


class Parser:
    """One answer's parser. Once it has failed, it stays silent: whoever asks must do without."""

    def __init__(self, matcher: Any, word_count: int) -> None:  # an LLMatcher
        self._matcher, self._word_count = matcher, word_count

    @classmethod
    def of(cls, tokens: ParserTokens, lark: str) -> Parser:
        """A parser at the beginning of a grammar; `error` says why it has none."""
        grammar = LLMatcher.grammar_from_lark(lark)
        return cls(LLMatcher(tokens.tokenizer, grammar, log_level=0, limits=_LIMITS), tokens.word_count)

    @property
    def error(self) -> str:
        """Why the parser failed; empty while it has not."""
        return str(self._matcher.get_error())

    def copy(self) -> Parser:
        """Another one at the same place."""
        return Parser(self._matcher.deep_copy(), self._word_count)

    def mask(self) -> NDArray[np.int32] | None:
        """Packed bits of the tokens that may follow, also the stop token; None after a failure.

        After an internal limit llguidance allows the stop token alone, complete or not: that is a failure here.
        """
        if self._matcher.is_error():
            return None
        # It has a word too many where the size of the vocabulary is a multiple of 32.
        words = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.int32)[: self._word_count]
        return None if self._matcher.is_error() else words

    def forced(self) -> bytes:
        """What every text goes on with from here; empty where there is a choice at once, or after a failure."""
        return b"" if self._matcher.is_error() else bytes(self._matcher.compute_ff_bytes())

    def advance(self, token: int) -> None:
        """Goes on by a token; a token that it does not allow is a failure."""
        self._matcher.consume_token(token)

    def rollback(self, count: int) -> None:
        """Takes tokens back."""
        self._matcher.rollback(count)
