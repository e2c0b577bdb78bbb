"""Keys of the token issuer, in a file that is replaced while the service runs."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from shared.errors import InvalidInput
from shared.rpc.identity.key_set import JwksFile, read_key_set
from tests.access.issuer import TokenIssuer, new_key

ISSUER = TokenIssuer({"one": "EdDSA", "two": "ES256", "three": "RS256"})


def _entry(key_id: str = "one", **changes: object) -> dict[str, object]:
    (entry,) = json.loads(ISSUER.key_set(key_id))["keys"]
    return {name: value for name, value in {**entry, **changes}.items() if value is not None}


def _set(*entries: object) -> str:
    return json.dumps({"keys": entries})


class TestReading:
    """A JWK set as text."""

    def test_gives_keys_by_id_with_one_algorithm_each(self) -> None:
        """The key decides how a signature is checked, not the token."""
        keys = read_key_set(ISSUER.key_set())

        assert {key_id: key.algorithm_name for key_id, key in keys.items()} == ISSUER.keys

    @pytest.mark.parametrize(
        "other",
        [
            {"kid": "e", "use": "enc"},
            {"kid": "e", "kty": "OKP", "crv": "X25519"},
            {"kid": "e", "kty": "AKP", "alg": "ML-DSA-44"},
            {"kid": "e", "alg": "ES384"},
        ],
    )
    def test_leaves_out_keys_for_something_else(
        self, other: dict[str, object], caplog: pytest.LogCaptureFixture
    ) -> None:
        """An issuer may publish them in the same set; the log says so."""
        assert set(read_key_set(_set(_entry(), _entry(**other)))) == {"one"}
        assert "token key not used" in caplog.text

    @pytest.mark.parametrize(
        ("text", "place", "words"),
        [
            ("", "keys", "not JSON"),
            ("[" * 5000, "keys", "not JSON"),
            ("[]", "keys", "list of keys"),
            ("{}", "keys", "list of keys"),
            ('{"keys": {}}', "keys", "list of keys"),
            (_set(), "keys", "holds no key"),
            (_set(_entry(use="enc")), "keys", "holds no key"),
            (_set(7), "keys[0]", "object"),
            (_set(_entry(kid=None)), "keys[0]", "kid"),
            (_set(_entry(kid="")), "keys[0]", "kid"),
            (_set(_entry(kid=7)), "keys[0]", "kid"),
            (_set(_entry(), _entry("two", kid="one")), "keys[1].kid", "earlier"),
            (_set(_entry(x="AA")), "keys[0]", ""),
            (_set(_entry(x=7)), "keys[0]", ""),
            (_set(_entry(d="AA")), "keys[0]", "secret"),
            (_set(_entry(), {"kty": "oct", "kid": "s", "k": "c2VjcmV0"}), "keys[1]", "secret"),
        ],
    )
    def test_refuses_what_is_no_set_of_public_keys(self, text: str, place: str, words: str) -> None:
        """Naming the place: an issuer's mistake is found here, not at the first token."""
        with pytest.raises(InvalidInput, match="token keys: ") as caught:
            read_key_set(text)

        (violation,) = caught.value.violations
        assert violation.path == place
        assert words in violation.description

    def test_refuses_rsa_keys_that_are_too_short(self) -> None:
        """Below 2,048 bits."""
        short = rsa.generate_private_key(65537, 1024).public_key()
        entry = jwt.get_algorithm_by_name("RS256").to_jwk(short, as_dict=True)

        with pytest.raises(InvalidInput, match="1024 bits"):
            read_key_set(_set({**entry, "kid": "short"}))

    def test_names_all_faults_at_once(self) -> None:
        """One look is enough."""
        with pytest.raises(InvalidInput) as caught:
            read_key_set(_set(_entry(kid=None), _entry(), _entry(d="AA")))

        assert [violation.path for violation in caught.value.violations] == ["keys[0]", "keys[2]"]


class TestFile:
    """The file that holds the set."""

    def test_is_read_again_when_it_was_replaced(self, tmp_path: Path) -> None:
        """By writing over it, by renaming another onto it, or by moving a link; until then nothing is parsed."""
        path = tmp_path / "keys.json"
        path.write_text(ISSUER.key_set("one"))
        file = JwksFile(path)
        first = file.current()

        assert file.current() is first
        path.write_text(ISSUER.key_set("one", "two"))
        assert set(file.current()) == {"one", "two"}
        other = tmp_path / "other.json"
        other.write_text(ISSUER.key_set("three"))
        other.replace(path)
        assert set(file.current()) == {"three"}
        link = tmp_path / "link.json"
        link.symlink_to(path)
        linked = JwksFile(link)
        target = tmp_path / "target.json"
        target.write_text(ISSUER.key_set("two"))
        (tmp_path / "new").symlink_to(target)
        (tmp_path / "new").replace(link)
        assert set(linked.current()) == {"two"}

    @pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"keys": []}', None])
    def test_that_cannot_be_used_changes_nothing(
        self, content: bytes | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The keys before it stay, the log says so once, and the next good file counts again."""
        path = tmp_path / "keys.json"
        path.write_text(ISSUER.key_set("one"))
        file = JwksFile(path)

        path.unlink() if content is None else path.write_bytes(content)
        for _ in range(3):
            assert set(file.current()) == {"one"}
        errors = [record for record in caplog.records if record.levelno == logging.ERROR]
        path.write_text(ISSUER.key_set("two"))

        assert len(errors) == 1
        assert set(file.current()) == {"two"}

    def test_must_be_good_when_the_service_starts(self, tmp_path: Path) -> None:
        """There are no keys before it that could stay."""
        with pytest.raises(InvalidInput, match="cannot be read"):
            JwksFile(tmp_path / "none.json")
        assert new_key("EdDSA", "one") is new_key("EdDSA", "one")
