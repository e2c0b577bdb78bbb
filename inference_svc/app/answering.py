"""The request path: from a question to an answer that is complete, checked and accounted for."""

from __future__ import annotations

import asyncio
import codecs
import logging
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, replace

from inference_svc.app.admission import Admission, Demand
from inference_svc.app.contract_library import ContractLibrary
from inference_svc.app.fleet import Fleet
from inference_svc.app.meter import UNOBSERVED, Meter
from inference_svc.app.ports import EngineCall, InferenceEngine
from inference_svc.app.progress import Attempt, Progress
from inference_svc.app.read_ahead import read_ahead
from inference_svc.domain.fault_path import loggable_path
from inference_svc.domain.generation import Answer, Question
from inference_svc.domain.question_check import check_question
from inference_svc.domain.residency import AdapterKey, Resident
from shared.contracts.compiled import CompiledContract
from shared.contracts.report import Guarantee
from shared.contracts.spec import ContractKind
from shared.errors import DeadlineExceeded, DomainError, FieldViolation, InternalFault, InvalidInput, StateConflict
from shared.names import ContractName, invalid_field
from shared.prompt import PromptRenderer
from shared.usage import MILLITOKENS

_log = logging.getLogger(__name__)

DEFAULT_OUTPUT_TOKENS = 512
"""Longer than any answer of our golden datasets; the caller may ask for more, up to the context."""
_CHECK_THREADS = 4
_METHODS = {ContractKind.JSON: "Extract", ContractKind.SQL: "GenerateSql"}


@dataclass(frozen=True)
class _Target:
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


