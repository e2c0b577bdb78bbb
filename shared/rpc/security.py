"""How a service may be reached: TLS with callers that are known, or loopback in plaintext by an explicit flag."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import grpc

from shared.clock import Clock, SystemClock
from shared.errors import FieldViolation, InvalidInput
from shared.rpc.access.interceptor import AccessInterceptor
from shared.rpc.address import is_loopback
from shared.rpc.identity.authenticator import Authenticator, CredentialAuthenticator, LoopbackAuthenticator
from shared.rpc.identity.key_set import JwksFile
from shared.rpc.identity.token import TokenVerifier


@dataclass(frozen=True, kw_only=True)
class SecuritySettings:
    """The part of a service's settings that says who may call."""

    insecure_loopback: bool = field(
        default=False,
        metadata={"help": "no TLS, and every caller is the operator; for a loopback address on a machine of one owner"},
    )
    tls_certificate: Path | None = field(default=None, metadata={"help": "PEM file of the service's chain"})
    tls_key: Path | None = field(default=None, metadata={"help": "PEM file of its private key"})
    tls_client_ca: Path | None = field(
        default=None,
        metadata={"help": "PEM file of the authorities of client certificates; then every caller needs one"},
    )
    token_keys: Path | None = field(
        default=None, metadata={"help": "JWK set of the tokens' issuer, read again when it is replaced"}
    )
    token_issuer: str = field(default="", metadata={"help": "the iss that tokens must have"})
    token_audience: str = field(default="", metadata={"help": "the aud that tokens must have"})

    @property
    def security(self) -> Self:
        """These settings, for whoever starts the service."""
        return self


@dataclass(frozen=True)
class Security:
    """Settings, read and found sound."""

    authenticator: Authenticator
    credentials: grpc.ServerCredentials | None
    """None is plaintext."""
    clock: Clock

    def interceptors(self) -> list[grpc.aio.ServerInterceptor]:
        """What stands before every handler, after the interceptor that maps errors."""
        return [AccessInterceptor(self.authenticator, self.clock)]

    def bind(self, server: grpc.aio.Server, listen: str) -> int:
        """Opens the port `listen` on a server that has not started; returns its number."""
        if self.credentials is None:
            return server.add_insecure_port(listen)
        return server.add_secure_port(listen, self.credentials)


def secure(settings: SecuritySettings, listen: str, clock: Clock | None = None) -> Security:
    """Reads keys and certificates.

    Raises:
        InvalidInput: FIELD_INVALID listing everything that is missing, contradictory or unreadable. Without TLS only
            `insecure_loopback` on a loopback address will do; with TLS there must be a way to know callers.
    """
    faults = list(_faults(settings, listen))
    if faults:
        raise _refused(faults)
    clock = clock or SystemClock()
    if settings.insecure_loopback:
        return Security(LoopbackAuthenticator(), None, clock)
    pem = {name: _read(name, path, faults) for name, path in _files(settings)}
    if faults:
        raise _refused(faults)
    tokens = None
    if settings.token_keys is not None:
        keys = JwksFile(settings.token_keys)
        tokens = TokenVerifier(keys, issuer=settings.token_issuer, audience=settings.token_audience, clock=clock)
    credentials = grpc.ssl_server_credentials(
        [(pem["tls_key"], pem["tls_certificate"])],
        root_certificates=pem.get("tls_client_ca"),
        require_client_auth="tls_client_ca" in pem,
    )
    return Security(CredentialAuthenticator(tokens, clock), credentials, clock)


def _faults(settings: SecuritySettings, listen: str) -> Iterator[FieldViolation]:
    names = ("tls_certificate", "tls_key", "tls_client_ca", "token_keys", "token_issuer", "token_audience")
    given = {name for name in names if getattr(settings, name)}
    if settings.insecure_loopback:
        if not is_loopback(listen):
            yield FieldViolation("listen", f"{listen!r} is no loopback address, as insecure_loopback needs")
        for name in sorted(given):
            yield FieldViolation(name, "contradicts insecure_loopback, under which every caller is the operator")
        return
    for name in ("tls_certificate", "tls_key"):
        if name not in given:
            yield FieldViolation(name, "is required; on a loopback address insecure_loopback=true does without")
    if not given & {"token_keys", "tls_client_ca"}:
        yield FieldViolation("token_keys", "or tls_client_ca is required: nobody could be known otherwise")
    of_tokens = {"token_keys", "token_issuer", "token_audience"}
    if given & of_tokens:
        for name in sorted(of_tokens - given):
            yield FieldViolation(name, "is required to check tokens")


def _files(settings: SecuritySettings) -> Iterator[tuple[str, Path]]:
    for name in ("tls_certificate", "tls_key", "tls_client_ca"):
        path = getattr(settings, name)
        if path is not None:
            yield name, path


def _read(name: str, path: Path, faults: list[FieldViolation]) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as err:
        faults.append(FieldViolation(name, f"{path} cannot be read: {err.strerror}"))
        return b""
    if b"-----BEGIN " not in content:
        faults.append(FieldViolation(name, f"{path} is no PEM file"))
    return content


def _refused(faults: list[FieldViolation]) -> InvalidInput:
    text = "; ".join(f"{fault.path}: {fault.description}" for fault in faults)
    return InvalidInput("FIELD_INVALID", f"settings: {text}", violations=faults)
