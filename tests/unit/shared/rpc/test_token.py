"""Identities from signed tokens."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st
from jwt import PyJWK

from shared.errors import Unauthenticated
from shared.rpc.identity import Identity, IdentityMethod, Role
from shared.rpc.identity.key_set import read_key_set
from shared.rpc.identity.token import CACHED_TOKENS, MAX_TOKEN_CHARS, TokenVerifier
from shared.testing import ManualClock
from tests.access.issuer import AUDIENCE, ISSUER, TokenIssuer, encode_part, new_key

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
ISSUER_OF_ALL = TokenIssuer({"one": "EdDSA", "two": "ES256", "three": "RS256"})


class Keys:
    """A key source that can be exchanged."""

    def __init__(self, *key_ids: str) -> None:
        self.replace(*key_ids)

    def replace(self, *key_ids: str) -> None:
        """Other keys."""
        self.keys: Mapping[str, PyJWK] = read_key_set(ISSUER_OF_ALL.key_set(*key_ids))

    def current(self) -> Mapping[str, PyJWK]:
        """The keys."""
        return self.keys


def _verifier(keys: Keys | None = None, clock: ManualClock | None = None) -> TokenVerifier:
    return TokenVerifier(keys or Keys(), issuer=ISSUER, audience=AUDIENCE, clock=clock or ManualClock(NOW))


def _token(**claims: object) -> str:
    return ISSUER_OF_ALL.token(**{"exp": SECONDS + 60, "nbf": SECONDS - 60, **claims})  # type: ignore[arg-type]


def _fault(token: str, verifier: TokenVerifier | None = None) -> str:
    with pytest.raises(Unauthenticated) as caught:
        (verifier or _verifier()).identity(token)
    return caught.value.metadata.get("fault", caught.value.reason)


class TestToken:
    """A token that is what it should be."""

    @pytest.mark.parametrize("key_id", ["one", "two", "three"])
    def test_names_its_caller(self, key_id: str) -> None:
        """Subject, tenant and roles, whatever the algorithm; roles of other services are passed over."""
        token = _token(key_id=key_id, sub="ada", tenant="acme", roles=["admin", "mail-reader", 7])

        assert _verifier().identity(token) == Identity(
            "ada", "acme", frozenset({Role.ADMIN}), IdentityMethod.TOKEN, NOW + timedelta(seconds=65)
        )

    def test_stands_above_tenants_without_one(self) -> None:
        """Operators and the inference service have no tenant."""
        identity = _verifier().identity(_token(tenant=None, roles=["service"]))

        assert (identity.tenant, identity.roles) == (None, {Role.SERVICE})

    @pytest.mark.parametrize("audience", [AUDIENCE, ["other", AUDIENCE]])
    def test_may_be_meant_for_others_too(self, audience: object) -> None:
        """One audience or several."""
        assert _verifier().identity(_token(aud=audience)).subject == "ada"


class TestTimes:
    """Tokens before and after their time, by the clock that was passed in."""

    @pytest.mark.parametrize(("claims", "fault"), [
        ({"exp": SECONDS - 4}, ""),
        ({"exp": SECONDS - 5}, "CREDENTIALS_EXPIRED"),
        ({"nbf": SECONDS + 5}, ""),
        ({"nbf": SECONDS + 6}, "not_yet_valid"),
        ({"nbf": None}, ""),
    ])  # fmt: skip
    def test_have_five_seconds_of_leeway(self, claims: dict[str, object], fault: str) -> None:
        """Clocks of issuer and service may differ by that, either way."""
        if fault:
            assert _fault(_token(**claims)) == fault
        else:
            assert _verifier().identity(_token(**claims)).subject == "ada"

    def test_are_looked_at_again_for_a_token_that_is_remembered(self) -> None:
        """A token that was good a moment ago expires like any other."""
        clock = ManualClock(NOW)
        verifier, token = _verifier(clock=clock), _token(exp=SECONDS + 60)
        verifier.identity(token)

        clock.advance(64.9)
        verifier.identity(token)
        clock.advance(0.1)

        assert _fault(token, verifier) == "CREDENTIALS_EXPIRED"

    @pytest.mark.parametrize(
        "value", ["soon", True, [1], {}, 1e300, -1e300, math.inf, math.nan, pytest.param(10**400, id="big")]
    )
    @pytest.mark.parametrize("name", ["exp", "nbf"])
    def test_that_are_none_are_refused(self, name: str, value: object) -> None:
        """Whatever JSON can say, signed or not."""
        assert _fault(_token(**{name: value})) == "claims"

    @pytest.mark.parametrize("claims", [{"exp": 253402300799}, {"nbf": 253402300799}, {"exp": -62135596800}])
    def test_at_the_ends_of_the_calendar_are_refused(self, claims: dict[str, object]) -> None:
        """Years 1 and 9999, where the leeway leads out of it."""
        assert _fault(_token(**claims))


class TestRefusal:
    """Tokens that prove nothing."""

    @pytest.mark.parametrize(
        ("token", "fault"),
        [
            ("", "malformed"),
            ("a.b", "malformed"),
            ("a.b.c", "malformed"),
            ("é.b.c", "malformed"),
            ("x" * (MAX_TOKEN_CHARS + 1), "malformed"),
            (f"{encode_part(b'[' * 5000)}.e30.AA", "malformed"),
            (f"{encode_part({'alg': 'EdDSA', 'kid': 7})}.e30.AA", "malformed"),
            (f"{encode_part({'alg': 'EdDSA'})}.e30.AA", "key"),
            (_token(aud="other"), "audience"),
            (_token(aud=None), "claims"),
            (_token(iss="https://other.test"), "issuer"),
            (_token(iss=None), "claims"),
            (_token(exp=None), "claims"),
            (_token(sub=None), "claims"),
            (_token(sub=""), "claims"),
            (_token(roles=None), "claims"),
            (_token(roles=[]), "claims"),
            (_token(roles="admin"), "claims"),
            (_token(roles=["root"]), "claims"),
            (_token(tenant=7), "claims"),
            (_token(tenant=""), "claims"),
            (_token(tenant="acme/../globex"), "claims"),
            (_token(tenant="acme", roles=["operator"]), "claims"),
            (_token(tenant=None, roles=["admin"]), "claims"),
            (_token(tenant="acme", roles=["user", "service"]), "claims"),
            (_token(header={"crit": ["x-our-rules"], "x-our-rules": 1}), "malformed"),
        ],
    )
    def test_says_why(self, token: str, fault: str) -> None:
        """One word for programs; a token whose claims contradict each other names nobody."""
        assert _fault(token) == fault

    def test_of_another_issuers_key_under_a_known_id(self) -> None:
        """The id is a claim like any other until the signature fits."""
        stranger = jwt.encode(TokenIssuer.claims(), new_key("EdDSA", "stranger"), "EdDSA", headers={"kid": "one"})

        assert _fault(stranger) == "signature"

    def test_of_a_key_that_is_not_in_the_set(self) -> None:
        """Nothing is fetched for it, whatever the header points at."""
        token = _token(key_id="two", header={"jku": "https://evil.test/keys", "jwk": {"kty": "oct", "k": "AA"}})

        assert _fault(token, _verifier(Keys("one", "three"))) == "key"

    @pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "HS256", "HS384", "RS384", "PS256", "ES384", "", 7])
    def test_of_an_algorithm_that_is_not_allowed(self, algorithm: object) -> None:
        """Unsigned tokens and shared secrets least of all."""
        body = encode_part(TokenIssuer.claims(exp=SECONDS + 60))

        assert _fault(f"{encode_part({'alg': algorithm, 'kid': 'one'})}.{body}.") == "algorithm"
        assert _fault(f"{encode_part({'alg': algorithm, 'kid': 'one'})}.{body}.AAAA") == "algorithm"

    def test_of_an_allowed_algorithm_that_is_not_the_keys(self) -> None:
        """RFC 8725 3.1: the key decides how it is used."""
        head, body = encode_part({"alg": "RS256", "kid": "one"}), encode_part(TokenIssuer.claims())

        assert _fault(f"{head}.{body}.AAAA") == "algorithm"

    def test_of_a_public_key_used_as_a_secret(self) -> None:
        """The oldest trick: HMAC with what everybody knows."""
        import hashlib
        import hmac

        public = new_key("RS256", "three").public_key()
        pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        signed = f"{encode_part({'alg': 'HS256', 'kid': 'three'})}.{encode_part(TokenIssuer.claims())}"
        mac = hmac.new(pem, signed.encode(), hashlib.sha256).digest()

        assert _fault(f"{signed}.{encode_part(mac)}") == "algorithm"


class TestMemory:
    """Tokens that were verified before."""

    def test_ends_with_the_key(self) -> None:
        """A key that was taken out of the set vouches for nothing from then on."""
        keys = Keys("one", "two")
        verifier, old, new = _verifier(keys), _token(key_id="one"), _token(key_id="two")
        verifier.identity(old)
        verifier.identity(new)

        keys.replace("two", "three")

        assert _fault(old, verifier) == "key"
        assert verifier.identity(new).subject == "ada"

    def test_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The tokens that were used last stay."""
        monkeypatch.setattr("shared.rpc.identity.token.CACHED_TOKENS", 3)
        verifier, tokens = _verifier(), [_token(sub=f"caller-{number}") for number in range(5)]

        for token in (*tokens[:3], tokens[0], *tokens[3:]):
            verifier.identity(token)

        assert [identity.subject for identity in verifier._verified.values()] == ["caller-0", "caller-3", "caller-4"]
        assert CACHED_TOKENS > 1000


