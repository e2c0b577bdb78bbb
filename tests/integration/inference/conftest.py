"""The inference service over a real socket: the servicer, the error table and the client, with an engine in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator

import grpc
import pytest_asyncio

from goldsmith.inference.v1 import inference_service_pb2_grpc
from inference_svc.service import InferenceServicer
from shared.base_model import BaseModel
from shared.rpc.interceptor import ErrorInterceptor
from tests.integration.inference.house import PAIRS, PAIRS_SPEC, SPECS, House
from tests.unit.inference_svc.conftest import Replica


@pytest_asyncio.fixture
async def house(tiny_base: BaseModel, tmp_path) -> AsyncIterator[House]:
    """A replica with a contract of every kind, behind a real socket."""
    replica = Replica(tiny_base, tmp_path)
    replica.registry.specs |= SPECS | {PAIRS: PAIRS_SPEC}
    server = grpc.aio.server(interceptors=[ErrorInterceptor()])
    servicer = InferenceServicer(replica.answering, replica.fleet)
    inference_service_pb2_grpc.add_InferenceServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield House(replica, f"127.0.0.1:{port}")
    await server.stop(0)
