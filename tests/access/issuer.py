"""Who vouches for callers in tests: a token issuer and a certificate authority, both made up on the spot."""

from __future__ import annotations

import base64
import ipaddress
import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

ISSUER, AUDIENCE = "https://issuer.test", "goldsmith"
DAY = timedelta(days=1)


@cache
def new_key(algorithm: str, name: str) -> Any:  # Any: a private key of any kind
    """A private key; the same for the same name, since RSA keys take a while."""
    match algorithm:
        case "EdDSA":
            return ed25519.Ed25519PrivateKey.generate()
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        case "RS256":
            return rsa.generate_private_key(65537, 2048)
    raise AssertionError(algorithm)


@dataclass
class TokenIssuer:
    """Signs tokens. Each key has an algorithm and an id."""

    keys: dict[str, str] = field(default_factory=lambda: {"one": "EdDSA"})

    def key_set(self, *key_ids: str) -> str:
        """The JWK set of some keys, by default of all."""
        entries = []
        for key_id in key_ids or self.keys:
            algorithm = self.keys[key_id]
            public = new_key(algorithm, key_id).public_key()
            own = jwt.get_algorithm_by_name(algorithm).to_jwk(public, as_dict=True)
            entries.append({**own, "kid": key_id, "use": "sig", "alg": algorithm})
        return json.dumps({"keys": entries})

    def token(self, *, key_id: str = "one", header: dict[str, object] | None = None, **claims: object) -> str:
        """A token of a user of acme, but for what is given; a claim of None is left out."""
        whole = self.claims(**claims)
        algorithm = self.keys[key_id]
        return jwt.encode(whole, new_key(algorithm, key_id), algorithm, headers={"kid": key_id, **(header or {})})

    @staticmethod
    def claims(**claims: object) -> dict[str, object]:
        """The claims of a user of acme, but for what is given."""
        now = int(time.time())
        usual = {
            "iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": now + 3600, "nbf": now - 60,
            "tenant": "acme", "roles": ["user"],
        }  # fmt: skip
        return {name: value for name, value in {**usual, **claims}.items() if value is not None}


def encode_part(part: object) -> str:
    """One part of a token from JSON or bytes, as base64url without padding."""
    content = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@dataclass(frozen=True)
class Certificate:
    """A certificate with its key, as PEM files."""

    certificate: Path
    key: Path


class CertificateAuthority:
    """Issues certificates into a folder."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder, self._name = folder, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        own = (
            self._builder(self._name, self._key.public_key(), datetime.now(UTC) + DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.path = folder / f"{name}.pem"
        self.path.write_bytes(own.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, *sans: str, not_after: datetime | None = None, cn: str = "") -> Certificate:
        """A certificate for addresses (`127.0.0.1`), DNS names and URIs."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)] if cn else [])
        builder = self._builder(subject, key.public_key(), not_after or datetime.now(UTC) + DAY)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        if sans:
            names = x509.SubjectAlternativeName([_general_name(san) for san in sans])
            builder = builder.add_extension(names, critical=not cn)
        own = Certificate(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        own.certificate.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        own.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return own

    def _builder(self, subject: x509.Name, public_key: Any, not_after: datetime) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(not_after - 2 * DAY)
            .not_valid_after(not_after)
        )


def _general_name(san: str) -> x509.GeneralName:
    if "://" in san:
        return x509.UniformResourceIdentifier(san)
    try:
        return x509.IPAddress(ipaddress.ip_address(san))
    except ValueError:
        return x509.DNSName(san)
