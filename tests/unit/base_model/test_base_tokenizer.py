"""The shipped tokenizer: complete over bytes, digits apart, the markers in their places, the template as agreed."""

import json
from pathlib import Path
from random import Random

import jinja2
import pytest
from tokenizers import Tokenizer

import deploy.base_model
from deploy.base_model.corpus.example import SPECIAL_TOKENS
from deploy.base_model.corpus.mixture import draw
from deploy.base_model.tokenizer import CHAT_TEMPLATE, CONTEXT_TOKENS, VOCABULARY_SIZE, encode, train_tokenizer

WEIGHTS = Path(deploy.base_model.__file__).parent / "weights"


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """The shipped tokenizer."""
    return Tokenizer.from_file(str(WEIGHTS / "tokenizer.json"))


class TestShippedTokenizer:
    """The tokenizer in the weights folder."""

    def test_markers_have_the_agreed_ids(self, tokenizer: Tokenizer) -> None:
        """Pad 0, end 1, system 2, input 3, output 4."""
        assert list(range(5)) == [tokenizer.token_to_id(token) for token in SPECIAL_TOKENS]

    def test_vocabulary_is_full(self, tokenizer: Tokenizer) -> None:
        """No row of the embedding is without a token."""
        assert tokenizer.get_vocab_size() == VOCABULARY_SIZE

    def test_every_character_of_every_block_round_trips(self, tokenizer: Tokenizer) -> None:
        """All 256 bytes are in the alphabet: any text comes back as it was."""
        low = "".join(map(chr, range(0x250)))
        texts = [
            low,
            low[::-1],
            "  two  spaces\t\ttab\n\n",
            "漢字 кириллица 🙂 \u2028\ufeff",
            "".join(chr(code) for code in range(0x800, 0xD7FF, 97)),
        ]

        assert texts == [tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) for text in texts]

    def test_all_bytes_are_tokens(self, tokenizer: Tokenizer) -> None:
        """The byte alphabet is complete: 256 tokens of one byte."""
        single = [token for token in tokenizer.get_vocab() if len(token) == 1]

        assert len(single) == 256

    def test_digits_stand_alone(self, tokenizer: Tokenizer) -> None:
        """No token holds a digit and anything else."""
        mixed = [
            token
            for token in tokenizer.get_vocab()
            if token not in SPECIAL_TOKENS and len(token) > 1 and any(letter in "0123456789" for letter in token)
        ]

        assert mixed == []
        assert len(tokenizer.encode("20311207").ids) == 8

    def test_random_text_round_trips(self, tokenizer: Tokenizer) -> None:
        """Generated documents come back unchanged, prompt and target."""
        rng = Random(9)
        for _ in range(200):
            document = draw(rng)
            assert document.input == tokenizer.decode(tokenizer.encode(document.input).ids, skip_special_tokens=False)

    def test_template_renders_what_training_encodes(self, tokenizer: Tokenizer) -> None:
        """The chat template and the training code yield the same token ids, with and without instructions."""
        template = jinja2.Template(json.loads((WEIGHTS / "tokenizer_config.json").read_text())["chat_template"])
        rng = Random(2)
        for document in (draw(rng) for _ in range(100)):
            messages = [{"role": "system", "content": document.system}] if document.system else []
            prompt = template.render(
                messages=[*messages, {"role": "user", "content": document.input}], add_generation_prompt=True
            )

            assert encode(tokenizer, document)[0] == tokenizer.encode(prompt).ids

    def test_template_ends_the_answer(self) -> None:
        """A rendered example is SYSTEM INPUT OUTPUT END and nothing else."""
        messages = [
            {"role": "system", "content": "S"},
            {"role": "user", "content": "I"},
            {"role": "assistant", "content": "O"},
        ]

        assert jinja2.Template(CHAT_TEMPLATE).render(messages=messages) == "<|system|>S<|input|>I<|output|>O<|end|>"

    def test_documents_fit_the_context(self, tokenizer: Tokenizer) -> None:
        """All but a few documents fit into the served context; short ones fill a small part of it."""
        rng = Random(6)
        lengths = sorted(sum(map(len, encode(tokenizer, draw(rng)))) for _ in range(500))

        assert lengths[len(lengths) // 2] < 250
        assert lengths[-10] <= CONTEXT_TOKENS


class TestTraining:
    """Making a tokenizer."""

    def test_same_seed_gives_the_same_file(self) -> None:
        """Training the tokenizer twice gives the same bytes."""
        assert train_tokenizer(3, documents=200).to_str() == train_tokenizer(3, documents=200).to_str()
