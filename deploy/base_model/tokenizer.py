"""The tokenizer: byte-level BPE trained on the generated text, with every digit a token of its own."""

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Final

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from deploy.base_model.corpus.example import END, INPUT, OUTPUT, PAD, SPECIAL_TOKENS, SYSTEM, Example
from deploy.base_model.corpus.mixture import draw

VOCABULARY_SIZE: Final = 2048
CONTEXT_TOKENS: Final = 2048
PAD_ID, END_ID, SYSTEM_ID, INPUT_ID, OUTPUT_ID = range(5)  # the order of SPECIAL_TOKENS
SEED: Final = 11  # of the text that the shipped tokenizer was trained on; another seed gives another vocabulary
_DOCUMENTS: Final = 20_000
_PIECES: Final = r"[ ]?\p{L}+|[ ]?[^\s\p{L}\p{N}]+|\s+"

# <|system|>INSTRUCTIONS<|input|>INPUT<|output|>OUTPUT<|end|>, without a system part where there is none, and no BOS.
CHAT_TEMPLATE: Final = (
    "{% for m in messages %}{% if m.role == 'system' %}"
    + SYSTEM
    + "{{ m.content }}{% elif m.role == 'user' %}"
    + INPUT
    + "{{ m.content }}"
    "{% else %}"
    + OUTPUT
    + "{{ m.content }}"
    + END
    + "{% endif %}{% endfor %}{% if add_generation_prompt %}"
    + OUTPUT
    + "{% endif %}"
)


def train_tokenizer(seed: int = SEED, documents: int = _DOCUMENTS) -> Tokenizer:
    """Returns a tokenizer trained on generated documents; the same seed gives the same bytes."""
    rng = Random(seed)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex("[0-9]"), "isolated"),
            pre_tokenizers.Split(Regex(_PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )

    def texts() -> Iterator[str]:
        for _ in range(documents):
            example = draw(rng)
            yield from (example.system, example.input, example.output)

    tokenizer.train_from_iterator(texts(), trainer)
    return tokenizer


def encode(tokenizer: Tokenizer, example: Example) -> tuple[list[int], list[int]]:
    """Returns the ids of prompt and target: what the chat template renders, markers as single tokens."""

    def ids(text: str) -> list[int]:
        found: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
        return found

    system = [SYSTEM_ID, *ids(example.system)] if example.system else []
    return [*system, INPUT_ID, *ids(example.input), OUTPUT_ID], [*ids(example.output), END_ID]


def write_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Writes tokenizer.json and the settings that Hugging Face and vLLM read."""
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": END,
        "pad_token": PAD,
        "chat_template": CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": False,
        "model_max_length": CONTEXT_TOKENS,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
