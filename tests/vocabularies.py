"""Three vocabularies of real models: the shipped base model's 2,048 tokens, and 32,768 and 131,072 of Mistral's."""

from __future__ import annotations

import base64
import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

from shared.base_model import BaseModel
from shared.contracts.vocabulary import TokenVocabulary

_BASE = Path(__file__).parents[1] / "deploy" / "base_model" / "weights"


@cache
def shipped() -> TokenVocabulary:
    """2,048 tokens, byte-level BPE."""
    return BaseModel.load(_BASE).vocabulary()


@cache
def sentencepiece_32k() -> TokenVocabulary:
    """Mistral's v3 instruction tokenizer, SentencePiece with byte fallback; 32,768 tokens."""
    from sentencepiece import SentencePieceProcessor

    model = files("mistral_common") / "data" / "mistral_instruct_tokenizer_240323.model.v3"
    processor = SentencePieceProcessor(model_proto=model.read_bytes())
    tokens = {}
    for token in range(processor.vocab_size()):
        piece = processor.id_to_piece(token)
        if processor.is_byte(token):
            tokens[token] = bytes([int(piece[3:5], 16)])
        elif not (processor.is_control(token) or processor.is_unknown(token) or processor.is_unused(token)):
            tokens[token] = piece.replace("\u2581", " ").encode()
    return TokenVocabulary(processor.vocab_size(), processor.eos_id(), MappingProxyType(tokens))


@cache
def tekken_131k() -> TokenVocabulary:
    """Mistral's Tekken, byte-level BPE; 131,072 tokens of which the first 1,000 are special."""
    body = json.loads((files("mistral_common") / "data" / "tekken_240911.json").read_bytes())
    size, special = body["config"]["default_vocab_size"], body["config"]["default_num_special_tokens"]
    ordinary = body["vocab"][: size - special]
    tokens = {special + entry["rank"]: base64.b64decode(entry["token_bytes"]) for entry in ordinary}
    return TokenVocabulary(size, 2, MappingProxyType(tokens))


ALL = {"shipped": shipped, "32k": sentencepiece_32k, "131k": tekken_131k}


class GreedyTokenizer:
    """Spells a text in the longest tokens from the left."""

    def __init__(self, vocabulary: TokenVocabulary) -> None:
        self._ids = {data: token for token, data in vocabulary.token_bytes.items()}
        self._longest = min(max(map(len, self._ids)), 64)

    def encode(self, text: str) -> list[int]:
        """Token ids whose bytes are exactly the text's."""
        data, ids, begin = text.encode(), [], 0
        while begin < len(data):
            sizes = range(min(self._longest, len(data) - begin), 0, -1)
            size = next(size for size in sizes if data[begin : begin + size] in self._ids)
            ids.append(self._ids[data[begin : begin + size]])
            begin += size
        return ids
