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
from trainer_svc.domain.run import ServedType
from trainer_svc.domain.servability import ServabilityMode, ServabilityProof, refusal
from trainer_svc.engine.base import dtype_of
from trainer_svc.engine.prompt_set import PromptSet
from trainer_svc.engine.vllm_answers import Completion, VllmAnswers, guided_by, sequences_of, start_vllm

_MOST_WORDS = 500
"""Characters of an error of vLLM, which may list every layer."""


class VllmReplay:
    """A package that is shown to vLLM."""

    def __init__(
        self, package: Path, manifest: AdapterManifest, base: BaseModel, contract: CompiledContract, *,
        max_lora_rank: int, served_type: ServedType = ServedType.AUTO,
    ) -> None:  # fmt: skip
        self._package, self._manifest, self._base, self._contract = package, manifest, base, contract
        self._max_lora_rank, self._dtype = max_lora_rank, dtype_of(served_type)
        least = contract.min_tokens
        self._budgets = [max(len(canary.expected_ids), least) for canary in manifest.canaries]

    def start(self, others: Sequence[PromptSet] = ()) -> VllmAnswers:
        """An engine that has loaded the adapter, with room for its canaries and for other prompts.

        Raises:
            StateConflict: ADAPTER_REJECTED, vLLM refuses the adapter's configuration or tensors.
        """
        try:
            PEFTHelper.from_local_dir(str(self._package), self._base.max_positions).validate_legal(
                LoRAConfig(max_lora_rank=self._max_lora_rank)  # type: ignore[arg-type]  # vLLM refuses other ranks itself
            )
        except (ValueError, TypeError, KeyError) as err:
            raise refusal("vLLM's check of the configuration", self._words(err)) from err
        lengths = self._lengths(others)
        context = max(lengths, default=1)
        engine = start_vllm(
            self._base, dtype=self._dtype, max_lora_rank=self._max_lora_rank, context_tokens=context,
            sequences=sequences_of(self._base, self._dtype, context, len(lengths)),
            logits_processors=[guided_by(self._contract)],
        )  # fmt: skip
        answers = VllmAnswers(engine, self._base, self._contract)
        try:
            answers.load(self._package)
        except Exception as err:  # of many classes
            raise refusal("vLLM's check of the tensors", self._words(err)) from err
        return answers

    def prove(self, answers: VllmAnswers) -> ServabilityProof:
        """What the engine makes of the canaries, with the adapter and without.

        Raises:
            StateConflict: ADAPTER_REJECTED, it does not repeat them, or the adapter changes nothing.
        """
        prompts = [canary.prompt_ids for canary in self._manifest.canaries]
        own, base = (answers.complete(prompts, self._budgets, adapter) for adapter in (self._package, None))
        proof = ServabilityProof(
            ServabilityMode.VLLM,
            self._max_lora_rank,
            vllm.__version__,
            canary_ratios=self._ratios(own),
            base_ratios=self._ratios(base),
            is_applied=own != base,
        )
        proof.check()
        return proof

    def _ratios(self, found: Sequence[Completion]) -> tuple[float, ...]:
        pairs = zip(found, self._manifest.canaries, strict=True)
        return tuple(replayed_ratio(completion.token_ids, canary.expected_ids) for completion, canary in pairs)

    def _lengths(self, others: Sequence[PromptSet]) -> list[int]:
        """Of the canaries and the other prompts, answers included, in tokens."""
        canaries = zip(self._manifest.canaries, self._budgets, strict=True)
        own = [len(canary.prompt_ids) + budget for canary, budget in canaries]
        least, most = self._contract.min_tokens, self._base.max_positions
        fitting = (zip(one.prompts, one.budgets(least, most), strict=True) for one in others)
        return own + [len(prompt) + budget for one in fitting for prompt, budget in one if budget]

    def _words(self, error: Exception) -> str:
        """What vLLM says, without a path of this machine: the tenant reads it."""
        text = str(error) or type(error).__name__
        return text.replace(str(self._package.resolve()), "the package")[:_MOST_WORDS]
