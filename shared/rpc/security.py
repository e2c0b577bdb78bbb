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
from shared.rpc.certificate_file import CERTIFICATE, CLIENT_CA, KEY, CertificateFiles
from shared.rpc.identity.authenticator import Authenticator, CredentialAuthenticator, LoopbackAuthenticator
from shared.rpc.identity.key_set import JwksFile
from shared.rpc.identity.token import TokenVerifier

_FILES = (CERTIFICATE, KEY, CLIENT_CA)


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
    certificates: CertificateFiles | None
    """None is plaintext."""
    clock: Clock

    def interceptors(self) -> list[grpc.aio.ServerInterceptor]:
        """What stands before every handler, after the interceptor that maps errors."""
        return [AccessInterceptor(self.authenticator, self.clock)]

    def bind(self, server: grpc.aio.Server, listen: str) -> int:
        """Opens the port `listen` on a server that has not started; returns its number."""
        if self.certificates is None:
            return server.add_insecure_port(listen)
        return server.add_secure_port(listen, self.certificates.credentials())


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
    files = {name: path for name in _FILES if (path := getattr(settings, name)) is not None}
    certificates = CertificateFiles(files)
    tokens = None
    if settings.token_keys is not None:
        keys = JwksFile(settings.token_keys)
        tokens = TokenVerifier(keys, issuer=settings.token_issuer, audience=settings.token_audience, clock=clock)
    return Security(CredentialAuthenticator(tokens, clock), certificates, clock)


def _faults(settings: SecuritySettings, listen: str) -> Iterator[FieldViolation]:
    names = (*_FILES, "token_keys", "token_issuer", "token_audience")
    given = {name for name in names if getattr(settings, name)}
    if settings.insecure_loopback:
        if not is_loopback(listen):
            yield FieldViolation("listen", f"{listen!r} is no loopback address, as insecure_loopback needs")
        for name in sorted(given):
            yield FieldViolation(name, "contradicts insecure_loopback, under which every caller is the operator")
        return
    for name in (CERTIFICATE, KEY):
        if name not in given:
            yield FieldViolation(name, "is required; on a loopback address insecure_loopback=true does without")
    if not given & {"token_keys", CLIENT_CA}:
        yield FieldViolation("token_keys", "or tls_client_ca is required: nobody could be known otherwise")
    of_tokens = {"token_keys", "token_issuer", "token_audience"}
    if given & of_tokens:
        for name in sorted(of_tokens - given):
            yield FieldViolation(name, "is required to check tokens")


def _refused(faults: list[FieldViolation]) -> InvalidInput:
    text = "; ".join(f"{fault.path}: {fault.description}" for fault in faults)
    return InvalidInput("FIELD_INVALID", f"settings: {text}", violations=faults)
