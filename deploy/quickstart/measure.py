"""Measures a served adapter through the inference API, as its users would see it."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from deploy.quickstart.tenant import DemoTenant, GoldenRow
from shared.client import Answer, InferenceClient
from shared.contracts.check import canonicalise, check_output
from shared.contracts.spec import ContractKind
from shared.errors import DomainError, InvalidInput
from trainer_svc.domain.measure import Metrics
from trainer_svc.domain.row_score import Generated
from trainer_svc.evaluation.score import score_rows
from trainer_svc.evaluation.summary import metrics_of

_PARALLEL_REQUESTS = 8


@dataclass
class Tally:
    """What happened to every request of one tenant. Only complete, checked answers count as valid."""

    requests: int = 0
    failed: int = 0
    invalid: int = 0
    failures: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Run:
    """One pass over rows with one kind of prompt."""

    metrics: Metrics
    prompt_tokens: float
    latency_p50_ms: float


Ask = Callable[[GoldenRow], Answer]


class Meter:
    """Sends one tenant's requests and holds each answer against the contract with its own validator."""

    def __init__(self, client: InferenceClient, tenant: DemoTenant, tally: Tally) -> None:
        self._client, self._tenant, self._tally = client, tenant, tally
        self._method = client.extract if tenant.kind is ContractKind.JSON else client.generate_sql

    def ask(self, row: GoldenRow, adapter: str, **options: object) -> Answer | None:
        """One request, counted; None when it failed."""
        self._tally.requests += 1
        try:
            answer = self._method(adapter, row.input, **options)
        except DomainError as err:
            self._tally.failed += 1
            self._tally.failures[err.reason] += 1
            return None
        if check_output(self._tenant.spec, answer.text):
            self._tally.invalid += 1
        return answer

    def minimum(self, row: GoldenRow, adapter: str) -> int:
        """The contract's least token limit, learned as a caller would: from the error that names it."""
        try:
            self._method(adapter, row.input, max_output_tokens=1)
        except InvalidInput as err:
            return int(err.metadata["min_output_tokens"])
        return 1

    def run(self, rows: Sequence[GoldenRow], adapter: str, latency_rows: int = 24, **options: object) -> Run:
        """Answers for all rows, some in turn for the latency, the rest in parallel."""
        rows = list(rows)
        self.ask(rows[0], adapter, **options)  # first contact compiles kernels and contracts
        answers: list[Answer | None] = []
        latencies = []
        for row in rows[:latency_rows]:
            begin = time.perf_counter()
            answers.append(self.ask(row, adapter, **options))
            latencies.append((time.perf_counter() - begin) * 1000)
        with ThreadPoolExecutor(_PARALLEL_REQUESTS) as pool:
            answers += pool.map(lambda row: self.ask(row, adapter, **options), rows[latency_rows:])
        spec, gold = self._tenant.spec, [golden_text(self._tenant, row.output) for row in rows]
        scored = score_rows(
            spec, partial(check_output, spec), gold, [_generated(answer) for answer in answers],
            database_sql=self._tenant.database_sql,
        )  # fmt: skip
        tokens = [answer.summary.usage.prompt_tokens for answer in answers if answer]
        return Run(
            metrics_of(scored),
            statistics.mean(tokens) if tokens else 0.0,
            statistics.median(latencies),
        )

    def stress(self, rows: Sequence[GoldenRow], adapter: str, count: int, **options: object) -> None:
        """`count` requests in parallel, whose answers only have to be valid."""
        with ThreadPoolExecutor(_PARALLEL_REQUESTS) as pool:
            for _ in pool.map(
                lambda index: self.ask(rows[index % len(rows)], adapter, seed=index, **options), range(count)
            ):
                pass


def _generated(answer: Answer | None) -> Generated:
    """A request that failed counts as an empty answer."""
    if answer is None:
        return Generated("", 0, ended=False)
    return Generated(answer.text, answer.summary.usage.output_tokens - 1, ended=True)


def golden_text(tenant: DemoTenant, output: str) -> str:
    """Canonical golden output; the text itself where it lies outside the contract, so that it counts as a miss."""
    try:
        return canonicalise(tenant.spec, output)
    except InvalidInput:
        return output
