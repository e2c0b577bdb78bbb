"""The network: a Llama of 3.7 million parameters, as transformers and vLLM know it."""

from typing import Final

from transformers import LlamaConfig, LlamaForCausalLM

from deploy.base_model.tokenizer import CONTEXT_TOKENS, END_ID, PAD_ID, VOCABULARY_SIZE

MODEL_ID: Final = "goldsmith-base-4m"


def new_model() -> LlamaForCausalLM:
    """Returns the network with random weights (torch's global seed). Untied embeddings would add a seventh."""
    config = LlamaConfig(  # type: ignore[call-arg]  # rope_theta is taken as a keyword, but not declared
        vocab_size=VOCABULARY_SIZE,
        hidden_size=256,
        intermediate_size=704,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=64,
        max_position_embeddings=CONTEXT_TOKENS,
        rms_norm_eps=1e-5,
        rope_theta=10000.0,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=END_ID,
        pad_token_id=PAD_ID,
        initializer_range=0.02,
        attention_dropout=0.0,
        use_cache=True,
    )
    return LlamaForCausalLM(config)  # type: ignore[no-untyped-call]  # transformers leaves it untyped
