"""Teachers on real sockets: an OpenAI-compatible HTTP server, and an inference service's Generate over gRPC."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from grpc_status import rpc_status

from goldsmith.inference.v1 import generation_pb2, inference_service_pb2, inference_service_pb2_grpc
from shared.errors import DomainError, Exhausted, InvalidInput
from shared.rpc.status import to_status
from tests.access.issuer import Certificate
from trainer_svc.teacher.settings import TeacherEntry

Json = Any  # JSON values
SLOW_SECONDS = 0.5
"""Of a teacher that is expected to hang; others get a minute."""


@dataclass(frozen=True)
class Reply:
    """What a desk does with a question. Without a text it fails with the status, and says nothing with status 0."""

    text: str = ""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    """In place of a chat completion."""
    error: DomainError | None = None
    """Of an inference service."""
    finish_reason: str = "stop"


BUSY = Reply(status=429, headers=(("Retry-After", "0"),))
REFUSAL = Reply(status=401)
SILENCE = Reply(status=0)
NOT_TAKEN = Reply(status=400)

Script = Callable[[Json], Reply]
"""From the request, as JSON with `messages`, to what is replied."""


@dataclass
class Desk:
    """A teacher that does what a test scripts."""

    kind: str
    script: Script
    url: str = ""
    requests: list[Json] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    """What each caller showed."""
    released: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def reply(self, request: Json, key: str) -> Reply:
        """The script's, which is asked one at a time."""
        with self.lock:
            self.requests.append(request)
            self.keys.append(key)
            return self.script(request)

    @property
    def inputs(self) -> list[str]:
        """What was asked, in the order in which it came."""
        return [request["messages"][-1]["content"] for request in self.requests]

    def entry(self, **changes: Any) -> TeacherEntry:  # Any: fields of an entry
        """The operator's entry for it."""
        model = "large" if self.kind == "openai" else ""
        fields = {"kind": self.kind, "url": self.url, "model": model, "tenants": "*", "timeout_seconds": 60.0}
        return TeacherEntry.model_validate(fields | changes)


def turns(*replies: Reply) -> Script:
    """These in turn, the last one for ever."""
    left = list(replies)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


@contextmanager
def http_desk(script: Script, certificate: Certificate | None = None) -> Iterator[Desk]:
    """An OpenAI-compatible endpoint; with a certificate over TLS."""
    desk = Desk("openai", script)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:  # its base class's name
            body = self.rfile.read(int(self.headers["content-length"]))
            reply = desk.reply(json.loads(body) | {"path": self.path}, self.headers.get("authorization", ""))
            if reply.status == 0:
                desk.released.wait(30)
                return
            data = reply.body if reply.body is not None else _completion(reply)
            self.send_response(reply.status)
            for name, value in (*reply.headers, ("Content-Length", str(len(data)))):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A caller that went away is no fault of the server."""

    server = Server(("127.0.0.1", 0), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.certificate, certificate.key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    desk.url = f"http{'s' if certificate else ''}://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield desk
    finally:
        desk.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _completion(reply: Reply) -> bytes:
    message = {"role": "assistant", "content": reply.text}
    choice = {"index": 0, "message": message, "finish_reason": reply.finish_reason}
    return json.dumps({"object": "chat.completion", "choices": [choice], "usage": {}}).encode()


_BUSY = Exhausted("QUEUE_FULL", "scripted", retry_after_seconds=0.0)
_NOT_TAKEN = InvalidInput("CONTEXT_TOO_LONG", "scripted")
_CODES = {
    401: grpc.StatusCode.UNAUTHENTICATED, 404: grpc.StatusCode.NOT_FOUND,
    503: grpc.StatusCode.UNAVAILABLE,
}  # fmt: skip


@contextmanager
def grpc_desk(script: Script, certificate: Certificate | None = None) -> Iterator[Desk]:
    """An inference service; with a certificate over TLS."""
    desk = Desk("goldsmith", script)

    class Servicer(inference_service_pb2_grpc.InferenceServiceServicer):
        def Generate(  # noqa: N802  # gRPC's name
            self, request: inference_service_pb2.GenerateRequest, context: grpc.ServicerContext
        ) -> inference_service_pb2.GenerateResponse:
            prompt, sampling = request.prompt, request.sampling
            told = [{"role": "system", "content": prompt.instructions}, {"role": "user", "content": prompt.input}]
            asked = {"messages": told, "contract": prompt.contract, "model": prompt.adapter, "seed": sampling.seed}
            reply = desk.reply(asked, dict(context.invocation_metadata()).get("authorization", ""))
            if reply.status == 0:
                desk.released.wait(30)
            error = {429: _BUSY, 400: _NOT_TAKEN}.get(reply.status, reply.error)
            if error is not None:
                context.abort_with_status(rpc_status.to_status(to_status(error)))
            if reply.status != 200:
                context.abort(_CODES.get(reply.status, grpc.StatusCode.INTERNAL), "scripted")
            summary = generation_pb2.GenerationSummary(budget_bound_steps=int(reply.finish_reason == "length"))
            return inference_service_pb2.GenerateResponse(text=reply.text, summary=summary)

    server = grpc.server(ThreadPoolExecutor(8))
    inference_service_pb2_grpc.add_InferenceServiceServicer_to_server(Servicer(), server)
    if certificate is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        pair = (certificate.key.read_bytes(), certificate.certificate.read_bytes())
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    server.start()
    desk.url = f"127.0.0.1:{port}"
    try:
        yield desk
    finally:
        desk.released.set()
        server.stop(None).wait()


DESKS: dict[str, Callable[..., Any]] = {"openai": http_desk, "goldsmith": grpc_desk}  # Any: context managers
