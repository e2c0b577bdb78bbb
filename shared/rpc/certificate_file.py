"""The service's own certificate in files that may be replaced while it runs, as certificate managers do."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from shared.errors import FieldViolation, InvalidInput

_log = logging.getLogger(__name__)

CERTIFICATE, KEY, CLIENT_CA = "tls_certificate", "tls_key", "tls_client_ca"
"""Names of the files, as the settings have them."""


class CertificateFiles:
    """Certificate, key and, where client certificates are asked for, the authorities that may issue them.

    The files are looked at in each handshake and read again when one was replaced. New files that cannot be used,
    alone or together (as between the replacement of the certificate and that of its key), are logged, and those before
    them stay. Construction raises `InvalidInput` (FIELD_INVALID), naming every file that cannot be used.
    """

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._files = files
        self._stamp = self._look()
        self._configuration = self._read()

    def credentials(self) -> grpc.ServerCredentials:
        """The same for one port of one gRPC server, which follows it from then on."""
        given = self._configuration

        def replaced() -> grpc.ServerCertificateConfiguration | None:
            """Called by gRPC at the start of a handshake, in a thread of its own; None is no change."""
            nonlocal given
            before, given = given, self._current()
            return None if given is before else given

        return grpc.dynamic_ssl_server_credentials(
            given,
            replaced,  # type: ignore[arg-type]  # None is documented, and left out of the stubs
            require_client_authentication=CLIENT_CA in self._files,
        )

    def _current(self) -> grpc.ServerCertificateConfiguration:
        stamp = self._look()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._configuration = self._read()
                _log.info("certificate replaced", extra={"path": str(self._files[CERTIFICATE])})
            except InvalidInput as err:
                _log.error("certificate not replaced: the new files cannot be used", extra={"detail": str(err)})
        return self._configuration

    def _look(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_stamp(path) for path in self._files.values())

    def _read(self) -> grpc.ServerCertificateConfiguration:
        faults: list[FieldViolation] = []
        pem = {name: _read_pem(name, path, faults) for name, path in self._files.items()}
        if not faults:
            faults.extend(_unfit(pem))
        if faults:
            text = "; ".join(f"{fault.path}: {fault.description}" for fault in faults)
            raise InvalidInput("FIELD_INVALID", f"settings: {text}", violations=faults)
        return grpc.ssl_server_certificate_configuration([(pem[KEY], pem[CERTIFICATE])], pem.get(CLIENT_CA))


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _read_pem(name: str, path: Path, faults: list[FieldViolation]) -> bytes:
    try:
        return path.read_bytes()
    except OSError as err:
        faults.append(FieldViolation(name, f"{path} cannot be read: {err.strerror}"))
        return b""


def _unfit(pem: Mapping[str, bytes]) -> list[FieldViolation]:
    """What is wrong with files that could be read."""
    certificates: dict[str, x509.Certificate] = {}
    faults = []
    for name in (CERTIFICATE, CLIENT_CA):
        if name in pem:
            try:
                certificates[name] = x509.load_pem_x509_certificates(pem[name])[0]
            except ValueError as err:
                faults.append(FieldViolation(name, f"is no PEM certificate: {err}"))
    try:
        public = load_pem_private_key(pem[KEY], None).public_key()
    except (ValueError, TypeError) as err:  # TypeError: it asks for a password
        faults.append(FieldViolation(KEY, f"is no PEM private key that can be read: {err}"))
    else:
        form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        own = certificates.get(CERTIFICATE)
        if own is not None and own.public_key().public_bytes(*form) != public.public_bytes(*form):
            faults.append(FieldViolation(KEY, "is not the key of tls_certificate"))
    return faults
