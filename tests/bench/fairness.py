"""What a tenant that sends ten times its quota does to the answers of another one, on the real engine."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from inference_svc.app.admission import Admission, Demand
from inference_svc.app.ports import EngineCall
from inference_svc.app.quota_book import OneQuota
from inference_svc.domain.adapter_room import AdapterRoom
from inference_svc.domain.generation import Sampling
from inference_svc.domain.lane import Lane
from inference_svc.domain.quota import Quota
from inference_svc.domain.residency import AdapterKey
from inference_svc.engine.vllm_engine import VllmEngine
from shared.base_model import BaseModel
from shared.contracts.compiled import CompiledContract
from shared.contracts.compiler import ContractCompiler
from shared.contracts.spec import ContractKind, ContractSpec
from shared.errors import Exhausted
from shared.prompt import PromptRenderer
from tests.bench.contract import BASE
from tests.bench.engine import RUNNING, start_engine
from tests.bench.result import Figures, in_folder, report
from tests.bench.undisturbed import Undisturbed

_QUOTA_SHARE = 0.1
"""Of the replica's capacity: ten tenants fill it."""
_EXCESS = 10
_ROUNDS = 16
_CONTRAST_ROUNDS = 2
"""Of them with the ways that have no quotas, too."""
_REPEATS = _ROUNDS
"""Of rounds that were disturbed."""
_CONTRASTS = ("fair_queue_only", "first_come")
_ROUND_SECONDS = 8.0
_RUNNING_QUOTA = 2
"""Of one tenant: what its rate needs, so that a second's worth that comes at once is spread out."""
_CAPACITY_REQUESTS = 8 * RUNNING
_QUEUED = 100_000
_SCHEMA = {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 99}, "minItems": 8, "maxItems": 8}


def main() -> None:
    """Prints the figures and writes build/bench/fairness.json."""
    report("fairness", measure())


def measure() -> Figures:
    """Starts one engine and lets the quiet tenant ask alone, then beside the noisy one, in turns."""
    return in_folder(_measure)


