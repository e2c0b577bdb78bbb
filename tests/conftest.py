"""Fixtures that every kind of test may use."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import settings
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from shared.base_model import BaseModel

# Before any library reads them: no hub is ever asked, and idle OpenMP threads must not spin.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Starting vLLM takes as long as ten of the trainings: tests of the proof itself ask for it.
os.environ.setdefault("GOLDSMITH_SERVABILITY_PROOF", "static")

# The same examples in every run: what a random one finds belongs to whoever goes looking (HYPOTHESIS_PROFILE=search),
# not to the next change that happens to be tested.
settings.register_profile("same", derandomize=True, database=None, deadline=None)  # a busy machine is no fault
settings.register_profile("search", derandomize=False, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

ROOT = Path(__file__).parents[1]
SPECIAL_TOKENS = ["<|pad|>", "<|end|>", "<|system|>", "<|input|>", "<|output|>"]
CHAT_TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'system' %}<|system|>{{ m.content }}{% elif m.role == 'user' %}"
    "<|input|>{{ m.content }}{% else %}<|output|>{{ m.content }}<|end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|output|>{% endif %}"
)
_TEXT = [
    '{"name":"Ada Lovelace","city":"London","age":36,"tags":["a","b"]}',
    "SELECT city.name FROM city WHERE city.population > 1000 ORDER BY city.name DESC LIMIT 5",
    "the quick brown fox jumps over the lazy dog and books a table for two in Lisbon at noon",
]


_WITH_ENGINE = ("tests/e2e/engine/", "tests/e2e/main_job/", "tests/e2e/servability/")
_WITH_SERVER = ("tests/integration/signing/", "tests/integration/trainer/")


class _ByFile(LoadScopeScheduling):
    """Where processes share the tests: those with engines in one of them, others by file wherever there is time.

    Files that share a server stay together, or each process would start one. By the path: xdist's own groups (3.8) are
    lost with pytest 9.2, without a word.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if file.startswith(_WITH_ENGINE):
            return "engine"
        return next((folder for folder in _WITH_SERVER if file.startswith(folder)), file)


@pytest.hookimpl
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Called by xdist alone."""
    return _ByFile(config, log)


@pytest.fixture(scope="session")
def shipped_base() -> BaseModel:
    """The base model that the project ships."""
    return BaseModel.load(ROOT / "deploy" / "base_model" / "weights")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real golden datasets, beside the checkout or where GOLDSMITH_DATA says."""
    folder = Path(os.environ.get("GOLDSMITH_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real golden datasets in {folder}")
    return folder


@pytest.fixture(scope="session")
def tiny_base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base model directory without weights: 2 layers x 64 wide, its own 400-token byte-level tokenizer."""
    folder = tmp_path_factory.mktemp("tiny_base")
    write_tiny_base(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_base(tiny_base_folder: Path) -> BaseModel:
    """The same, loaded."""
    return BaseModel.load(tiny_base_folder)


def write_tiny_base(folder: Path) -> None:
    """Writes config and tokenizer of a tiny Llama; weights are the caller's business."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex("[0-9]"), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=SPECIAL_TOKENS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_TEXT * 4, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "goldsmith_model_id": "tiny",
        "vocab_size": 512,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "hidden_act": "silu",
        "tie_word_embeddings": True,
        "eos_token_id": 1,
        "pad_token_id": 0,
        "torch_dtype": "bfloat16",
    }
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer_config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "chat_template": CHAT_TEMPLATE,
        "eos_token": "<|end|>",
        "pad_token": "<|pad|>",
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer_config))
