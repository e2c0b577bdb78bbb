"""From a question and who answers it to the call that the engine gets, or why it can get none."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from inference_svc.app.admission import Demand
from inference_svc.app.ports import EngineCall
from inference_svc.domain.generation import Question
from inference_svc.domain.question_check import check_question
from inference_svc.domain.residency import AdapterKey, Resident
from shared.contracts.compiled import CompiledContract
from shared.contracts.report import Guarantee
from shared.contracts.spec import ContractKind
from shared.errors import FieldViolation, InvalidInput
from shared.names import invalid_field
from shared.prompt import PromptRenderer

DEFAULT_OUTPUT_TOKENS = 512
"""Longer than any answer of our golden datasets; the caller may ask for more, up to the context."""
_METHODS = {ContractKind.JSON: "Extract", ContractKind.SQL: "GenerateSql"}


@dataclass(frozen=True)
class Target:
    """Who answers, under which contract."""

    resident: Resident | None
    contract: CompiledContract
    contract_name: str
    tenant: str

    @property
    def guarantee(self) -> Guarantee:
        """What the contract promises of every answer."""
        return self.contract.report.guarantee

    @property
    def has_checked_keywords(self) -> bool:
        """Whether a whole answer may still fail its check, and is then tried again."""
        return self.guarantee is Guarantee.SOUND


def call_of(
    question: Question, target: Target, renderer: PromptRenderer, *, context_tokens: int, stream: bool
) -> EngineCall:
    """The call that answers a question within the engine's context; in pieces only where every piece stands.

    Raises:
        InvalidInput: FIELD_INVALID, OUTPUT_LIMIT_TOO_SMALL or CONTEXT_TOO_LONG: what is asked cannot be answered.
    """
    check_question(question)
    kind = target.contract.spec.kind
    if question.kind is not None and kind is not question.kind:
        raise InvalidInput(
            "FIELD_INVALID",
            f"{target.contract_name} is of kind {kind}, this method answers {question.kind} only",
            hint=f"call {_METHODS.get(kind, 'Generate')}, or GenerateStream",
            violations=[FieldViolation("prompt.adapter" if question.adapter else "prompt.contract", f"answers {kind}")],
            metadata={"contract": target.contract_name, "kind": kind.value},
        )
    prompt_ids = renderer.prompt_ids(question.input, question.instructions)
    least, room = target.contract.min_tokens, context_tokens - len(prompt_ids)
    limit = question.sampling.max_output_tokens
    if limit is not None and limit < least:
        raise InvalidInput(
            "OUTPUT_LIMIT_TOO_SMALL",
            f"max_output_tokens is {limit}, the shortest output of {target.contract_name} takes {least}",
            hint=f"set max_output_tokens to at least {least}",
            violations=invalid_field("sampling.max_output_tokens", f"must be at least {least}").violations,
            metadata={"min_output_tokens": str(least), "max_output_tokens": str(limit)},
        )
    if room < least:
        raise InvalidInput(
            "CONTEXT_TOO_LONG",
            f"the prompt has {len(prompt_ids)} tokens, of {context_tokens} that leaves {room}; the shortest "
            f"output takes {least}",
            violations=invalid_field("prompt.input", f"leaves {room} tokens for the output").violations,
            metadata={"prompt_tokens": str(len(prompt_ids)), "context_tokens": str(context_tokens)},
        )
    wanted = limit if limit is not None else max(DEFAULT_OUTPUT_TOKENS, least)
    key: AdapterKey | None = target.resident.key if target.resident else None
    return EngineCall(
        request_id=uuid.uuid4().hex,
        prompt_ids=prompt_ids,
        contract_digest=target.contract.digest,
        max_tokens=min(wanted, room),
        sampling=question.sampling,
        adapter=key,
        tenant=target.tenant,
        stream=stream and not target.has_checked_keywords,
    )


def demand_of(question: Question, target: Target, call: EngineCall) -> Demand:
    """What a call will probably cost: the whole prompt, and the median answer of its contract where that is known."""
    typical = target.contract.report.typical_tokens or call.max_tokens
    return Demand(
        tenant=target.tenant,
        lane=question.lane,
        adapter=call.adapter.name if call.adapter else None,
        tokens=len(call.prompt_ids) + min(typical, call.max_tokens),
    )
