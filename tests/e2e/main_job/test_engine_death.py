"""The engine process dies under load, in the running services."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from shared.contracts.check import check_output
from tests.e2e.main_job.house import House, until

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]

SERVING = health_pb2.HealthCheckResponse.SERVING


def _engine(house: House) -> psutil.Process:
    """The process that vLLM computes in."""
    children = psutil.Process(house.inference_pid).children()
    return next(child for child in children if "EngineCore" in " ".join(child.cmdline()))


class TestEngineDeath:
    """kill -9 of the engine's process."""

    def test_clients_that_try_again_see_no_failure(self, house: House) -> None:
        """Readiness goes false, the engine is started again with its adapters, and every request is answered.

        What is answered then is what was answered before; nothing of the old engine is left.
        """
        before = {tenant: house.ask(tenant).text for tenant in ("acme", "globex")}
        live = {tenant: house.live(f"tenants/{tenant}") for tenant in before}
        engine = _engine(house)
        old = [engine, *engine.children(recursive=True)]
        readiness: list[int] = []
        numbers, stop = itertools.count(), threading.Event()
        answers = []

        def traffic() -> None:
            while not stop.is_set():
                number = next(numbers)
                tenant = ("acme", "globex")[number % 2]
                answers.append((tenant, house.ask(tenant, number, timeout_seconds=200.0)))

        with grpc.insecure_channel(str(house.inference_process.ready["address"])) as channel:
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=600)
            listener = threading.Thread(target=_listen, args=(watch, readiness))
            listener.start()
            with ThreadPoolExecutor(4) as pool:
                running = [pool.submit(traffic) for _ in range(4)]
                try:
                    until(lambda: len(answers) > 8, "answers before")
                    engine.kill()
                    until(lambda: len(readiness) == 3, "readiness to go and to come back")
                    count = len(answers)
                    until(lambda: len(answers) > count + 8, "answers after")
                finally:
                    stop.set()
                for future in running:
                    future.result()
            watch.cancel()
            listener.join()

        assert readiness == [SERVING, health_pb2.HealthCheckResponse.NOT_SERVING, SERVING]
        assert all(check_output(house.tenants[tenant].spec, answer.text) == () for tenant, answer in answers)
        assert {tenant: house.ask(tenant).text for tenant in before} == before
        assert {tenant: house.live(f"tenants/{tenant}") for tenant in before} == live
        assert house.inference_process.process.pid == house.inference_pid
        assert psutil.wait_procs(old, timeout=30)[1] == []


def _listen(watch: grpc.Future, readiness: list[int]) -> None:
    with suppress(grpc.RpcError):  # it is cancelled in the end
        readiness.extend(response.status for response in watch)
