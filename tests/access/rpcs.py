"""Every RPC that the services offer, found in the descriptors, and how to call any of them."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FileDescriptor, MethodDescriptor
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

PROTOS = Path(__file__).parents[2] / "protos"


@dataclass(frozen=True)
class Rpc:
    """One RPC."""

    descriptor: MethodDescriptor

    @property
    def path(self) -> str:
        """As gRPC has it: /package.Service/Method."""
        return f"/{self.descriptor.containing_service.full_name}/{self.descriptor.name}"

    @property
    def short(self) -> str:
        """Service/Method."""
        return self.path.rpartition(".")[2]

    @property
    def request_type(self) -> type[Message]:
        """The class of requests."""
        return message_factory.GetMessageClass(self.descriptor.input_type)

    @property
    def response_type(self) -> type[Message]:
        """The class of responses."""
        return message_factory.GetMessageClass(self.descriptor.output_type)


def all_rpcs() -> list[Rpc]:
    """Of the contracts under protos/, of health and of reflection."""
    return [
        Rpc(method) for file in _files() for service in file.services_by_name.values() for method in service.methods
    ]


def _files() -> Iterator[FileDescriptor]:
    for path in sorted(PROTOS.rglob("*.proto")):
        module = ".".join(path.relative_to(PROTOS).with_suffix("").parts) + "_pb2"
        yield importlib.import_module(module).DESCRIPTOR
    yield health_pb2.DESCRIPTOR
    yield reflection_pb2.DESCRIPTOR


def string_fields(message: Descriptor, path: str = "") -> Iterator[tuple[str, str]]:
    """Path and full name of every text that a message can hold, at every depth."""
    for field in message.fields:
        inside = f"{path}.{field.name}" if path else field.name
        if field.message_type is not None:
            yield from string_fields(field.message_type, inside)
        elif field.type == field.TYPE_STRING:
            yield inside, field.full_name
