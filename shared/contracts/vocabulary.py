"""The tokens of a base model as bytes: what a token automaton is built over."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from shared.errors import FieldViolation, InvalidInput
from shared.lazy import cached_property

_METASPACE = "\u2581"
_BYTE_PIECE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_JsonObject = dict[str, Any]  # Any: a tokenizer file is foreign JSON, read key by key


@dataclass(frozen=True)
class TokenVocabulary:
    """Every ordinary token of a tokenizer with the bytes it stands for.

    `size` is the number of logits columns, which may exceed the number of tokens (padding). Special and added tokens
    are never in `token_bytes`: a detokenizer drops them, so text that counted them would not be the text that is sent.
    """

    size: int
    eos_id: int
    token_bytes: Mapping[int, bytes]

    def __post_init__(self) -> None:
        """Hold the invariants that every automaton relies on."""
        if not 0 <= self.eos_id < self.size:
            raise InvalidInput("TOKENIZER_UNSUPPORTED", f"The stop token {self.eos_id} is outside 0..{self.size - 1}.")
        if self.eos_id in self.token_bytes:
            raise InvalidInput("TOKENIZER_UNSUPPORTED", f"The stop token {self.eos_id} is an ordinary text token.")
        bad = [token for token, data in self.token_bytes.items() if not (0 <= token < self.size and data)]
        if bad:
            raise InvalidInput("TOKENIZER_UNSUPPORTED", f"Tokens {bad[:5]} are empty or outside 0..{self.size - 1}.")

    @cached_property
    def digest(self) -> str:
        """`sha256:<hex>` over size, stop token and every token's bytes."""
        sha = hashlib.sha256(f"{self.size} {self.eos_id}\n".encode())
        for token in sorted(self.token_bytes):
            data = self.token_bytes[token]
            sha.update(f"{token} {len(data)} ".encode() + data)
        return "sha256:" + sha.hexdigest()

    def to_json(self) -> bytes:
        """Serialised form for the compile worker; inverse of `from_json`."""
        tokens = {str(token): data.hex() for token, data in sorted(self.token_bytes.items())}
        return json.dumps({"size": self.size, "eos_id": self.eos_id, "tokens": tokens}).encode()

    @classmethod
    def from_json(cls, data: bytes) -> TokenVocabulary:
        """Inverse of `to_json`."""
        body = json.loads(data)
        tokens = {int(token): bytes.fromhex(text) for token, text in body["tokens"].items()}
        return cls(body["size"], body["eos_id"], MappingProxyType(tokens))


def load_vocabulary(tokenizer_file: Path, *, size: int, eos_id: int) -> TokenVocabulary:
    """Read the ordinary tokens of a `tokenizer.json`.

    Understands byte-level BPE (GPT-2's byte alphabet) and the metaspace spelling with optional byte fallback that
    SentencePiece models are exported to. Raises `InvalidInput` (`TOKENIZER_UNSUPPORTED`) for every other kind.
    """
    try:
        body: _JsonObject = json.loads(tokenizer_file.read_bytes())
        model: _JsonObject = body["model"]
        pieces = _pieces(model)
        added = {int(token["id"]) for token in body.get("added_tokens") or ()}
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise _unsupported(tokenizer_file, f"it cannot be read as a tokenizer.json ({err})") from err
    unknown = model.get("unk_token")
    ordinary = {token: piece for token, piece in pieces if token not in added and piece != unknown}
    outside = [token for token in ordinary if not 0 <= token < size]
    if outside:
        raise _unsupported(tokenizer_file, f"token {max(outside)} does not fit the model's {size} logits columns")
    kinds = _component_types(body.get("decoder")) | _component_types(body.get("pre_tokenizer"))
    if "ByteLevel" in kinds:
        decoded = _decode_byte_level(tokenizer_file, ordinary)
    elif "Metaspace" in kinds or model.get("byte_fallback") or _replaces_metaspace(body.get("decoder")):
        decoded = _decode_metaspace(ordinary)
    else:
        raise _unsupported(tokenizer_file, "its decoder is neither byte-level nor metaspace")
    decoded.pop(eos_id, None)
    return TokenVocabulary(size, eos_id, MappingProxyType({t: data for t, data in decoded.items() if data}))


def _unsupported(tokenizer_file: Path, why: str) -> InvalidInput:
    violation = FieldViolation("tokenizer", f"{tokenizer_file.name}: {why}")
    return InvalidInput(
        "TOKENIZER_UNSUPPORTED",
        f"The tokenizer {tokenizer_file.name} cannot carry a format guarantee: {why}.",
        hint="Use a base model with a byte-level BPE or SentencePiece tokenizer.",
        violations=[violation],
    )


def _pieces(model: _JsonObject) -> list[tuple[int, str]]:
    kind, vocab = model.get("type") or "BPE", model["vocab"]
    if kind == "BPE":
        return [(int(token), str(piece)) for piece, token in vocab.items()]
    if kind == "Unigram":
        return [(token, str(entry[0])) for token, entry in enumerate(vocab)]
    raise ValueError(f"model type {kind}")


def _component_types(component: _JsonObject | None) -> set[str]:
    if not component:
        return set()
    nested = [*(component.get("decoders") or ()), *(component.get("pretokenizers") or ())]
    return {str(component.get("type"))}.union(*(_component_types(child) for child in nested))


def _replaces_metaspace(decoder: _JsonObject | None) -> bool:
    if not decoder:
        return False
    children = [decoder, *(decoder.get("decoders") or ())]
    return any(c.get("type") == "Replace" and (c.get("pattern") or {}).get("String") == _METASPACE for c in children)


def byte_alphabet() -> dict[str, int]:
    """GPT-2's printable stand-in for every byte, from character to byte.

    Source: `bytes_to_unicode` of openai/gpt-2: printable Latin-1 bytes stand for themselves, the 68 others for the
    code points from 256 up, in order.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    alphabet = {chr(byte): byte for byte in printable}
    others = [byte for byte in range(256) if byte not in set(printable)]
    return alphabet | {chr(256 + index): byte for index, byte in enumerate(others)}


def _decode_byte_level(tokenizer_file: Path, pieces: Mapping[int, str]) -> dict[int, bytes]:
    alphabet = byte_alphabet()
    try:
        return {token: bytes(alphabet[char] for char in piece) for token, piece in pieces.items()}
    except KeyError as err:
        raise _unsupported(tokenizer_file, f"character {err} is not in the byte-level alphabet") from err


def _decode_metaspace(pieces: Mapping[int, str]) -> dict[int, bytes]:
    decoded = {}
    for token, piece in pieces.items():
        byte = _BYTE_PIECE.fullmatch(piece)
        decoded[token] = bytes([int(byte[1], 16)]) if byte else piece.replace(_METASPACE, " ").encode()
    return decoded
