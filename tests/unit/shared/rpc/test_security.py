"""Under which settings a service starts, and under which it refuses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from shared.config import load_config
from shared.errors import InvalidInput
from shared.rpc.address import is_loopback
from shared.rpc.identity import IdentityMethod, Role
from shared.rpc.security import SecuritySettings, secure
from tests.access.issuer import AUDIENCE, ISSUER, CertificateAuthority, TokenIssuer

LOOPBACK, ANYWHERE = "127.0.0.1:0", "0.0.0.0:0"
OPEN = SecuritySettings(insecure_loopback=True)


@pytest.fixture
def sound(tmp_path: Path) -> SecuritySettings:
    """TLS, tokens and client certificates."""
    authority, keys = CertificateAuthority(tmp_path), tmp_path / "keys.json"
    own = authority.issue("service", "127.0.0.1")
    keys.write_text(TokenIssuer().key_set())
    return SecuritySettings(
        tls_certificate=own.certificate, tls_key=own.key, tls_client_ca=authority.path,
        token_keys=keys, token_issuer=ISSUER, token_audience=AUDIENCE,
    )  # fmt: skip


def _faults(settings: SecuritySettings, listen: str = ANYWHERE) -> set[str]:
    with pytest.raises(InvalidInput) as caught:
        secure(settings, listen)
    return {violation.path for violation in caught.value.violations}


class TestPlaintext:
    """A port without TLS."""

    @pytest.mark.parametrize("listen", [LOOPBACK, ANYWHERE])
    def test_is_never_the_default(self, listen: str) -> None:
        """Not even on loopback: it takes the flag."""
        assert _faults(SecuritySettings(), listen) == {"tls_certificate", "tls_key", "token_keys"}

    @pytest.mark.parametrize("listen", [LOOPBACK, "127.8.9.1:50051", "[::1]:50051", "localhost:0"])
    def test_is_allowed_by_the_flag_on_loopback(self, listen: str) -> None:
        """Every caller is then the operator of this machine."""
        security = secure(OPEN, listen)
        caller = security.authenticator.identify((("authorization", "Bearer x"),), {})

        assert security.certificates is None
        assert (caller.tenant, caller.roles, caller.method) == (None, {Role.OPERATOR}, IdentityMethod.LOOPBACK)

    @pytest.mark.parametrize(
        "listen",
        [ANYWHERE, "[::]:50051", ":50051", "50051", "", "10.0.0.7:1", "host:1", "localhost.evil.test:1", "127.1:1",
         "unix:/tmp/socket", "[::ffff:10.0.0.7]:1", "127.0.0.1.evil.test:1", "128.0.0.1:1"],
    )  # fmt: skip
    def test_is_refused_on_any_other_address(self, listen: str) -> None:
        """Whatever other machines might reach."""
        assert _faults(OPEN, listen) == {"listen"}
        assert not is_loopback(listen)

    def test_goes_with_nothing_that_means_to_be_secure(self, sound: SecuritySettings) -> None:
        """A contradiction is not decided for the operator."""
        given = {"tls_certificate", "tls_key", "tls_client_ca", "token_keys", "token_issuer", "token_audience"}

        assert _faults(replace(sound, insecure_loopback=True), LOOPBACK) == given


class TestTls:
    """A port with TLS."""

    def test_is_opened_with_a_way_to_know_callers(self, sound: SecuritySettings) -> None:
        """Tokens, client certificates or both."""
        tokens_only = replace(sound, tls_client_ca=None)
        certificates_only = replace(sound, token_keys=None, token_issuer="", token_audience="")

        for settings in (sound, tokens_only, certificates_only):
            assert secure(settings, ANYWHERE).certificates is not None

    @pytest.mark.parametrize(
        ("changes", "faults"),
        [
            ({"tls_key": None}, {"tls_key"}),
            ({"tls_certificate": None}, {"tls_certificate"}),
            ({"tls_certificate": None, "tls_key": None}, {"tls_certificate", "tls_key"}),
            (
                {"tls_client_ca": None, "token_keys": None, "token_issuer": "", "token_audience": ""},
                {"token_keys"},
            ),
            ({"token_issuer": "", "token_audience": ""}, {"token_issuer", "token_audience"}),
            ({"token_keys": None}, {"token_keys"}),
            ({"tls_key": Path("/none"), "tls_client_ca": Path("/none")}, {"tls_key", "tls_client_ca"}),
            ({"tls_client_ca": Path(__file__)}, {"tls_client_ca"}),
            ({"tls_certificate": Path(__file__), "tls_key": Path(__file__)}, {"tls_certificate", "tls_key"}),
            ({"token_keys": Path("/none")}, {"/none"}),
        ],
    )
    def test_names_everything_that_is_missing(
        self, sound: SecuritySettings, changes: dict[str, object], faults: set[str]
    ) -> None:
        """At once, before anything listens."""
        assert _faults(replace(sound, **changes)) == faults  # type: ignore[arg-type]

    def test_needs_the_key_of_its_certificate(self, sound: SecuritySettings, tmp_path: Path) -> None:
        """Clients would be told of a broken handshake, and nothing of the reason."""
        other = CertificateAuthority(tmp_path, "other").issue("other", "127.0.0.1")

        assert _faults(replace(sound, tls_key=other.key)) == {"tls_key"}


@dataclass(frozen=True)
class _Settings(SecuritySettings):
    data_dir: Path


class TestSettings:
    """The flag on the command line."""

    @pytest.mark.parametrize("argv", [["--insecure-loopback"], ["--insecure-loopback", "true"]])
    def test_needs_no_value(self, argv: list[str]) -> None:
        """Both spellings say the same, and required settings stay required beside it."""
        settings = load_config(_Settings, ["--data-dir", "d", *argv], prog="test", description="")

        assert settings.security.insecure_loopback
        assert not load_config(_Settings, ["--data-dir", "d"], prog="test", description="").insecure_loopback
