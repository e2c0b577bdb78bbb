"""Who vouches for an adapter: a detached Ed25519 signature over its manifest's digest, one more file of the package.

Signed are the 21 bytes `goldsmith-adapter-v1` and zero, then the 32 bytes of the manifest's SHA-256. The manifest names
the digest of every other file, so the signature covers the whole package; the bytes before it keep a signature from
meaning anything elsewhere, and anything signed elsewhere from meaning something here.

It does not say under which name the package was published, nor that it is the newest: whoever controls a registry can
give an old revision for a new one, or one adapter's package, also of another tenant, for another's.
"""

from __future__ import annotations

import base64
import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from shared.adapter.package import MAX_SIGNATURE_BYTES, SIGNATURE_NAME
from shared.digest import hex_part, is_digest, sha256_bytes
from shared.errors import StateConflict

ALGORITHM = "Ed25519"
_DOMAIN = b"goldsmith-adapter-v1\0"
_SIGNATURE_BYTES = 64

TrustedKeys = Mapping[str, Ed25519PublicKey]
"""Public keys by their id."""


class SignatureFault(enum.StrEnum):
    """Why a signature is refused: `fault` in the error's metadata."""

    MISSING = "missing"
    MALFORMED = "malformed"
    UNTRUSTED = "untrusted"
    """By a key that is not on the list."""
    MISMATCH = "mismatch"
    """It names a trusted key, and is not by it, or of other bytes."""


@dataclass(frozen=True)
class Signature:
    """What a signature file says."""

    key_id: str
    value: bytes

    def to_json(self) -> bytes:
        """The file's bytes; for one key and manifest always the same."""
        body = {"algorithm": ALGORITHM, "key_id": self.key_id, "value": base64.b64encode(self.value).decode()}
        return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Signature:
        """Reads a file's bytes. Raises `StateConflict` (SIGNATURE_REFUSED, malformed) unless `to_json` gives them."""
        if len(data) > MAX_SIGNATURE_BYTES:
            raise refused(SignatureFault.MALFORMED, f"{SIGNATURE_NAME} exceeds {MAX_SIGNATURE_BYTES} bytes")
        try:
            body: Any = json.loads(data)  # Any: a stranger's JSON, compared with our own spelling of it below
            found = cls(body["key_id"], base64.b64decode(body["value"], validate=True))
            is_ours = is_digest(found.key_id) and len(found.value) == _SIGNATURE_BYTES and found.to_json() == data
        except (ValueError, KeyError, TypeError, RecursionError) as err:
            text = f"{SIGNATURE_NAME} is no signature: {str(err)[:200]}"
            raise refused(SignatureFault.MALFORMED, text) from err
        if not is_ours:
            text = f"{SIGNATURE_NAME} is no signature of {ALGORITHM} as this program writes it"
            raise refused(SignatureFault.MALFORMED, text)
        return found


class Signer:
    """The operator's private key, which is never shown."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.key_id = key_id(key.public_key())

    def sign(self, manifest_digest: str) -> Signature:
        """Vouches for the package whose manifest has this digest."""
        return Signature(self.key_id, self._key.sign(_message(manifest_digest)))

    def __repr__(self) -> str:
        return f"Signer({self.key_id})"


def key_id(key: Ed25519PublicKey) -> str:
    """A key's fingerprint: `sha256:<hex>` over its DER form, as `openssl pkey -pubin -outform DER | sha256sum`."""
    return sha256_bytes(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def read_signature(folder: Path) -> bytes | None:
    """The bytes of a package's signature, at most one more than the limit; None where it has no such plain file."""
    path = folder / SIGNATURE_NAME
    if path.is_symlink() or not path.is_file():
        return None
    with path.open("rb") as file:
        return file.read(MAX_SIGNATURE_BYTES + 1)


def check_signature(manifest_digest: str, signature: bytes | None, trusted: TrustedKeys) -> str:
    """The id of the trusted key that signed the package whose manifest has this digest.

    Raises:
        StateConflict: SIGNATURE_REFUSED, with the fault in its metadata.
    """
    if signature is None:
        raise refused(SignatureFault.MISSING, f"it has no {SIGNATURE_NAME}")
    found = Signature.from_json(signature)
    key = trusted.get(found.key_id)
    if key is None:
        raise refused(SignatureFault.UNTRUSTED, f"it is signed by {found.key_id}, which is not trusted here")
    try:
        key.verify(found.value, _message(manifest_digest))
    except InvalidSignature as err:
        text = f"its signature is not that of {found.key_id} over {manifest_digest}"
        raise refused(SignatureFault.MISMATCH, text) from err
    return found.key_id


def refused(fault: SignatureFault, text: str) -> StateConflict:
    """The error for a signature that does not do."""
    return StateConflict("SIGNATURE_REFUSED", f"{text} ({fault})", metadata={"fault": fault.value})


def _message(manifest_digest: str) -> bytes:
    return _DOMAIN + bytes.fromhex(hex_part(manifest_digest))
