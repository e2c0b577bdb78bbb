"""Reading tokenizers as bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shared.contracts.vocabulary import TokenVocabulary, load_vocabulary
from shared.errors import InvalidInput
from tests.unit.contracts.sample import train_tokenizer


def write(path: Path, body: dict[str, Any]) -> Path:  # Any: JSON values
    """A tokenizer file."""
    path.write_text(json.dumps(body), encoding="utf-8")
    return path


METASPACE: dict[str, Any] = {
    "added_tokens": [{"id": 0, "content": "<unk>"}, {"id": 1, "content": "</s>"}, {"id": 7, "content": "extra"}],
    "decoder": {
        "type": "Sequence",
        "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}],
    },
    "model": {
        "type": "BPE",
        "byte_fallback": True,
        "unk_token": "<unk>",
        "vocab": {"<unk>": 0, "</s>": 1, "<0x0A>": 2, "<0xC3>": 3, "▁the": 4, "é": 5, "a▁b": 6},
    },
}  # fmt: skip


class TestLoadVocabulary:
    """From a tokenizer file to token bytes."""

    def test_byte_level_tokens_are_their_bytes(self, tmp_path: Path) -> None:
        """All 256 bytes are there, merges decode to text, special tokens are left out."""
        path = tmp_path / "tokenizer.json"
        train_tokenizer(path)

        vocabulary = load_vocabulary(path, size=400, eos_id=1)

        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(path))
        assert {bytes([byte]) for byte in range(256)} <= set(vocabulary.token_bytes.values())
        assert not {0, 1, 2} & vocabulary.token_bytes.keys()
        tokens = tokenizer.encode('{"ü":"€ 12"}').ids
        assert b"".join(vocabulary.token_bytes[token] for token in tokens).decode() == '{"ü":"€ 12"}'

    def test_metaspace_tokens_are_text_with_spaces(self, tmp_path: Path) -> None:
        """Byte pieces are bytes, the metaspace is a space; unknown and added tokens are left out."""
        vocabulary = load_vocabulary(write(tmp_path / "tokenizer.json", METASPACE), size=8, eos_id=1)

        assert dict(vocabulary.token_bytes) == {2: b"\n", 3: b"\xc3", 4: b" the", 5: "é".encode(), 6: b"a b"}

    @pytest.mark.parametrize(
        "change",
        [
            {"decoder": {"type": "WordPiece"}, "model": {"type": "WordPiece", "vocab": {"a": 3}}},
            {"decoder": None, "model": {"type": "BPE", "vocab": {"a": 3}}},
            {"decoder": {"type": "ByteLevel"}, "model": {"type": "BPE", "vocab": {"€": 3}}},
            {"model": {"type": "BPE"}},
            {"model": {**METASPACE["model"], "vocab": {"a": 900}}},
        ],
    )
    def test_refuses_every_other_kind(self, tmp_path: Path, change: dict[str, Any]) -> None:
        """Tokenizers whose tokens have no certain bytes are refused by reason."""
        path = write(tmp_path / "tokenizer.json", METASPACE | change)

        with pytest.raises(InvalidInput) as refusal:
            load_vocabulary(path, size=8, eos_id=1)

        assert refusal.value.reason == "TOKENIZER_UNSUPPORTED"

    def test_refuses_what_is_no_tokenizer(self, tmp_path: Path) -> None:
        """A missing or broken file is the caller's fault too."""
        with pytest.raises(InvalidInput):
            load_vocabulary(tmp_path / "absent.json", size=8, eos_id=1)


class TestTokenVocabulary:
    """The value itself."""

    def test_digest_depends_on_every_part(self) -> None:
        """Size, stop token, ids and bytes each change the digest; order does not."""
        digests = {
            TokenVocabulary(8, 1, {2: b"a", 3: b"b"}).digest,
            TokenVocabulary(9, 1, {2: b"a", 3: b"b"}).digest,
            TokenVocabulary(8, 0, {2: b"a", 3: b"b"}).digest,
            TokenVocabulary(8, 1, {2: b"b", 3: b"a"}).digest,
            TokenVocabulary(8, 1, {2: b"a", 4: b"b"}).digest,
            TokenVocabulary(8, 1, {2: b"a"}).digest,
        }

        assert len(digests) == 6
        assert TokenVocabulary(8, 1, {3: b"b", 2: b"a"}).digest == TokenVocabulary(8, 1, {2: b"a", 3: b"b"}).digest

    @pytest.mark.parametrize(
        ("size", "eos", "tokens"), [(4, 4, {}), (4, 1, {1: b"a"}), (4, 1, {4: b"a"}), (4, 1, {2: b""})]
    )
    def test_refuses_inconsistent_parts(self, size: int, eos: int, tokens: dict[int, bytes]) -> None:
        """The stop token is inside the logits and no text token; tokens are inside and not empty."""
        with pytest.raises(InvalidInput):
            TokenVocabulary(size, eos, tokens)

    def test_survives_json(self) -> None:
        """`from_json` inverts `to_json`."""
        vocabulary = TokenVocabulary(8, 1, {2: b"\x00\xff", 3: b"b"})

        assert TokenVocabulary.from_json(vocabulary.to_json()).digest == vocabulary.digest
