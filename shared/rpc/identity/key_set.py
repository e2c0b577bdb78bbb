"""Public keys that sign tokens: a JWK set in a file (RFC 7517) that may be replaced while the service runs."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from shared.errors import FieldViolation, InvalidInput

_log = logging.getLogger(__name__)

ALGORITHMS: Mapping[tuple[str, str | None], str] = {
    ("OKP", "Ed25519"): "EdDSA",
    ("EC", "P-256"): "ES256",
    ("RSA", None): "RS256",
}
"""The one algorithm of each kind of key that is used. A shared secret (HS*) is none: whoever verifies could sign."""
_ALSO_NAMED = {"EdDSA": "Ed25519"}  # https://www.rfc-editor.org/rfc/rfc9864
_MIN_RSA_BITS = 2048
_SECRET_MEMBERS = ("d", "k")
"""Private exponents and shared secrets: they have no place in a file of public keys."""


class JwksFile:
    """Keys by their id. The file is looked at on each use and read again when it was replaced.

    A new file that cannot be used is logged and the keys before it stay. Construction raises `InvalidInput`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = self._look()
        self._keys = self._read()

    def current(self) -> Mapping[str, PyJWK]:
        """The keys as they are now; the same object as long as they are the same."""
        stamp = self._look()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._keys = self._read()
                _log.info("token keys replaced", extra={"path": str(self._path), "key_ids": sorted(self._keys)})
            except InvalidInput as err:
                _log.error(
                    "token keys not replaced: the new file cannot be used",
                    extra={"path": str(self._path), "detail": str(err), "key_ids": sorted(self._keys)},
                )
        return self._keys

    def _look(self) -> tuple[int, int, int] | None:
        """Changes with every replacement, a moved symbolic link (as Kubernetes does it) included."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> Mapping[str, PyJWK]:
        try:
            return read_key_set(self._path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as err:
            raise _refused([FieldViolation(str(self._path), f"cannot be read: {err}")]) from err


def read_key_set(text: str) -> Mapping[str, PyJWK]:
    """The usable keys of a JWK set by their id; keys of another use or algorithm are left out and logged.

    Raises:
        InvalidInput: FIELD_INVALID for text that is not a JWK set, secret keys, keys without an id of their own, keys
            that are malformed or too short, and a set without any usable key; all faults at once.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as err:
        raise _refused([FieldViolation("keys", f"is not JSON: {err}")]) from err
    entries = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(entries, list):
        raise _refused([FieldViolation("keys", "must be a list of keys (RFC 7517)")])
    keys: dict[str, PyJWK] = {}
    faults: list[FieldViolation] = []
    for index, entry in enumerate(entries):
        path = f"keys[{index}]"
        try:
            key_id, key = _read_key(entry)
        except _UnusedKeyError as err:
            _log.warning("token key not used", extra={"path": path, "detail": str(err)})
        except (ValueError, PyJWTError) as err:
            faults.append(FieldViolation(path, str(err)))
        else:
            if key_id in keys:
                faults.append(FieldViolation(f"{path}.kid", f"{key_id[:80]!r} names an earlier key too"))
            keys[key_id] = key
    if not keys and not faults:
        faults.append(FieldViolation("keys", f"holds no key for {', '.join(ALGORITHMS.values())}"))
    if faults:
        raise _refused(faults)
    return keys


class _UnusedKeyError(Exception):
    """A key for something else."""


def _read_key(entry: Any) -> tuple[str, PyJWK]:  # Any: whatever the file holds
    if not isinstance(entry, dict):
        raise ValueError("must be an object")  # noqa: TRY004  # every fault of a key is a ValueError here
    if any(member in entry for member in _SECRET_MEMBERS):
        raise ValueError("holds a secret: publish the public key only, and replace this one")
    if entry.get("use", "sig") != "sig":
        raise _UnusedKeyError(f"its use is {entry['use']!r}")
    algorithm = ALGORITHMS.get((str(entry.get("kty")), entry.get("crv")))
    if algorithm is None or entry.get("alg", algorithm) not in (algorithm, _ALSO_NAMED.get(algorithm)):
        named = {member: entry.get(member) for member in ("kty", "crv", "alg")}
        raise _UnusedKeyError(f"{named} is not for {', '.join(ALGORITHMS.values())}")
    key_id = entry.get("kid")
    if not isinstance(key_id, str) or not key_id:
        raise ValueError("has no kid, by which a token names its key")
    key = PyJWK(entry, algorithm)
    if isinstance(key.key, RSAPublicKey) and key.key.key_size < _MIN_RSA_BITS:
        raise ValueError(f"has {key.key.key_size} bits, an RSA key needs {_MIN_RSA_BITS}")
    return key_id, key


def _refused(faults: Sequence[FieldViolation]) -> InvalidInput:
    text = "; ".join(f"{fault.path}: {fault.description}" for fault in faults)
    return InvalidInput("FIELD_INVALID", f"token keys: {text}", violations=faults)
