"""What a client shows: a token, a certificate, and whose word it takes for the server's identity."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import grpc

from shared.errors import FieldViolation, InvalidInput
from shared.names import invalid_field


@dataclass(frozen=True)
class Credentials:
    """How to reach a service over TLS. With none of these fields: the system's authorities, and no identity."""

    ca: Path | None = None
    """PEM file of the authorities that may vouch for the server; None: the system's."""
    certificate: Path | None = None
    """PEM file of the client certificate, with `key`."""
    key: Path | None = None
    """PEM file of its private key."""
    token_file: Path | None = None
    """File that holds a token. It is read at each call, so that whoever renews it need not tell."""
    token: str = field(default="", repr=False)
    """The token itself, in place of a file."""

    def __post_init__(self) -> None:
        """Refuses (`InvalidInput`) halves and doubles."""
        if (self.certificate is None) != (self.key is None):
            raise invalid_field("certificate", "and key go together")
        if self.token and self.token_file is not None:
            raise invalid_field("token", "is given twice, as text and as a file")

    def for_channel(self) -> grpc.ChannelCredentials:
        """The same for gRPC. Raises `InvalidInput` naming every file that cannot be read."""
        faults: list[FieldViolation] = []
        ca, certificate, key = (_read(name, getattr(self, name), faults) for name in ("ca", "certificate", "key"))
        if self.token_file is not None:
            _read("token_file", self.token_file, faults)
        if faults:
            text = "; ".join(f"{fault.path}: {fault.description}" for fault in faults)
            raise InvalidInput("FIELD_INVALID", f"credentials: {text}", violations=faults)
        channel = grpc.ssl_channel_credentials(ca, key, certificate)
        if not self.token and self.token_file is None:
            return channel
        source = grpc.metadata_call_credentials(_Bearer(self.token, self.token_file))
        return grpc.composite_channel_credentials(channel, source)


class _Bearer(grpc.AuthMetadataPlugin):
    """Adds the token to each call; gRPC sees to it that it travels over TLS only."""

    def __init__(self, token: str, file: Path | None) -> None:
        self._token, self._file = token, file

    def __call__(self, context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback) -> None:
        """Hands over the metadata, or the reason why there is none; the call then fails with UNAVAILABLE."""
        try:
            token = self._token or (self._file.read_text(encoding="ascii").strip() if self._file else "")
        except (OSError, UnicodeDecodeError) as err:
            callback((), err)
        else:
            callback((("authorization", f"Bearer {token}"),), None)


def _read(name: str, path: Path | None, faults: list[FieldViolation]) -> bytes | None:
    try:
        return None if path is None else path.read_bytes()
    except OSError as err:
        faults.append(FieldViolation(name, f"{path} cannot be read: {err.strerror}"))
        return None