class Answering:
    """Answers questions with the adapters of a fleet, or with the base model."""

    def __init__(  # noqa: PLR0913  # collaborators, keyword-only
        self, *, engine: InferenceEngine, fleet: Fleet, contracts: ContractLibrary, renderer: PromptRenderer,
        admission: Admission, token_bytes: dict[int, bytes], context_tokens: int, format_attempts: int,
        meter: Meter = UNOBSERVED,
    ) -> None:  # fmt: skip
        self._engine, self._fleet, self._contracts, self._renderer = engine, fleet, contracts, renderer
        self._admission, self._token_bytes, self._context_tokens = admission, token_bytes, context_tokens
        self._format_attempts, self._meter = format_attempts, meter
        # Off the loop, since an answer under a hostile pattern takes seconds to check, and a large grammar a second to
        # be made ready for its first replay; in threads of their own, since the common ones may all wait for contracts
        # to compile.
        self._checks = ThreadPoolExecutor(_CHECK_THREADS, thread_name_prefix="check")

    async def answer(self, question: Question) -> Answer:
        """The whole answer.

        Raises:
            NotFound, InvalidInput, Exhausted, Unavailable, DeadlineExceeded: as documented on the service.
            StateConflict: FORMAT_CHECK_FAILED when no attempt passed the check of a contract with checked keywords.
            InternalFault: GUARANTEE_BROKEN when the output of any other contract fails its check, or leaves what the
                engine holds; it is never returned.
        """
        async with aclosing(self._run(question, stream=False)) as events:
            async for event in events:
                if isinstance(event, Answer):
                    return event
        raise AssertionError("a run ends with an answer or an error")

    async def stream(self, question: Question) -> AsyncGenerator[str | Answer]:
        """Pieces of text, whole characters each, then the answer. Raises as `answer` does, possibly after pieces.

        Pieces are never taken back: where the contract has checked keywords there is one, the whole checked text. A
        caller that reads slowly, or not at all, keeps no place in the engine and no adapter in it.
        """
        try:
            async with (
                asyncio.timeout(question.deadline_seconds),
                aclosing(read_ahead(self._run(question, stream=True))) as events,
            ):
                async for event in events:
                    yield event
        except TimeoutError as err:
            raise _too_late(question) from err

    async def _run(self, question: Question, *, stream: bool) -> AsyncGenerator[str | Answer]:
        progress = Progress(question.deadline_seconds)
        with self._meter.request(progress):
            self._engine.check()
            self._admission.knock(question.tenant)  # before a large prompt is tokenized, or a cold adapter loaded
            try:
                async with asyncio.timeout(question.deadline_seconds), self._target(question, progress) as target:
                    _note(progress, question, target)  # first: who is refused from here on is known
                    call = self._call(question, target, stream=stream)
                    progress.prompt_tokens = len(call.prompt_ids)
                    demand = _demand(question, target, call)
                    async with aclosing(self._attempts(target, call, demand, progress)) as pieces:
                        async for piece in pieces:
                            if stream and piece:
                                yield piece
                    progress.is_answered = True
                    yield _answer(target, progress)
            except TimeoutError as err:
                raise _too_late(question) from err

    async def _attempts(
        self, target: _Target, call: EngineCall, demand: Demand, progress: Progress
    ) -> AsyncGenerator[str]:
        """Pieces of text that stand; ends when an attempt passed its check. Raises as `answer` does."""
        limit = self._format_attempts if target.has_checked_keywords else 1
        async with AsyncExitStack() as stack:
            place = await stack.enter_async_context(self._admission.place(demand))
            for number in range(1, limit + 1):
                attempt = progress.next_attempt()
                tried = replace(call, request_id=uuid.uuid4().hex, sampling=call.sampling.of_attempt(number))
                async with aclosing(self._decode(tried, attempt)) as pieces:
                    async for piece in pieces:
                        if not target.has_checked_keywords:
                            yield piece
                attempt.engine_end = time.monotonic()
                place.spent_tokens = progress.spent_tokens
                if number == limit:
                    await stack.aclose()  # the engine is done with this request: its check holds nobody up
                loop = asyncio.get_running_loop()
                attempt.budget_bound_steps = await loop.run_in_executor(
                    self._checks, _replay, target.contract, tried.max_tokens, attempt.token_ids
                )
                attempt.text = self._renderer.decode(attempt.token_ids)
                faults = await loop.run_in_executor(self._checks, target.contract.check, attempt.text)
                attempt.check_end = time.monotonic()
                if not faults:
                    break
            else:
                raise _failed(target, faults, progress)
        if target.has_checked_keywords:
            yield attempt.text

    @asynccontextmanager
    async def _target(self, question: Question, progress: Progress) -> AsyncIterator[_Target]:
        if question.adapter:
            async with self._fleet.serve(question.adapter, question.canary, progress) as resident:
                assert resident.contract is not None
                assert resident.manifest is not None
                own = resident.manifest.contract_name
                if question.contract not in ("", own):
                    raise invalid_field("prompt.contract", f"the adapter answers under {own}")
                yield _Target(resident, resident.contract, own, resident.revision.tenant)
        elif question.contract:
            name = ContractName.parse(question.contract, "prompt.contract")
            yield _Target(None, await self._contracts.named(name), str(name), name.tenant)
        else:
            raise invalid_field("prompt.contract", "is required when no adapter is named")

    def _call(self, question: Question, target: _Target, *, stream: bool) -> EngineCall:
        check_question(question)
        kind = target.contract.spec.kind
        if question.kind is not None and kind is not question.kind:
            raise InvalidInput(
                "FIELD_INVALID",
                f"{target.contract_name} is of kind {kind}, this method answers {question.kind} only",
                hint=f"call {_METHODS.get(kind, 'Generate')}, or GenerateStream",
                violations=[
                    FieldViolation("prompt.adapter" if question.adapter else "prompt.contract", f"answers {kind}")
                ],
                metadata={"contract": target.contract_name, "kind": kind.value},
            )
        prompt_ids = self._renderer.prompt_ids(question.input, question.instructions)
        least, room = target.contract.min_tokens, self._context_tokens - len(prompt_ids)
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
                f"the prompt has {len(prompt_ids)} tokens, of {self._context_tokens} that leaves {room}; the shortest "
                f"output takes {least}",
                violations=invalid_field("prompt.input", f"leaves {room} tokens for the output").violations,
                metadata={"prompt_tokens": str(len(prompt_ids)), "context_tokens": str(self._context_tokens)},
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

    async def _decode(self, call: EngineCall, attempt: Attempt) -> AsyncGenerator[str]:
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        # Closed by name everywhere: a caller that goes away must free the engine now, not when garbage is collected.
        async with aclosing(self._engine.generate(call)) as chunks:
            async for chunk in chunks:
                attempt.take(list(chunk.token_ids), chunk.cached_prompt_tokens)
                yield decoder.decode(b"".join(self._token_bytes.get(token, b"") for token in chunk.token_ids))


