"""The operator's keys in PEM files: the one that signs adapters, and those whose signatures are trusted.

`openssl genpkey -algorithm ed25519 -out signing.pem` makes the first, `openssl pkey -in signing.pem -pubout` tells its
public key; `cat` puts several of those into one file.
"""

from __future__ import annotations

import codecs
import logging
import os
import re
import stat
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from shared.adapter.signature import Signer, TrustedKeys, key_id
from shared.errors import FieldViolation, InvalidInput
from shared.names import invalid_field

_log = logging.getLogger(__name__)

_MAX_BYTES = 1 << 20
_FORBIDDEN_MODE = stat.S_IRWXO | stat.S_IWGRP
"""As PostgreSQL asks of its key: nothing for others. A group may read, as a secret mounted by Kubernetes has it."""
_BEGIN = re.compile(rb"^-----BEGIN ", re.MULTILINE)
_BLOCK = re.compile(rb"^-----BEGIN ([A-Z0-9 ]+)-----.*?^-----END \1-----", re.DOTALL | re.MULTILINE)
"""At the start of a line alone: who puts `#` or spaces before each line of a key has taken it out."""
_PUBLIC = b"PUBLIC KEY"


def read_signer(path: Path, field: str) -> Signer:
    """The key that signs, from a PEM file that nobody else can read. No text of the file is ever told.

    Raises:
        InvalidInput: FIELD_INVALID naming `field`: unreadable, open to others, or no unencrypted Ed25519 private key.
    """
    try:
        with path.open("rb") as file:
            mode, data = os.fstat(file.fileno()).st_mode, file.read(_MAX_BYTES)
    except OSError as err:
        raise invalid_field(field, f"{path} cannot be read: {err.strerror}") from err
    if mode & _FORBIDDEN_MODE:
        raise invalid_field(
            field, f"{path} has mode {stat.S_IMODE(mode):04o}: others may read or change it; chmod 600 it"
        )
    try:
        key = load_pem_private_key(data, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it asks for a password
        raise invalid_field(field, f"{path} holds no PEM private key without a password") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise invalid_field(field, f"{path} holds a key of another algorithm than Ed25519")
    return Signer(key)


def read_trusted_keys(path: Path, field: str) -> TrustedKeys:
    """The public keys of a PEM file, at least one; text between them is a comment, as is a key behind `#`.

    Raises:
        InvalidInput: FIELD_INVALID naming `field` and every part of the file that is no Ed25519 public key.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as err:
        raise invalid_field(field, f"{path} cannot be read: {err.strerror}") from err
    if len(data) > _MAX_BYTES:
        raise invalid_field(field, f"{path} has more than {_MAX_BYTES} bytes")
    keys: dict[str, Ed25519PublicKey] = {}
    faults = []
    data = data.removeprefix(codecs.BOM_UTF8)  # some editors put it before the first line
    blocks = list(_BLOCK.finditer(data))
    for number, block in enumerate(blocks, 1):
        try:
            key = _public_key(block)
            keys[key_id(key)] = key
        except ValueError as err:
            faults.append(f"its part {number} {err}")
    if len(_BEGIN.findall(data)) != len(blocks):
        faults.append("a part of it has a beginning and no end")
    if not keys and not faults:
        faults.append(f"it holds no {_PUBLIC.decode()}")
    if faults:
        violations = [FieldViolation(field, f"{path}: {fault}") for fault in faults]
        raise InvalidInput("FIELD_INVALID", f"{field}: {path}: {'; '.join(faults)}", violations=violations)
    return keys


def _public_key(block: re.Match[bytes]) -> Ed25519PublicKey:
    """Raises ValueError for anything else."""
    label = block[1].decode()
    if label.endswith("PRIVATE KEY"):
        raise ValueError("is a private key: put its public key here, and replace it if others have seen it")
    if block[1] != _PUBLIC:
        raise ValueError(f"is a {label}, must be a {_PUBLIC.decode()}")
    try:
        key = load_pem_public_key(block[0])
    except (ValueError, UnsupportedAlgorithm) as err:
        raise ValueError("is no public key that can be read") from err
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("is a key of another algorithm than Ed25519")  # noqa: TRY004  # as above
    return key


class TrustedKeyFile:
    """Trusted keys of a file that may be replaced: it is looked at on each use and read again when it is another one.

    A new file that cannot be used, or that is gone, changes nothing: the keys before it stay, and each use logs that
    and tries again. To trust nobody, put a key there that signs nothing. Construction raises `InvalidInput`.
    """

    def __init__(self, path: Path, field: str) -> None:
        self._path, self._field = path, field
        self._stamp = self._look()
        self._keys = read_trusted_keys(path, field)

    def current(self) -> TrustedKeys:
        """The keys as they are now."""
        stamp = self._look()
        if stamp != self._stamp:
            try:
                self._keys = read_trusted_keys(self._path, self._field)
            except InvalidInput as err:
                _log.error("trusted keys not changed", extra={"detail": str(err), "key_ids": sorted(self._keys)})
            else:
                self._stamp = stamp
                _log.info("trusted keys read", extra={"path": str(self._path), "key_ids": sorted(self._keys)})
        return self._keys

    def _look(self) -> tuple[int, int, int] | None:
        """Differs when the file does: written in place, replaced by a rename, or gone (None)."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
