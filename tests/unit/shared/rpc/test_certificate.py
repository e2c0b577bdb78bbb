"""Identities from client certificates."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.errors import Unauthenticated
from shared.rpc.identity import Identity, IdentityMethod, Role
from shared.rpc.identity.authenticator import CredentialAuthenticator
from shared.rpc.identity.certificate import certificate_identity
from shared.testing import ManualClock
from tests.access.issuer import CertificateAuthority

END = datetime(2026, 12, 1, 12, tzinfo=UTC)


def _pem(folder: Path, *sans: str, cn: str = "") -> bytes:
    return CertificateAuthority(folder).issue("caller", *sans, not_after=END, cn=cn).certificate.read_bytes()


class TestCertificate:
    """Its subject alternative names."""

    @pytest.mark.parametrize(
        ("uri", "tenant", "role"),
        [
            ("goldsmith://tenants/acme?role=user", "acme", Role.USER),
            ("goldsmith://tenants/acme?role=admin", "acme", Role.ADMIN),
            ("goldsmith://tenants/-?role=operator", None, Role.OPERATOR),
            ("goldsmith://tenants/-?role=service", None, Role.SERVICE),
        ],
    )
    def test_name_tenant_and_role(self, uri: str, tenant: str | None, role: Role, tmp_path: Path) -> None:
        """In one URI, beside whatever else it is a certificate for; it is an identity until it ends."""
        identity = certificate_identity(_pem(tmp_path, "spiffe://x/y", uri, "host.test", "10.0.0.1", cn="ada"))

        assert identity == Identity("ada", tenant, frozenset({role}), IdentityMethod.CERTIFICATE, END)

    def test_stand_for_the_subject_where_it_has_no_common_name(self, tmp_path: Path) -> None:
        """The audit log names somebody in any case."""
        uri = "goldsmith://tenants/acme?role=user"

        assert certificate_identity(_pem(tmp_path, uri)).subject == uri

    @pytest.mark.parametrize(
        "sans",
        [
            (),
            ("host.test",),
            ("spiffe://tenants/acme",),
            ("goldsmith://tenants/acme?role=user", "goldsmith://tenants/globex?role=user"),
            ("goldsmith://tenants/acme",),
            ("goldsmith://tenants/acme?role=root",),
            ("goldsmith://tenants/acme?role=user&role=admin",),
            ("goldsmith://tenants/acme?role=user#x",),
            ("goldsmith://tenants/acme/?role=user",),
            ("goldsmith://tenants/?role=user",),
            ("goldsmith://tenants/-acme?role=user",),
            ("goldsmith://tenants/acme%2Fx?role=user",),
            ("goldsmith://tenants/-?role=user",),
            ("goldsmith://tenants/-?role=admin",),
            ("goldsmith://tenants/acme?role=operator",),
            ("goldsmith://tenants/acme?role=service",),
            ("GOLDSMITH://tenants/acme?role=user",),
        ],
    )
    def test_that_say_anything_else_name_nobody(self, sans: tuple[str, ...], tmp_path: Path) -> None:
        """Two names, half a name, a role in the wrong place."""
        with pytest.raises(Unauthenticated) as caught:
            certificate_identity(_pem(tmp_path, *sans, cn="goldsmith://tenants/acme?role=user"))

        assert caught.value.reason == "CERTIFICATE_INVALID"


class TestConnection:
    """A connection that was opened with a certificate."""

    def test_is_worth_nothing_after_its_end(self, tmp_path: Path) -> None:
        """TLS looks at the time once, at the handshake; a connection may live longer."""
        clock = ManualClock(END)
        clock.advance(-1)
        authenticator = CredentialAuthenticator(None, clock)
        peer = {"x509_pem_cert": [_pem(tmp_path, "goldsmith://tenants/acme?role=user")]}

        assert authenticator.identify((), peer).tenant == "acme"
        clock.advance(1)
        with pytest.raises(Unauthenticated) as caught:
            authenticator.identify((), peer)
        assert caught.value.reason == "CREDENTIALS_EXPIRED"

    @pytest.mark.parametrize(
        "metadata",
        [
            (("authorization", "Bearer x.y.z"),),
            (("authorization", ""),),
            (("authorization", "Basic YTpi"),),
            (("authorization", b"Bearer x.y.z"),),
            (("authorization", "Bearer x.y.z"), ("authorization", "Bearer x.y.z")),
        ],
    )
    def test_does_not_make_a_bad_token_good(
        self, metadata: tuple[tuple[str, str | bytes], ...], tmp_path: Path
    ) -> None:
        """Whoever shows a token is judged by it."""
        peer = {"x509_pem_cert": [_pem(tmp_path, "goldsmith://tenants/acme?role=user")]}

        with pytest.raises(Unauthenticated) as caught:
            CredentialAuthenticator(None, ManualClock()).identify(metadata, peer)
        assert caught.value.reason == "TOKEN_INVALID"