def _too_late(question: Question) -> DeadlineExceeded:
    return DeadlineExceeded("DEADLINE_PASSED", f"not done within {question.deadline_seconds:.3f} s")


def _note(progress: Progress, question: Question, target: _Target) -> None:
    resident = target.resident
    progress.target_time = time.monotonic()
    progress.tenant, progress.contract = target.tenant, target.contract_name
    if resident is not None:
        assert resident.manifest is not None
        progress.adapter, progress.revision = resident.revision.adapter, str(resident.revision)
        if not question.instructions:
            progress.is_instructed = False
            progress.instruction_tokens_saved = resident.manifest.instruction_prompt_tokens
            progress.output_millitokens_saved = round(resident.manifest.output_tokens_saved * MILLITOKENS)


def _answer(target: _Target, progress: Progress) -> Answer:
    attempt, resident = progress.attempts[-1], target.resident
    return Answer(
        text=attempt.text,
        revision=str(resident.revision) if resident else "",
        digest=resident.digest if resident else "",
        contract=target.contract_name,
        kind=target.contract.spec.kind,
        guarantee=target.guarantee,
        usage=progress.usage(),
        timing=progress.timing(),
        budget_bound_steps=attempt.budget_bound_steps,
        attempt_count=len(progress.attempts),
    )


def _demand(question: Question, target: _Target, call: EngineCall) -> Demand:
    """What a call will probably cost: the whole prompt, and the median answer of its contract where that is known."""
    typical = target.contract.report.typical_tokens or call.max_tokens
    return Demand(
        tenant=target.tenant,
        lane=question.lane,
        adapter=call.adapter.name if call.adapter else None,
        tokens=len(call.prompt_ids) + min(typical, call.max_tokens),
    )


def _failed(target: _Target, faults: Sequence[FieldViolation], progress: Progress) -> DomainError:
    """The error in place of an answer whose last attempt has these faults."""
    attempts, path = len(progress.attempts), faults[0].path
    seen = {"contract": target.contract_name, "path": loggable_path(path, target.contract.spec), "attempts": attempts}
    if not target.has_checked_keywords:
        _log.critical("guarantee broken", extra=seen)
        return InternalFault("GUARANTEE_BROKEN", f"the output breaks {target.contract_name}: {faults[0].description}")
    _log.warning("format check failed", extra=seen)
    return StateConflict(
        "FORMAT_CHECK_FAILED",
        f"none of {attempts} attempt(s) satisfies {target.contract_name}; the last breaks {path}: "
        f"{faults[0].description}",
        hint="raise the temperature, train the adapter further, or drop the keywords that the contract's report lists "
        "as checked",
        violations=faults,
        metadata={"attempt_count": str(attempts), "output_tokens": str(progress.output_tokens)},
    )


def _replay(contract: CompiledContract, budget: int, token_ids: list[int]) -> int:
    """Walks the generated tokens over the contract; returns the steps at which the budget narrowed the choice.

    Raises:
        InternalFault: GUARANTEE_BROKEN when the tokens are not a complete path, the stop token at its end.
    """
    guide, bound = contract.guide(), 0
    for index, token in enumerate(token_ids):
        bound += guide.is_binding(budget - index)
        if not guide.advance(token):
            break
    if not guide.is_finished():
        raise InternalFault("GUARANTEE_BROKEN", f"the engine left the contract after {len(token_ids)} tokens")
    return bound
