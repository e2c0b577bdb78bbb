"""The running services that every test of the main job asks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.quickstart.invoices import invoices
from deploy.quickstart.sales import sales
from deploy.quickstart.service_process import ServiceProcess
from shared.base_model import BaseModel
from shared.client import InferenceClient, PromotionClient, TrainerClient
from tests.e2e.main_job.house import HOLDOUT, House, free_port

ROWS = 120
OPEN = {"insecure-loopback": "true"}
"""No TLS, and every caller is the operator."""


@pytest.fixture(scope="package")
def house(tmp_path_factory: pytest.TempPathFactory, shipped_base: BaseModel) -> Iterator[House]:
    """Both services with one trained adapter for each of two tenants; started once for all tests of this folder."""
    folder = tmp_path_factory.mktemp("house")
    address = f"127.0.0.1:{free_port()}"
    base = str(shipped_base.folder)
    trainer = ServiceProcess(
        "trainer_svc",
        {
            "data-dir": str(folder / "trainer"),
            "base-model-dir": base,
            "listen": address,
            "training-threads": "1",
            "servability-proof": "vllm",
            **OPEN,
        },
        folder / "trainer.log",
    )
    inference = ServiceProcess(
        "inference_svc",
        {
            "data-dir": str(folder / "inference"),
            "base-model-dir": base,
            "registry": address,
            "listen": "127.0.0.1:0",
            "metrics-listen": "127.0.0.1:0",
            **OPEN,
        },
        folder / "inference.log",
    )
    with trainer, inference:
        trainer.wait_ready()
        serving = inference.wait_ready()
        with TrainerClient(address) as train, InferenceClient(serving) as infer, PromotionClient(address) as promote:
            own = House(trainer, inference, train, infer, promote, inference.process.pid)
            for tenant in (invoices(ROWS, HOLDOUT), sales(ROWS, HOLDOUT)):
                own.tenants[tenant.id] = tenant
                own.dataset(tenant)
                own.finish(own.submit(tenant.id, "first", epochs=2))
            yield own
    for process in (trainer, inference):
        assert process.process.returncode == 0, (process.process.returncode, _tail(folder))


def _tail(folder: Path) -> str:
    return "\n".join(path.name + "\n" + path.read_text()[-3000:] for path in folder.glob("*.log"))
