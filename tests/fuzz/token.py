"""Tokens: who is let in, and as whom. Nobody is let in on a text that the issuer did not sign."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import atheris
import jwt
from cryptography.hazmat.primitives import serialization
from jwt import PyJWK, api_jws

from shared.errors import Unauthenticated
from shared.rpc.identity import Identity, IdentityMethod, Role
from shared.rpc.identity.authenticator import CredentialAuthenticator
from shared.rpc.identity.key_set import read_key_set
from shared.rpc.identity.token import TokenVerifier
from shared.testing import ManualClock
from tests.access.issuer import AUDIENCE, ISSUER, TokenIssuer, encode_part, new_key
from tests.fuzz.decision import decisions

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
_OWN = TokenIssuer({"one": "EdDSA", "two": "ES256"})
_USER = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "exp": SECONDS + 60, "tenant": "acme", "roles": ["user"]}
_OPERATOR = {**_USER, "tenant": None, "roles": ["operator"]}
_EXPIRED = {**_OPERATOR, "exp": SECONDS - 60}
_FOREIGN = {**_OPERATOR, "aud": "another-service"}
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.= \n,"
_SCHEMES = ["Bearer ", "bearer ", "Bearer  ", "", "Basic ", "Bearer Bearer "]
_HEADERS: Mapping[str, list[object]] = {
    "alg": ["EdDSA", "ES256", "RS256", "HS256", "none", "None", "", "Ed25519", None, 7, ["EdDSA"]],
    "kid": ["one", "two", "three", "", "../one", None, 1, ["one"]],
    "typ": ["JWT", "at+jwt", None, 1],
    "crit": [["exp"], ["b64"], [], "exp", None],
    "b64": [False, True, None],
    "zip": ["DEF"],
    "jwk": [{"kty": "oct", "k": "AA", "kid": "one"}],
    "jku": ["https://evil.test/keys"],
    "x5c": [["AA"]],
}
_CLAIMS: Mapping[str, list[object]] = {
    "iss": [ISSUER, ISSUER + "/", "", None, [ISSUER], 7],
    "aud": [AUDIENCE, [AUDIENCE], ["other", AUDIENCE], "other", [], [7, AUDIENCE], {AUDIENCE: 1}, None, ""],
    "sub": ["ada", "", None, 7, ["ada"]],
    "exp": [SECONDS + 60, SECONDS - 4, SECONDS - 5, SECONDS - 60, 0, -1, 1e300, True, "9999999999", None, 253402300799],
    "nbf": [SECONDS - 60, SECONDS + 5, SECONDS + 6, 1e300, False, "0", None],
    "iat": [SECONDS + 10**6, "x", None],
    "tenant": ["acme", "globex", "-", "ACME", "acme/../globex", "", None, 7, ["acme"], "a\u0000"],
    "roles": [["user"], ["admin"], ["operator"], ["service"], ["user", "admin"], ["admin", "operator"], ["USER"], [],
              "admin", "operator", {"admin": 1}, None, [["admin"]], ["root", "user"], [None, "admin"]],
}  # fmt: skip


class _Keys:
    """Two keys that never change."""

    def __init__(self) -> None:
        self._keys = read_key_set(_OWN.key_set())

    def current(self) -> Mapping[str, PyJWK]:
        """The keys."""
        return self._keys


def _sign(claims: Mapping[str, object], key_id: str = "one") -> str:
    algorithm = _OWN.keys[key_id]
    present = {name: value for name, value in claims.items() if value is not None}
    # Below `jwt.encode`, which refuses some claims that another issuer's library would sign.
    return api_jws.encode(json.dumps(present).encode(), new_key(algorithm, key_id), algorithm, headers={"kid": key_id})


def _public_secrets() -> list[bytes]:
    """Everything that everybody knows of the keys, as an attacker would try it as a shared secret."""
    known = [_OWN.key_set().encode(), b"", b"one"]
    for key_id, algorithm in _OWN.keys.items():
        public = new_key(algorithm, key_id).public_key()
        known.extend(
            public.public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)
            for encoding in (serialization.Encoding.PEM, serialization.Encoding.DER)
        )
    return known


def entitled(claims: Mapping[str, object]) -> Identity | None:
    """Whom signed claims name now, by the documented rules alone; written a second time on purpose."""
    exp, nbf, tenant, roles, sub = (claims.get(name) for name in ("exp", "nbf", "tenant", "roles", "sub"))
    audience = claims.get("aud")
    audiences = [audience] if isinstance(audience, str) else audience
    if claims.get("iss") != ISSUER or not isinstance(audiences, list) or AUDIENCE not in audiences:
        return None
    if any(not isinstance(one, str) for one in audiences):
        return None
    if not _is_time(exp) or exp + 5 <= SECONDS or ("nbf" in claims and (not _is_time(nbf) or nbf - 5 > SECONDS)):
        return None
    if not isinstance(sub, str) or not sub or not isinstance(roles, list):
        return None
    known = {role for role in ("user", "admin", "operator", "service") if role in roles}
    if tenant is None:
        allowed = bool(known) and known <= {"operator", "service"}
    else:
        named = isinstance(tenant, str) and re.fullmatch(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", tenant)
        allowed = bool(named and known) and known <= {"user", "admin"}
    if not allowed:
        return None
    ends = datetime.fromtimestamp(exp, UTC) + timedelta(seconds=5)
    return Identity(sub, tenant, frozenset(map(Role, known)), IdentityMethod.TOKEN, ends)


def _is_time(value: object) -> bool:
    """Within the calendar, the leeway included."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -6e10 < value < 253402300000


