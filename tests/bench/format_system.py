"""Four ways to hold a JSON Schema over one vocabulary behind one interface: ours and three libraries as they ship."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from shared.contracts.vocabulary import TokenVocabulary
from tests.vocabularies import GreedyTokenizer

Json = Any  # JSON values

_WORKER_SECONDS = 0.7
"""Processor time in which a compile worker starts and reads 131,072 tokens: it is part of its limit."""


class Refused(Exception):
    """The system does not take the schema; the text says why."""


@dataclass
class Judgement:
    """What a system makes of one schema and its instances."""

    refused: str = ""
    accepted: list[bool] = field(default_factory=list)
    """For each instance, whether some spelling of it can be generated and would be delivered."""
    compile_seconds: float = 0.0
    mask_seconds: list[float] = field(default_factory=list)
    guarantee: str = ""


class System(ABC):
    """Compiles schemas and follows texts token by token."""

    def __init__(self, vocabulary: TokenVocabulary) -> None:
        self.vocabulary = vocabulary
        self.tokenizer = GreedyTokenizer(vocabulary)

    @abstractmethod
    def compile(self, schema: Json) -> None:
        """Makes a schema the one that `follow` is about; raises `Refused`."""

    @abstractmethod
    def follow(self, tokens: Sequence[int], times: list[float]) -> bool:
        """Whether the tokens are a complete text; adds the seconds of each mask computed on the way."""

    def spellings(self, value: Json, schema: Json) -> list[str]:
        """Texts of a value that the system may have in mind."""
        ordered = declared_order(value, schema, schema)
        texts = []
        for one in (ordered, value):
            texts.append(json.dumps(one, ensure_ascii=False, separators=(",", ":")))
            texts.append(json.dumps(one, ensure_ascii=False, separators=(", ", ": ")))
        return list(dict.fromkeys(texts))

    def judge(self, schema: Json, values: Sequence[Json]) -> Judgement:
        """Compiles and follows every instance."""
        judgement = Judgement()
        begin = time.perf_counter()
        try:
            self.compile(schema)
        except Refused as err:
            judgement.refused = str(err)[:300] or "refused"
            return judgement
        finally:
            judgement.compile_seconds = time.perf_counter() - begin
        judgement.guarantee = self.guarantee()
        for value in values:
            texts = self.spellings(value, schema)
            judgement.accepted.append(any(self._follows(text, judgement.mask_seconds) for text in texts))
        return judgement

    def guarantee(self) -> str:
        """The class that the system promises for the schema, if it knows such a thing."""
        return ""

    def _follows(self, text: str, times: list[float]) -> bool:
        try:
            return self.follow(self.tokenizer.encode(text), times)
        except UnicodeEncodeError:
            return False


class Goldsmith(System):
    """Our compiler, guides and check."""

    def compile(self, schema: Json) -> None:
        """As the compile worker does, without a process for each contract."""
        from shared.contracts.build import compile_contract
        from shared.contracts.compiler import CompileLimits
        from shared.contracts.spec import ContractKind, ContractSpec, UndeclaredProperties
        from shared.errors import InvalidInput

        spec = ContractSpec(
            ContractKind.JSON, json.dumps(schema), undeclared_properties=UndeclaredProperties.AS_WRITTEN
        )
        limits = CompileLimits()
        seconds = limits.cpu_seconds - _WORKER_SECONDS
        try:
            self._contract = compile_contract(spec, self.vocabulary, max_states=limits.max_states, seconds=seconds)
        except InvalidInput as err:
            raise Refused(f"{err.violations[0].path}: {err.violations[0].description}") from err

    def guarantee(self) -> str:
        """Of the compile report."""
        return self._contract.report.guarantee.value

    def spellings(self, value: Json, schema: Json) -> list[str]:
        """The canonical one, if the value has one."""
        from shared.errors import InvalidInput

        try:
            return [self._contract.canonicalise(json.dumps(value))]
        except (InvalidInput, ValueError):
            return []

    def follow(self, tokens: Sequence[int], times: list[float]) -> bool:
        """By guide, each token looked up in its mask, with a budget that never binds."""
        guide = self._contract.guide()
        remaining = len(tokens) + guide.distance() + 1_000
        for token in [*tokens, self.vocabulary.eos_id]:
            begin = time.perf_counter()
            mask = guide.mask(remaining)
            times.append(time.perf_counter() - begin)
            if not (int(mask[token // 32]) >> (token % 32)) & 1 or not guide.advance(token):
                return False
            remaining -= 1
        return guide.is_finished()


class OutlinesCore(System):
    """outlines_core's own schema builder and index."""

    def __init__(self, vocabulary: TokenVocabulary) -> None:
        super().__init__(vocabulary)
        import outlines_core

        tokens: dict[bytes, list[int]] = {}
        for token, data in vocabulary.token_bytes.items():
            tokens.setdefault(data, []).append(token)
        self._vocabulary = outlines_core.Vocabulary(vocabulary.eos_id, tokens)
        self._mask = np.zeros((vocabulary.size + 31) // 32, dtype=np.int32)

    def compile(self, schema: Json) -> None:
        """Schema to expression to index."""
        import outlines_core

        try:
            expression = outlines_core.json_schema.build_regex_from_schema(json.dumps(schema))
            self._index = outlines_core.Index(expression, self._vocabulary)
        except BaseException as err:  # a panic of the library is no Exception
            raise Refused(repr(err)) from err

    def follow(self, tokens: Sequence[int], times: list[float]) -> bool:
        """By its guide."""
        import outlines_core

        guide = outlines_core.Guide(self._index)
        for token in tokens:
            begin = time.perf_counter()
            guide.write_mask_into(self._mask.ctypes.data, self._mask.size, self._mask.itemsize)
            times.append(time.perf_counter() - begin)
            if not guide.accepts_tokens([token]):
                return False
            guide.advance(token)
        return bool(self._index.is_final_state(guide.get_state()))


class XGrammar(System):
    """xgrammar as vLLM uses it, undeclared properties allowed as the schema says."""

    def __init__(self, vocabulary: TokenVocabulary) -> None:
        super().__init__(vocabulary)
        import xgrammar

        pieces = [vocabulary.token_bytes.get(token, b"") for token in range(vocabulary.size)]
        info = xgrammar.TokenizerInfo(pieces, vocab_size=vocabulary.size, stop_token_ids=[vocabulary.eos_id])
        self._compiler = xgrammar.GrammarCompiler(info, max_threads=2, cache_enabled=False)
        self._mask = xgrammar.allocate_token_bitmask(1, vocabulary.size)

    def compile(self, schema: Json) -> None:
        """Schema to compiled grammar."""
        try:
            self._grammar = self._compiler.compile_json_schema(json.dumps(schema), strict_mode=False)
        except Exception as err:
            raise Refused(repr(err)) from err

    def follow(self, tokens: Sequence[int], times: list[float]) -> bool:
        """By its matcher."""
        import xgrammar

        matcher = xgrammar.GrammarMatcher(self._grammar)
        for token in [*tokens, self.vocabulary.eos_id]:
            begin = time.perf_counter()
            matcher.fill_next_token_bitmask(self._mask)
            times.append(time.perf_counter() - begin)
            if not matcher.accept_token(token):
                return False
        return True


class LLGuidance(System):
    """llguidance with its own schema front end and default limits."""

    def __init__(self, vocabulary: TokenVocabulary) -> None:
        super().__init__(vocabulary)
        from shared.contracts.token_table import TokenTable

        self._tokenizer = TokenTable(vocabulary).parser_tokens.tokenizer
        self._mask = np.zeros((vocabulary.size + 31) // 32, dtype=np.int32)

    def compile(self, schema: Json) -> None:
        """Schema to grammar to matcher."""
        import llguidance

        try:
            grammar = llguidance.LLMatcher.grammar_from_json_schema(json.dumps(schema))
            self._matcher = llguidance.LLMatcher(self._tokenizer, grammar)
        except ValueError as err:
            raise Refused(repr(err)) from err
        if self._matcher.is_error():
            raise Refused(self._matcher.get_error())

    def follow(self, tokens: Sequence[int], times: list[float]) -> bool:
        """By a copy of its matcher."""
        matcher = self._matcher.deep_copy()
        for token in tokens:
            begin = time.perf_counter()
            matcher.unsafe_compute_mask_ptr(self._mask.ctypes.data, self._mask.nbytes)
            times.append(time.perf_counter() - begin)
            if not matcher.consume_token(token):
                return False
        return bool(matcher.is_accepting())


SYSTEMS: dict[str, type[System]] = {
    "goldsmith": Goldsmith, "outlines": OutlinesCore, "xgrammar": XGrammar, "llguidance": LLGuidance,
}  # fmt: skip


def declared_order(value: Json, schema: Json, root: Json) -> Json:
    """The value with members in the order in which the schema declares them: the libraries ask for that order."""
    seen = 0
    while isinstance(schema, dict) and isinstance(schema.get("$ref"), str) and seen < 20:
        found: Json = root
        for part in schema["$ref"].lstrip("#").split("/")[1:]:
            found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
        schema, seen = found, seen + 1
    schema = schema if isinstance(schema, dict) else {}
    if isinstance(value, list):
        return [declared_order(item, schema.get("items"), root) for item in value]
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        names = [name for name in properties if name in value] if isinstance(properties, dict) else []
        names += [name for name in value if name not in names]
        return {name: declared_order(value[name], (properties or {}).get(name), root) for name in names}
    return value
