"""`python -m tests.counting_process FOLDER TRAINER`: counts requests, keeps and reports them, until it is killed.

Prints the number of each request before it is counted. With a third argument it counts nothing, reports and ends.
"""

from __future__ import annotations

import asyncio
import sys
import uuid
from pathlib import Path

import grpc

from inference_svc.app.bookkeeper import Bookkeeper
from inference_svc.app.ledger_file import LedgerFile
from inference_svc.domain.ledger import Ledger, UsageKey
from inference_svc.usage_client import GrpcUsageReader
from shared.clock import SystemClock
from shared.usage import UsageCounts, hour_of


async def main(folder: Path, trainer: str, *, counts: bool) -> None:
    """As a replica lives, its requests aside."""
    clock, ledger = SystemClock(), Ledger(lambda: str(uuid.uuid4()))
    async with grpc.aio.insecure_channel(trainer) as channel:
        keeper = Bookkeeper(
            ledger=ledger, file=LedgerFile(folder / "ledger.json", ledger), reader=GrpcUsageReader(channel),
            clock=clock, save_seconds=0.02, report_seconds=0.05,
        )  # fmt: skip
        keeper.restore()
        if not counts:
            await keeper.stop()
            return
        running = asyncio.create_task(keeper.run())
        for number in range(1, 1_000_000):
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()
            key = UsageKey("", "acme", "answer", 1, hour_of(clock.now()))
            ledger.count(key, UsageCounts(answered_requests=1))
            await asyncio.sleep(0.001)
        await running


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], counts=len(sys.argv) == 3))