_VALID = _token(sub="ada", tenant="acme", roles=["user"])


class TestFuzz:
    """Tokens that nobody signed."""

    @given(st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_-]{1,60}(\.[A-Za-z0-9_-]{0,60}){2}", fullmatch=True))
    def test_of_any_shape_open_nothing(self, token: str) -> None:
        """And nothing but `Unauthenticated` comes of them."""
        assert _fault(token)

    @given(
        st.integers(0, len(_VALID) - 1),
        st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=\n "),
        st.sampled_from(["replace", "insert", "delete"]),
    )
    def test_made_of_a_valid_one_never_say_something_else(self, place: int, char: str, how: str) -> None:
        """One changed character is refused, or says what was signed (the last bits of base64 mean nothing)."""
        middle = {"replace": char, "insert": char + _VALID[place], "delete": ""}[how]
        changed = _VALID[:place] + middle + _VALID[place + 1 :]

        try:
            identity = _verifier().identity(changed)
        except Unauthenticated:
            return
        assert identity == _verifier().identity(_VALID)

    @given(
        st.dictionaries(
            st.sampled_from(["alg", "kid", "typ", "crit", "b64", "zip", "jwk", "jku", "x5c"]),
            st.none() | st.booleans() | st.integers() | st.sampled_from(["none", "EdDSA", "HS256", "one", "two", "JWT"])
            | st.lists(st.sampled_from(["b64", "exp"]), max_size=2),
        ),
        st.dictionaries(
            st.sampled_from(["iss", "aud", "sub", "exp", "nbf", "tenant", "roles"]),
            st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.lists(st.sampled_from(list(Role))),
        ),
    )  # fmt: skip
    def test_with_another_header_or_body_are_refused(
        self, header: dict[str, object], claims: dict[str, object]
    ) -> None:
        """The signature of one token vouches for no other."""
        _, body, signature = _VALID.split(".")
        own_head = {"alg": "EdDSA", "typ": "JWT", "kid": "one"}

        if {**own_head, **header} != own_head:
            assert _fault(f"{encode_part({**own_head, **header})}.{body}.{signature}")
        own_claims = json.loads(json.dumps(TokenIssuer.claims(**claims)))
        assert _fault(f"{encode_part(own_head)}.{encode_part({**own_claims, 'jti': 'other'})}.{signature}")