class _Forger:
    """Makes tokens that the issuer did not sign, out of those that it did and of all that is public."""

    def __init__(self) -> None:
        self.signed = [
            _sign(claims, key) for claims in (_USER, _OPERATOR, _EXPIRED, _FOREIGN) for key in ("one", "two")
        ]
        self._secrets, self._stranger = _public_secrets(), new_key("EdDSA", "stranger")

    def token(self, data: atheris.FuzzedDataProvider) -> str:
        """Any of the kinds below, or any text."""
        kind = data.ConsumeIntInRange(0, 3)
        if kind == 0:
            return data.ConsumeUnicode(400)
        if kind == 1:
            return ".".join(data.PickValueInList(self.signed).split(".")[place] for place in range(3))
        return self._spliced(data) if kind == 2 else self._forged(data)

    def _spliced(self, data: atheris.FuzzedDataProvider) -> str:
        """A signed token with some characters changed."""
        text = data.PickValueInList(self.signed)
        for _ in range(data.ConsumeIntInRange(0, 4)):
            place, char = data.ConsumeIntInRange(0, len(text)), data.PickValueInList(list(_ALPHABET))
            text = text[:place] + (char if data.ConsumeBool() else "") + text[place + data.ConsumeIntInRange(0, 2) :]
        return text

    def _forged(self, data: atheris.FuzzedDataProvider) -> str:
        """Made-up header and claims, signed with anything but the issuer's keys."""
        head = encode_part(_pick(data, _HEADERS, {"alg": "EdDSA", "kid": "one", "typ": "JWT"}))
        text = f"{head}.{encode_part(_pick(data, _CLAIMS, _OPERATOR))}"
        signatures = {
            "none": lambda: "",
            "random": lambda: encode_part(data.ConsumeBytes(64)),
            "of another": lambda: data.PickValueInList(self.signed).split(".")[2],
            "public key as secret": lambda: encode_part(
                hmac.new(data.PickValueInList(self._secrets), text.encode(), hashlib.sha256).digest()
            ),
            "of a stranger": lambda: encode_part(self._stranger.sign(text.encode())),
        }
        return f"{text}.{signatures[data.PickValueInList(list(signatures))]()}"


def make() -> Callable[[bytes], None]:
    """The target."""
    verifier = TokenVerifier(_Keys(), issuer=ISSUER, audience=AUDIENCE, clock=ManualClock(NOW))
    authenticator, forger = CredentialAuthenticator(verifier, ManualClock(NOW)), _Forger()
    said_by_issuer = {text.rpartition(".")[0] for text in forger.signed}

    def one_input(raw: bytes) -> None:
        data = decisions(raw)
        if not data.ConsumeIntInRange(0, 3):
            claims = json.loads(json.dumps(_present(_pick(data, _CLAIMS, _USER))))
            token = _sign(claims, data.PickValueInList(["one", "two"]))
            assert _known(authenticator, f"Bearer {token}") == entitled(claims), claims
            return
        shown = data.PickValueInList(_SCHEMES) + forger.token(data)
        identity = _known(authenticator, shown)
        if identity is not None:
            said = shown.partition(" ")[2].strip(" ").rpartition(".")[0]
            assert said in said_by_issuer, shown
            assert identity == entitled(json.loads(_decoded(said.partition(".")[2]))), shown

    return one_input


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _known(authenticator: CredentialAuthenticator, shown: str) -> Identity | None:
    """Whoever is let in; anything but `Unauthenticated` would be a crash of the service."""
    try:
        return authenticator.identify([("authorization", shown)], {})
    except Unauthenticated:
        return None


def _pick(
    data: atheris.FuzzedDataProvider, values: Mapping[str, list[object]], usual: Mapping[str, object]
) -> dict[str, object]:
    """The usual members, some of them exchanged."""
    found = dict(usual)
    for _ in range(data.ConsumeIntInRange(0, 3)):
        name = data.PickValueInList(list(values))
        found[name] = data.PickValueInList(values[name]) if data.ConsumeBool() else data.ConsumeUnicodeNoSurrogates(20)
    return found


def _present(claims: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in claims.items() if value is not None}


def open_hole() -> None:
    """Signatures are not looked at."""
    decode = jwt.decode

    def careless(*given: object, options: dict[str, object], **named: object) -> object:
        return decode(*given, options={**options, "verify_signature": False}, **named)  # type: ignore[arg-type]

    jwt.decode = careless  # type: ignore[assignment]
