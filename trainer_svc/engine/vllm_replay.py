"""Whether real vLLM takes an adapter package by its own rules, and repeats its canaries. In a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import vllm
from vllm.config.lora import LoRAConfig
from vllm.lora.peft_helper import PEFTHelper

from shared.adapter.manifest import AdapterManifest
from shared.adapter.replay import replayed_ratio
from shared.base_model import BaseModel
from shared.contracts.compiled import CompiledContract
from trainer_svc.domain.fault import fault_of
from trainer_svc.domain.servability import ServabilityMode, ServabilityProof, refusal
from trainer_svc.engine.vllm_answers import Completion, VllmAnswers

_MOST_WORDS = 500
"""Characters of an error of vLLM, which may list every layer."""


def check_configuration(package: Path, base: BaseModel, max_lora_rank: int) -> None:
    """Passes when vLLM takes the adapter's configuration; needs no engine.

    Raises:
        StateConflict: ADAPTER_REJECTED, in vLLM's words.
    """
    try:
        PEFTHelper.from_local_dir(str(package), base.max_positions).validate_legal(
            LoRAConfig(max_lora_rank=max_lora_rank)  # type: ignore[arg-type]  # vLLM refuses other ranks itself
        )
    except (ValueError, TypeError, KeyError) as err:
        raise refusal("vLLM's check of the configuration", _words(err, package)) from err


def replay(
    answers: VllmAnswers, package: Path, manifest: AdapterManifest, contract: CompiledContract, max_lora_rank: int
) -> ServabilityProof:
    """Loads the adapter, and says what the engine makes of the canaries, with it and without.

    Raises:
        StateConflict: ADAPTER_REJECTED, vLLM refuses the tensors, does not repeat the canaries, or the adapter changes
            nothing.
    """
    try:
        answers.load(package)
    except Exception as err:  # of many classes
        if fault_of(err) is not None:
            raise
        raise refusal("vLLM's check of the tensors", _words(err, package)) from err
    canaries = manifest.canaries
    # Without canaries any prompt tells whether the adapter is applied.
    prompts = [canary.prompt_ids for canary in canaries] or [(0,)]
    budgets = [max(len(canary.expected_ids), contract.min_tokens) for canary in canaries] or [contract.min_tokens]
    own, base = (answers.complete(prompts, budgets, adapter, with_logprobs=True) for adapter in (package, None))
    proof = ServabilityProof(
        ServabilityMode.VLLM,
        max_lora_rank,
        vllm.__version__,
        canary_ratios=_ratios(manifest, own),
        base_ratios=_ratios(manifest, base),
        is_applied=own != base,
    )
    proof.check()
    return proof


def _ratios(manifest: AdapterManifest, found: Sequence[Completion]) -> tuple[float, ...]:
    pairs = zip(manifest.canaries, found, strict=False)  # without canaries nothing was expected
    return tuple(replayed_ratio(completion.token_ids, canary.expected_ids) for canary, completion in pairs)


def _words(error: Exception, package: Path) -> str:
    """What vLLM says, without a path of this machine: the tenant reads it."""
    text = str(error) or type(error).__name__
    return text.replace(str(package.resolve()), "the package")[:_MOST_WORDS]
