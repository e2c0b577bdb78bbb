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
from dataclasses import replace

from inference_svc.app.admission import Admission, Demand
from inference_svc.app.contract_library import ContractLibrary
from inference_svc.app.engine_call import Target, call_of, demand_of
from inference_svc.app.fleet import Fleet
from inference_svc.app.meter import UNOBSERVED, Meter
from inference_svc.app.ports import EngineCall, InferenceEngine
from inference_svc.app.progress import Attempt, Progress
from inference_svc.app.read_ahead import read_ahead
from inference_svc.domain.fault_path import loggable_path
from inference_svc.domain.generation import Answer, Question
from shared.contracts.compiled import CompiledContract
from shared.errors import DeadlineExceeded, DomainError, FieldViolation, InternalFault, StateConflict
from shared.names import ContractName, invalid_field
from shared.prompt import PromptRenderer
from shared.usage import MILLITOKENS

_log = logging.getLogger(__name__)

_CHECK_THREADS = 4


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
                    call = call_of(question, target, self._renderer, context_tokens=self._context_tokens, stream=stream)
                    progress.prompt_tokens = len(call.prompt_ids)
                    demand = demand_of(question, target, call)
                    async with aclosing(self._attempts(target, call, demand, progress)) as pieces:
                        async for piece in pieces:
                            if stream and piece:
                                yield piece
                    progress.is_answered = True
                    yield _answer(target, progress)
            except TimeoutError as err:
                raise _too_late(question) from err

    async def _attempts(
        self, target: Target, call: EngineCall, demand: Demand, progress: Progress
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
    async def _target(self, question: Question, progress: Progress) -> AsyncIterator[Target]:
        if question.adapter:
            async with self._fleet.serve(question.adapter, question.canary, progress) as resident:
                assert resident.contract is not None
                assert resident.manifest is not None
                own = resident.manifest.contract_name
                if question.contract not in ("", own):
                    raise invalid_field("prompt.contract", f"the adapter answers under {own}")
                yield Target(resident, resident.contract, own, resident.revision.tenant)
        elif question.contract:
            name = ContractName.parse(question.contract, "prompt.contract")
            yield Target(None, await self._contracts.named(name), str(name), name.tenant)
        else:
            raise invalid_field("prompt.contract", "is required when no adapter is named")

    async def _decode(self, call: EngineCall, attempt: Attempt) -> AsyncGenerator[str]:
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        # Closed by name everywhere: a caller that goes away must free the engine now, not when garbage is collected.
        async with aclosing(self._engine.generate(call)) as chunks:
            async for chunk in chunks:
                attempt.take(list(chunk.token_ids), chunk.cached_prompt_tokens)
                yield decoder.decode(b"".join(self._token_bytes.get(token, b"") for token in chunk.token_ids))


def _too_late(question: Question) -> DeadlineExceeded:
    return DeadlineExceeded("DEADLINE_PASSED", f"not done within {question.deadline_seconds:.3f} s")


def _note(progress: Progress, question: Question, target: Target) -> None:
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


def _answer(target: Target, progress: Progress) -> Answer:
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


def _failed(target: Target, faults: Sequence[FieldViolation], progress: Progress) -> DomainError:
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