@dataclass
class _Sender:
    """One tenant's requests in one way of admission."""

    latencies: list[float] = field(default_factory=list)
    """Seconds from the moment in which a request was due to its answer."""
    refused: int = 0

    def add(self, other: _Sender) -> None:
        """Of another round."""
        self.latencies += other.latencies
        self.refused += other.refused

    @property
    def refused_ratio(self) -> float:
        """Of all that was sent."""
        return self.refused / max(1, self.refused + len(self.latencies))

    def percentile(self, percent: int) -> float:
        """Seconds within which so many per cent of the answers came."""
        return sorted(self.latencies)[min(len(self.latencies) - 1, percent * len(self.latencies) // 100)]


@dataclass(frozen=True)
class _Bench:
    """A running engine, and how one request of it looks."""

    engine: VllmEngine
    contract: CompiledContract
    renderer: PromptRenderer
    numbers: itertools.count[int]

    async def ask(self, admission: Admission, tenant: str, adapter: AdapterKey) -> None:
        """One request, charged to `tenant`. Raises `Exhausted`."""
        admission.knock(tenant)
        number = next(self.numbers)
        call = EngineCall(
            request_id=f"fair-{number}",
            prompt_ids=self.renderer.prompt_ids(f"request {number} of a usual length for an input of this kind"),
            contract_digest=self.contract.digest,
            max_tokens=64,
            sampling=Sampling(temperature=1.0, seed=number),
            adapter=adapter,
            tenant=tenant,
            stream=False,
        )
        expected = len(call.prompt_ids) + self.contract.report.typical_tokens
        async with admission.place(Demand(tenant, Lane.INTERACTIVE, adapter.name, expected)) as place:
            output = sum([len(chunk.token_ids) async for chunk in self.engine.generate(call)])
            place.spent_tokens = len(call.prompt_ids) + output

    async def send(
        self, admission: Admission, tenant: str, adapters: Sequence[AdapterKey], due: Sequence[float]
    ) -> _Sender:
        """Sends a request at each of the times `due`, whether those before are answered or not."""
        begin, sender = time.perf_counter(), _Sender()

        async def one(number: int, at: float) -> None:
            await asyncio.sleep(at)
            try:
                await self.ask(admission, tenant, adapters[number % len(adapters)])
            except Exhausted:
                sender.refused += 1
            else:
                sender.latencies.append(time.perf_counter() - begin - at)

        await asyncio.gather(*(one(number, at) for number, at in enumerate(due)))
        return sender


async def _measure(folder: Path) -> Figures:
    base = BaseModel.load(BASE)
    compiler = ContractCompiler(folder / "contracts", base.vocabulary())
    contract = compiler.compile(ContractSpec(ContractKind.JSON, json.dumps(_SCHEMA)))
    # One thread: the other core is for the sender, which would otherwise hold up the engine by what it measures.
    engine, adapters = await start_engine(base, folder, threads=1)
    bench = _Bench(engine, contract, PromptRenderer.load(base), itertools.count())
    undisturbed = Undisturbed(_REPEATS)
    await _capacity(bench, adapters)  # warms kernels and caches
    capacity = await undisturbed.wait(partial(_capacity, bench, adapters))
    rate = _QUOTA_SHARE * capacity
    quota = Quota(requests_per_second=rate, running_requests=_RUNNING_QUOTA)
    ways: dict[str, tuple[Callable[[], Admission], float]] = {
        "alone": (lambda: _admission(quota), 0),
        "at_quota": (lambda: _admission(quota), 1),
        "beside": (lambda: _admission(quota), _EXCESS),
        "fair_queue_only": (lambda: _admission(Quota()), _EXCESS),
        "first_come": (lambda: _admission(Quota()), _EXCESS),
    }
    quiet: dict[str, _Sender] = {way: _Sender() for way in ways}
    noisy: dict[str, _Sender] = {way: _Sender() for way in ways}

    async def one_way(way: str, number: int) -> tuple[_Sender, _Sender]:
        make, times = ways[way]
        admission = make()
        even = [index / rate for index in range(int(_ROUND_SECONDS * rate))]
        # As one tenant both stand in one line: first come, first served.
        name = "quiet" if way == "first_come" else "noisy"
        due = _chance_times(random.Random(f"{way} {number}"), times * rate) if times else []
        return await asyncio.gather(
            bench.send(admission, "quiet", adapters[:1], even), bench.send(admission, name, adapters[1:], due)
        )

    async def one_round(number: int) -> dict[str, tuple[_Sender, _Sender]]:
        names = [way for way in ways if way not in _CONTRASTS or number < _CONTRAST_ROUNDS]
        return {way: await one_way(way, number) for way in (names if number % 2 else reversed(names))}

    for number in range(_ROUNDS):
        for way, (calm, loud) in (await undisturbed.wait(partial(one_round, number))).items():
            quiet[way].add(calm)
            noisy[way].add(loud)
    await engine.stop()
    alone = quiet["alone"].percentile(99)
    return {
        "capacity_requests_per_s": capacity,
        "quota_requests_per_s": rate,
        "quiet_requests": len(quiet["alone"].latencies),
        "fairness_repeats": _REPEATS - undisturbed.repeats_left,
        "fairness_worst_stolen_ratio": undisturbed.worst_stolen,
        "quiet_refused_ratio": max(sender.refused_ratio for sender in quiet.values()),
        "noisy_refused_ratio": noisy["beside"].refused_ratio,
        **{f"{way}_p50_ms": 1000 * sender.percentile(50) for way, sender in quiet.items()},
        **{f"{way}_p99_ms": 1000 * sender.percentile(99) for way, sender in quiet.items()},
        "noisy_neighbour_p99_ratio": quiet["beside"].percentile(99) / alone,
        "noisy_over_at_quota_p99_ratio": quiet["beside"].percentile(99) / quiet["at_quota"].percentile(99),
        "fair_queue_only_p99_ratio": quiet["fair_queue_only"].percentile(99) / alone,
        "first_come_p99_ratio": quiet["first_come"].percentile(99) / alone,
    }


def _admission(quota: Quota) -> Admission:
    return Admission(running=RUNNING, queued=_QUEUED, quotas=OneQuota(quota), room=AdapterRoom(4, 32))


def _chance_times(chance: random.Random, rate: float) -> list[float]:
    """Arrivals of many independent callers (Poisson) within a round."""
    times = itertools.accumulate(chance.expovariate(rate) for _ in itertools.count())
    return list(itertools.takewhile(lambda at: at < _ROUND_SECONDS, times))


async def _capacity(bench: _Bench, adapters: Sequence[AdapterKey]) -> float:
    """Requests a second while the engine is full."""
    admission = _admission(Quota())
    begin = time.perf_counter()
    await asyncio.gather(
        *(bench.ask(admission, "all", adapters[number % len(adapters)]) for number in range(_CAPACITY_REQUESTS))
    )
    return _CAPACITY_REQUESTS / (time.perf_counter() - begin)


if __name__ == "__main__":
    main()
