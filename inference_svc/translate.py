"""Between protobuf and the domain; pure functions, no decisions."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf import duration_pb2

from goldsmith.inference.v1 import generation_pb2, inference_service_pb2
from inference_svc.domain.canary_choice import CanaryChoice
from inference_svc.domain.generation import Answer, Question, Sampling
from inference_svc.domain.lane import Lane
from inference_svc.domain.residency import Resident, ResidentState
from shared.contracts.spec import ContractKind
from shared.names import invalid_field
from shared.rpc.contract_message import GUARANTEES, KINDS

_STATES = {
    state: inference_service_pb2.ResidentAdapterState.Value(f"RESIDENT_ADAPTER_STATE_{state.name}")
    for state in ResidentState
}


_LANES = {generation_pb2.Priority.Value(f"PRIORITY_{lane.name}"): lane for lane in Lane} | {
    generation_pb2.PRIORITY_UNSPECIFIED: Lane.INTERACTIVE
}
Request = (
    inference_service_pb2.GenerateRequest
    | inference_service_pb2.ExtractRequest
    | inference_service_pb2.GenerateSqlRequest
    | inference_service_pb2.GenerateStreamRequest
)


_CHOICES = {choice.value: choice for choice in (CanaryChoice.ALWAYS, CanaryChoice.NEVER)}


def canary_choice(value: str | bytes | None) -> CanaryChoice:
    """The metadata `x-canary`. Raises `InvalidInput` (FIELD_INVALID) for what is neither "always" nor "never"."""
    if value is None:
        return CanaryChoice.DRAWN
    if value not in _CHOICES:
        raise invalid_field("x-canary", f"must be always or never in the metadata, or absent; got {value[:80]!r}")
    return _CHOICES[str(value)]


def question(
    request: Request, kind: ContractKind | None, deadline_seconds: float, canary: CanaryChoice = CanaryChoice.DRAWN
) -> Question:
    """A request of any method. Raises `InvalidInput` (FIELD_INVALID) for a priority that this version does not know."""
    prompt, sampling = request.prompt, request.sampling
    if request.priority not in _LANES:
        raise invalid_field("priority", f"unknown value {request.priority}")
    return Question(
        lane=_LANES[request.priority],
        adapter=prompt.adapter,
        input=prompt.input,
        instructions=prompt.instructions,
        contract=prompt.contract,
        kind=kind,
        sampling=Sampling(
            temperature=sampling.temperature,
            top_p=sampling.top_p if sampling.HasField("top_p") else 1.0,
            seed=sampling.seed if sampling.HasField("seed") else None,
            max_output_tokens=sampling.max_output_tokens if sampling.HasField("max_output_tokens") else None,
        ),
        deadline_seconds=deadline_seconds,
        canary=canary,
    )


def summary(answer: Answer) -> generation_pb2.GenerationSummary:
    """Facts about an answer."""
    usage, timing = answer.usage, answer.timing
    return generation_pb2.GenerationSummary(
        adapter_revision=answer.revision,
        adapter_digest=answer.digest,
        contract=answer.contract,
        usage=generation_pb2.Usage(
            prompt_tokens=usage.prompt_tokens,
            cached_prompt_tokens=usage.cached_prompt_tokens,
            output_tokens=usage.output_tokens,
            instruction_tokens_saved=usage.instruction_tokens_saved,
        ),
        timing=generation_pb2.Timing(
            queue=_duration(timing.queue),
            first_token=_duration(timing.first_token),
            engine=_duration(timing.engine),
            check=_duration(timing.check),
            total=_duration(timing.total),
        ),
        budget_bound_steps=answer.budget_bound_steps,
        attempt_count=answer.attempt_count,
        contract_kind=KINDS[answer.kind],
        guarantee=GUARANTEES[answer.guarantee],
    )


def resident(
    found: Resident, aliases: list[str], canaries: Sequence[tuple[str, int]] = ()
) -> inference_service_pb2.ResidentAdapter:
    """A revision on this replica."""
    return inference_service_pb2.ResidentAdapter(
        revision=str(found.revision),
        aliases=aliases,
        state=_STATES[found.state],
        rejection=found.rejection,
        active_request_count=found.leases,
        canaries=[inference_service_pb2.CanaryShare(alias=alias, percent=share) for alias, share in canaries],
        pinned=found.is_pinned,
    )


def _duration(seconds: float) -> duration_pb2.Duration:
    value = duration_pb2.Duration()
    value.FromMicroseconds(int(seconds * 1e6))
    return value
