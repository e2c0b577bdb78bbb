"""Renders inputs to token ids with the base model's own prompt template.

Training, evaluation and serving share this code, and its digest travels with every adapter: a difference between the
template trained on and the template served is the most cited failure of fine-tuning.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from shared.base_model import BaseModel
from shared.contracts.vocabulary import TokenVocabulary
from shared.digest import sha256_bytes, sha256_file
from shared.errors import InternalFault

PLAIN_TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ m.content }}\n\n{% elif m.role == 'user' %}"
    "### Input\n{{ m.content }}\n### Output\n{% endif %}{% endfor %}"
)
"""For base models that bring no chat template."""

# Contents are put in as token ids, not as text, so that an input that spells a special token stays plain text and the
# prompt is an exact token prefix of every training example. These stand for them while the template is rendered.
_SYSTEM_MARK = "\ue000goldsmith-system\ue001"
_INPUT_MARK = "\ue000goldsmith-input\ue001"
_INSTRUCTION_CACHE_SIZE = 256
"""Tenants use a handful of instruction prompts each, of about 1,000 tokens: tokenizing one costs 2 ms."""


@dataclass(frozen=True)
class _Pieces:
    """Token ids of the template around the contents: before, between, after."""

    head: tuple[int, ...]
    middle: tuple[int, ...]
    tail: tuple[int, ...]


class PromptRenderer:
    """The prompt template of one base model, with its tokenizer."""

    def __init__(self, tokenizer: Tokenizer, template: str, vocabulary: TokenVocabulary, base: BaseModel) -> None:
        self._template_tokenizer = tokenizer
        self._token_bytes = vocabulary.token_bytes
        self._content_tokenizer = Tokenizer.from_str(tokenizer.to_str())
        self._content_tokenizer.encode_special_tokens = True
        self._stop_ids = base.stop_ids
        self._bos_id = _bos_of(tokenizer, base)
        special = {name: text for name, text in _special_tokens(base.folder).items() if name in template}
        facts: list[object] = [sha256_file(base.tokenizer_file), template, list(base.stop_ids)]
        if special or self._bos_id is not None:  # bases without them keep the digest that their adapters name
            facts.append([special, self._bos_id])
        self._digest = sha256_bytes(json.dumps(facts).encode())
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        self._template = environment.from_string(template, globals=special)
        self._with_system = self._split(with_system=True)
        self._without_system = self._split(with_system=False)
        self._instruction_ids = lru_cache(_INSTRUCTION_CACHE_SIZE)(self._content_ids)

    @classmethod
    def load(cls, base: BaseModel) -> PromptRenderer:
        """Reads tokenizer and template from the base model's folder."""
        tokenizer = Tokenizer.from_file(str(base.tokenizer_file))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return cls(tokenizer, _template_of(base.folder), base.vocabulary(), base)

    @property
    def stop_ids(self) -> tuple[int, ...]:
        """Tokens that end an answer; the first one ends every training example."""
        return self._stop_ids

    @property
    def bos_id(self) -> int | None:
        """The token that every prompt begins with; None where the tokenizer has none."""
        return self._bos_id

    @property
    def frame_tokens(self) -> tuple[int, int]:
        """How many tokens of the template stand before and after the input of a prompt without instructions."""
        return len(self._without_system.head), len(self._without_system.tail)

    @property
    def digest(self) -> str:
        """`sha256:<hex>` over template, tokenizer and stop ids."""
        return self._digest

    def prompt_ids(self, input: str, instructions: str = "") -> list[int]:  # noqa: A002  # the golden example's own word
        """Token ids up to where the answer begins; instructions become the system part."""
        if not instructions:
            pieces = self._without_system
            return [*pieces.head, *self._content_ids(input), *pieces.tail]
        pieces = self._with_system
        return [
            *pieces.head,
            *self._instruction_ids(instructions),
            *pieces.middle,
            *self._content_ids(input),
            *pieces.tail,
        ]

    def completion_ids(self, output: str) -> list[int]:
        """Token ids of an answer, ending with the stop token."""
        return [*self._content_ids(output), self._stop_ids[0]]

    def pairs_of_ids(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[list[int], list[int]]]:
        """`prompt_ids` and `completion_ids` of many inputs and outputs at once, on every core."""
        texts = [text for pair in pairs for text in pair]
        found = [
            encoding.ids for encoding in self._content_tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        ]
        head, tail, stop = self._without_system.head, self._without_system.tail, self._stop_ids[0]
        return [
            ([*head, *given, *tail], [*wanted, stop]) for given, wanted in zip(found[::2], found[1::2], strict=True)
        ]

    def token_bytes(self, token: int) -> bytes | None:
        """The text that a token stands for, which may be half a character; None for a control token."""
        return self._token_bytes.get(token)

    def token_name(self, token: int) -> str:
        """How the tokenizer writes a token; for control tokens, which stand for no text."""
        return str(self._template_tokenizer.id_to_token(token))

    def decode(self, ids: Sequence[int]) -> str:
        """Text of generated ids, without the stop token at the end.

        Raises:
            InternalFault: GUARANTEE_BROKEN when the ids are not whole UTF-8 text of ordinary tokens.
        """
        kept = ids[:-1] if ids and ids[-1] in self._stop_ids else ids
        # Joined from the same bytes that the contract's automaton was built over, so that the text is what it counted.
        try:
            return b"".join(self._token_bytes[token] for token in kept).decode()
        except (KeyError, UnicodeDecodeError) as err:
            raise InternalFault("GUARANTEE_BROKEN", f"generated tokens are not plain UTF-8 text: {err}") from err

    def _content_ids(self, text: str) -> tuple[int, ...]:
        return tuple(self._content_tokenizer.encode(text, add_special_tokens=False).ids)

    def _split(self, *, with_system: bool) -> _Pieces:
        messages = [{"role": "system", "content": _SYSTEM_MARK}] if with_system else []
        messages.append({"role": "user", "content": _INPUT_MARK})
        text = self._template.render(messages=messages, add_generation_prompt=True)
        before, mark, after_system = text.partition(_SYSTEM_MARK) if with_system else ("", "", text)
        middle, input_mark, tail = after_system.partition(_INPUT_MARK)
        assert input_mark, "the chat template drops the user's message"
        assert mark or not with_system, "the chat template drops the system message"
        parts = [
            tuple(self._template_tokenizer.encode(t, add_special_tokens=False).ids) for t in (before, middle, tail)
        ]
        first, second, last = parts
        head, between = (first, second) if with_system else (second, ())
        # A template that says nothing of it leaves it to the tokenizer, which is asked for contents alone here.
        begin = () if self._bos_id is None or head[:1] == (self._bos_id,) else (self._bos_id,)
        return _Pieces((*begin, *head), between, last)


def _bos_of(tokenizer: Tokenizer, base: BaseModel) -> int | None:
    """What the tokenizer puts before every text: some name a token for it that they never use."""
    ids = tokenizer.encode("").ids
    return ids[0] if ids and ids[0] not in base.stop_ids else None


def _special_tokens(folder: Path) -> Mapping[str, str]:
    """Texts that templates call by name: `bos_token` and its like, written as text or as an object with `content`."""
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    named = {name: config.get(name) for name in ("bos_token", "eos_token", "unk_token", "pad_token")}
    texts = {name: value.get("content") if isinstance(value, dict) else value for name, value in named.items()}
    return {name: text for name, text in texts.items() if isinstance(text, str)}


def _template_of(folder: Path) -> str:
    for name, key in (("chat_template.jinja", None), ("tokenizer_config.json", "chat_template")):
        path = folder / name
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            template = text if key is None else json.loads(text).get(key)
            if isinstance(template, str):
                return template
    return PLAIN_TEMPLATE
