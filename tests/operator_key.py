"""Keys of operators, written as openssl writes them."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from shared.adapter.package import MANIFEST_NAME, SIGNATURE_NAME
from shared.adapter.signature import Signer
from shared.digest import sha256_file


class OperatorKey:
    """A key pair that is the same for the same number."""

    def __init__(self, number: int) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big"))
        self.signer = Signer(self._key)
        self.private_pem = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.public_pem = self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        self.trusted = {self.signer.key_id: self._key.public_key()}

    def write_private(self, path: Path) -> Path:
        """For its owner alone."""
        path.touch(0o600)
        path.write_bytes(self.private_pem)
        return path

    def sign(self, package: Path) -> None:
        """Adds the signature of a package's manifest, in place of one that may be there."""
        signature = self.signer.sign(sha256_file(package / MANIFEST_NAME))
        (package / SIGNATURE_NAME).write_bytes(signature.to_json())
