"""The gRPC surface: parses, calls, translates. One servicer a service."""

import grpc

Context = grpc.aio.ServicerContext[object, object]
