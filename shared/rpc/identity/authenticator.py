"""Who is calling, from what came with the call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from shared.clock import Clock
from shared.errors import Unauthenticated
from shared.rpc.identity.caller import Identity, IdentityMethod, Role
from shared.rpc.identity.certificate import certificate_identity
from shared.rpc.identity.token import TokenVerifier, invalid_token

Metadata = Iterable[tuple[str, str | bytes]]
PeerProperties = Mapping[str, Iterable[bytes]]
"""What gRPC knows of the connection: `ServicerContext.auth_context()`."""

_PEM = "x509_pem_cert"
_BEARER = "bearer "


class Authenticator(Protocol):
    """Knows callers."""

    def identify(self, metadata: Metadata, peer: PeerProperties) -> Identity:
        """The caller, whose credential has not expired. Raises `Unauthenticated`."""


class LoopbackAuthenticator:
    """Takes every caller for the operator of this machine: only for a port that no other machine reaches."""

    def identify(self, metadata: Metadata, peer: PeerProperties) -> Identity:
        """The operator, whatever came with the call."""
        return Identity("loopback", None, frozenset({Role.OPERATOR}), IdentityMethod.LOOPBACK)


class CredentialAuthenticator:
    """Knows callers by their token, or else by their client certificate.

    A token that is shown must be valid, whatever the certificate: a proxy has a certificate of its own and passes its
    callers' tokens on. `tokens` is None where none are accepted.
    """

    def __init__(self, tokens: TokenVerifier | None, clock: Clock) -> None:
        self._tokens, self._clock = tokens, clock

    def identify(self, metadata: Metadata, peer: PeerProperties) -> Identity:
        """The caller.

        Raises:
            Unauthenticated: CREDENTIALS_MISSING, CREDENTIALS_EXPIRED, TOKEN_INVALID or
                CERTIFICATE_INVALID.
        """
        shown = [value for key, value in metadata if key == "authorization"]
        if shown:
            return self._from_token(shown)
        certificate = next(iter(peer.get(_PEM, ())), None)
        if certificate is None:
            raise Unauthenticated(
                "CREDENTIALS_MISSING",
                "nobody is known to be calling",
                hint="send a token as metadata authorization: Bearer TOKEN, or connect with a client certificate",
            )
        identity = certificate_identity(certificate)
        if identity.is_expired(self._clock.now()):  # the connection is older than that
            raise Unauthenticated("CREDENTIALS_EXPIRED", "the client certificate has expired", hint="renew it")
        return identity

    def _from_token(self, shown: list[str | bytes]) -> Identity:
        text = shown[0]
        if len(shown) > 1 or not isinstance(text, str) or not text.lower().startswith(_BEARER):
            raise invalid_token("malformed", "authorization must be one text of the form Bearer TOKEN")
        if self._tokens is None:
            raise invalid_token("key", "this service accepts client certificates only")
        return self._tokens.identity(text[len(_BEARER) :].strip(" "))
