"""The list of services that health and reflection give."""

from __future__ import annotations

import grpc
from grpc_health.v1 import health, health_pb2_grpc

from goldsmith.inference.v1 import inference_service_pb2, inference_service_pb2_grpc
from shared.rpc.service_names import service_names


class TestServiceNames:
    """`service_names`."""

    def test_are_those_of_what_is_registered(self) -> None:
        """Each once, in order; there is no second list in which a new service could be forgotten."""

        def register(server: grpc.aio.Server) -> None:
            inference_service_pb2_grpc.add_InferenceServiceServicer_to_server(
                inference_service_pb2_grpc.InferenceServiceServicer(), server
            )
            health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server)

        expected = [
            inference_service_pb2.DESCRIPTOR.services_by_name["InferenceService"].full_name,
            health.SERVICE_NAME,
        ]
        assert expected == service_names(register)
