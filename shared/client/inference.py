"""Client of the inference service: inputs in, parsed answers out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from goldsmith.inference.v1 import generation_pb2, inference_service_pb2, inference_service_pb2_grpc
from shared.client.base import PAGE_SIZE, ServiceClient, pages
from shared.client.channel import call, domain_errors
from shared.client.credentials import Credentials
from shared.names import invalid_field
from shared.telemetry.trace import trace_metadata

_TIMEOUT_SECONDS = 60.0
_PRIORITIES = {"interactive": generation_pb2.PRIORITY_INTERACTIVE, "batch": generation_pb2.PRIORITY_BATCH}


@dataclass(frozen=True)
class Answer:
    """A complete answer that satisfies its contract."""

    text: str
    """Canonical text of the contract's kind, which the summary names."""
    summary: generation_pb2.GenerationSummary

    @property
    def value(self) -> Any:  # Any: whatever the caller's schema says
        """The parsed JSON."""
        return json.loads(self.text)


class InferenceClient(ServiceClient):
    """Calls one inference service; safe to share between threads.

    Every method raises `DomainError` subclasses: `NotFound` for an unknown adapter, `InvalidInput` when the token limit
    is below the contract's minimum, `StateConflict` (FORMAT_CHECK_FAILED) when no attempt satisfies a checked keyword,
    `Exhausted` when the queue is full or the tenant's quota used up, `DeadlineExceeded`, `Unavailable`.
    """

    def __init__(self, address: str, credentials: Credentials | None = None) -> None:
        super().__init__(address, credentials)
        self._stub = inference_service_pb2_grpc.InferenceServiceStub(self._channel)

    def generate(self, adapter: str, input: str, **options: Any) -> Answer:  # noqa: A002  # the golden example's own word
        """Text under a contract of any kind. Options are those of `_request`, `contract` for the base model."""
        fields, timeout, route = _request(adapter, input, **options)
        request = inference_service_pb2.GenerateRequest(**fields)
        response = call(self._stub.Generate, request, timeout, **route)
        return Answer(response.text, response.summary)

    def extract(self, adapter: str, input: str, **options: Any) -> Answer:  # noqa: A002  # as above
        """JSON from text. Options are those of `_request`; `adapter` may be empty when `contract` is given."""
        fields, timeout, route = _request(adapter, input, **options)
        request = inference_service_pb2.ExtractRequest(**fields)
        response = call(self._stub.Extract, request, timeout, **route)
        return Answer(response.json, response.summary)

    def generate_sql(self, adapter: str, input: str, **options: Any) -> Answer:  # noqa: A002  # as above
        """One SELECT statement from a question. Options are those of `_request`."""
        fields, timeout, route = _request(adapter, input, **options)
        request = inference_service_pb2.GenerateSqlRequest(**fields)
        response = call(self._stub.GenerateSql, request, timeout, **route)
        return Answer(response.sql, response.summary)

    def stream(self, adapter: str, input: str, **options: Any) -> Iterator[str | Answer]:  # noqa: A002  # as above
        """Pieces of text as they are generated, then the whole `Answer`, which alone says that it is complete.

        Under a contract with checked keywords there is one piece, after the check.
        """
        fields, timeout, route = _request(adapter, input, **options)
        request = inference_service_pb2.GenerateStreamRequest(**fields)
        with domain_errors():
            responses = self._stub.GenerateStream(
                request,
                timeout=timeout,
                metadata=(*route.items(), *trace_metadata()),
                wait_for_ready=False,
            )
            text = ""
            try:
                for response in responses:
                    if response.HasField("summary"):
                        yield Answer(text, response.summary)
                    else:
                        text += response.text_delta
                        yield response.text_delta
            finally:
                responses.cancel()  # a dropped stream would otherwise run to its end on the server

    def resident_adapters(self, tenant: str) -> list[inference_service_pb2.ResidentAdapter]:
        """Adapters of `tenants/{tenant}` on this replica, with their state."""
        every = pages(
            self._stub.ListResidentAdapters,
            lambda token: inference_service_pb2.ListResidentAdaptersRequest(
                parent=tenant, page_size=PAGE_SIZE, page_token=token
            ),
        )
        return [adapter for page in every for adapter in page.adapters]

    def watch_resident_adapters(
        self, tenant: str, timeout_seconds: float | None = None
    ) -> Iterator[inference_service_pb2.ResidentAdapter]:
        """Adapters of `tenants/{tenant}` on this replica with their state, then each change, without end.

        Raises `Unavailable` when the replica drains, and `DeadlineExceeded` after `timeout_seconds`.
        """
        request = inference_service_pb2.WatchResidentAdaptersRequest(parent=tenant)
        with domain_errors():
            stream = self._stub.WatchResidentAdapters(
                request, timeout=timeout_seconds, metadata=trace_metadata(), wait_for_ready=False
            )
            try:
                for message in stream:
                    if message.HasField("adapter"):
                        yield message.adapter
            finally:
                stream.cancel()  # a dropped stream would otherwise run on for ever on the server


def _request(  # noqa: PLR0913  # the options of a request, keyword-only
    adapter: str,
    text: str,
    *,
    instructions: str = "",
    contract: str = "",
    temperature: float = 0.0,
    top_p: float | None = None,
    seed: int | None = None,
    max_output_tokens: int | None = None,
    priority: str = "interactive",
    canary: str = "",
    timeout_seconds: float = _TIMEOUT_SECONDS,
) -> tuple[dict[str, Any], float, dict[str, str]]:  # Any: each field has its own type, which the message checks
    """Fields that every request has, its deadline, and its metadata.

    `priority` is "interactive", or "batch" when nobody waits. `canary` is "always" or "never"; empty leaves it to
    chance whether the adapter's canary, if it has one, answers.
    """
    if priority not in _PRIORITIES:
        raise invalid_field("priority", f"must be one of {', '.join(_PRIORITIES)}, got {priority!r}")
    prompt = inference_service_pb2.Prompt(adapter=adapter, input=text, instructions=instructions, contract=contract)
    sampling = generation_pb2.Sampling(
        temperature=temperature, top_p=top_p, seed=seed, max_output_tokens=max_output_tokens
    )
    fields = {"prompt": prompt, "sampling": sampling, "priority": _PRIORITIES[priority]}
    route = {"x-adapter": adapter} if adapter else {}  # by which a proxy keeps an adapter's requests on one replica
    return fields, timeout_seconds, {**route, **({"x-canary": canary} if canary else {})}
