"""A trainer as operators start it, behind TLS: how clients, the command and the inference service reach it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from typer.testing import CliRunner

from deploy.quickstart.service_process import ServiceProcess
from inference_svc.__main__ import main as inference_main
from inference_svc.registry_client import GrpcRegistry
from shared.cli.main import app
from shared.client import Credentials, TrainerClient
from shared.errors import AccessDenied, InvalidInput, NotFound, Unauthenticated, Unavailable
from shared.names import ContractName, RevisionName
from shared.rpc.server import EXIT_CONFIGURATION
from tests.access.issuer import AUDIENCE, ISSUER, Certificate, CertificateAuthority, TokenIssuer
from trainer_svc.__main__ import main as trainer_main

TENANT = "tenants/acme"
CONTRACT = f"{TENANT}/contracts/answer"
pytestmark = pytest.mark.timeout(120)


@dataclass
class Served:
    """A running trainer."""

    address: str
    authority: CertificateAuthority
    issuer: TokenIssuer
    folder: Path

    def client(self, credentials: Credentials | None) -> TrainerClient:
        """The typed client."""
        return TrainerClient(self.address, credentials)

    def with_token(self, **claims: object) -> Credentials:
        """A caller with a token, which it keeps in a file."""
        file = self.folder / f"token-{abs(hash(str(claims)))}"
        file.write_text(self.issuer.token(**claims) + "\n")  # type: ignore[arg-type]
        return Credentials(ca=self.authority.path, token_file=file)

    def with_certificate(self, own: Certificate) -> Credentials:
        """A caller with a client certificate."""
        return Credentials(ca=self.authority.path, certificate=own.certificate, key=own.key)


def _serve(folder: Path, base: Path, **flags: str) -> Iterator[Served]:
    authority, issuer = CertificateAuthority(folder, "own-authority"), TokenIssuer()
    own = authority.issue("service", "127.0.0.1")
    (folder / "keys.json").write_text(issuer.key_set())
    always = {
        "data-dir": str(folder / "data"),
        "base-model-dir": str(base),
        "listen": "127.0.0.1:0",
        "parallel-jobs": "0",
        "tls-certificate": str(own.certificate),
        "tls-key": str(own.key),
        "token-keys": str(folder / "keys.json"),
        "token-issuer": ISSUER,
        "token-audience": AUDIENCE,
    }
    with ServiceProcess("trainer_svc", always | flags, folder / "log") as process:
        yield Served(process.wait_ready(60), authority, issuer, folder)


@pytest.fixture(scope="module")
def tokens(tiny_base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Knows callers by their tokens; acme has one contract."""
    for served in _serve(tmp_path_factory.mktemp("tokens"), tiny_base_folder):
        with served.client(served.with_token(roles=["admin"])) as own:
            own.create_contract(CONTRACT, json_schema='{"type":"boolean"}')
        yield served


@pytest.fixture(scope="module")
def certificates(tiny_base_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Asks every caller for a certificate, and takes tokens beside it."""
    folder = tmp_path_factory.mktemp("certificates")
    flags = {"tls-client-ca": str(folder / "own-authority.pem")}
    yield from _serve(folder, tiny_base_folder, **flags)


class TestTokens:
    """Callers with tokens."""

    def test_are_known_by_them(self, tokens: Served) -> None:
        """The same call, three callers."""
        with tokens.client(tokens.with_token()) as user:
            assert user.contract(CONTRACT).name == CONTRACT
        with tokens.client(tokens.with_token(tenant="globex")) as stranger, pytest.raises(NotFound):
            stranger.contract(CONTRACT)
        with tokens.client(Credentials(ca=tokens.authority.path)) as nobody, pytest.raises(Unauthenticated):
            nobody.contract(CONTRACT)

    def test_can_renew_them_without_a_new_connection(self, tokens: Served) -> None:
        """The file is read at each call; one that is gone is no reason to call without a token."""
        credentials = tokens.with_token(sub="renewing", exp=1)
        assert credentials.token_file is not None

        with tokens.client(credentials) as client:
            with pytest.raises(Unauthenticated, match="expired"):
                client.contract(CONTRACT)
            credentials.token_file.write_text(tokens.issuer.token())
            assert client.contract(CONTRACT).name == CONTRACT
            credentials.token_file.unlink()
            with pytest.raises(Unavailable):
                client.contract(CONTRACT)

    def test_never_reach_it_in_plaintext(self, tokens: Served) -> None:
        """Nor a server that another authority vouches for."""
        with tokens.client(None) as plain, pytest.raises(Unavailable):
            plain.contract(CONTRACT)
        other = CertificateAuthority(tokens.folder, "other-authority")
        elsewhere = Credentials(ca=other.path, token=tokens.issuer.token())
        with tokens.client(elsewhere) as deceived, pytest.raises(Unavailable):
            deceived.contract(CONTRACT)

    def test_are_not_asked_by_probes(self, tokens: Served) -> None:
        """Health is told to anyone, once and as it changes."""
        secret = grpc.ssl_channel_credentials(tokens.authority.path.read_bytes())
        with grpc.secure_channel(tokens.address, secret) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            watch = stub.Watch(health_pb2.HealthCheckRequest(), timeout=20)

            assert stub.Check(health_pb2.HealthCheckRequest(), timeout=20).status == next(watch).status == 1
            watch.cancel()


class TestCertificates:
    """Callers with client certificates."""

    @pytest.mark.parametrize(("role", "refusal"), [("admin", None), ("user", AccessDenied)])
    def test_are_known_by_them(self, certificates: Served, role: str, refusal: type[Exception] | None) -> None:
        """Tenant and role come from the certificate."""
        own = certificates.authority.issue(role, f"goldsmith://tenants/acme?role={role}")

        with certificates.client(certificates.with_certificate(own)) as client:
            if refusal is None:
                client.create_contract(CONTRACT, json_schema='{"type":"boolean"}')
                assert client.contract(CONTRACT).name == CONTRACT
            else:
                with pytest.raises(refusal):
                    client.create_contract(f"{CONTRACT}-2", json_schema='{"type":"boolean"}')

    def test_of_a_proxy_carry_its_callers_tokens(self, certificates: Served) -> None:
        """The token counts, not the certificate, and an invalid one is not saved by it."""
        proxy = certificates.authority.issue("proxy", "goldsmith://tenants/-?role=operator")
        shown = certificates.with_certificate(proxy)

        def called(token: str) -> None:
            carried = Credentials(ca=shown.ca, certificate=shown.certificate, key=shown.key, token=token)
            with certificates.client(carried) as client:
                client.contract("tenants/globex/contracts/none")

        with pytest.raises(NotFound, match="globex/contracts/none"):
            called(certificates.issuer.token(tenant="globex"))
        with pytest.raises(NotFound, match="globex/contracts/none"):
            called(certificates.issuer.token(tenant="acme"))
        with pytest.raises(Unauthenticated):
            called("x.y.z")

    def test_that_name_nobody_are_told_so(self, certificates: Served) -> None:
        """Verified, but not one of ours."""
        own = certificates.authority.issue("nobody", "host.test")

        with (
            certificates.client(certificates.with_certificate(own)) as client,
            pytest.raises(Unauthenticated) as caught,
        ):
            client.contract(CONTRACT)
        assert caught.value.reason == "CERTIFICATE_INVALID"

    def test_that_are_missing_expired_or_anothers_open_no_connection(self, certificates: Served) -> None:
        """TLS itself refuses them, a good token notwithstanding."""
        name, token = "goldsmith://tenants/acme?role=admin", certificates.issuer.token(roles=["admin"])
        past = certificates.authority.issue("past", name, not_after=datetime.now(UTC) - timedelta(hours=1))
        forged = CertificateAuthority(certificates.folder, "forger").issue("forged", name)

        for own in (None, past, forged):
            shown = Credentials(
                ca=certificates.authority.path,
                certificate=own and own.certificate,
                key=own and own.key,
                token=token,
            )
            with certificates.client(shown) as client, pytest.raises(Unavailable):
                client.contract(CONTRACT)


class TestRegistryClient:
    """The inference service as a caller."""

    def test_reads_every_tenant_with_the_role_service(self, tokens: Served) -> None:
        """Contracts, revisions and all aliases in one stream, and nothing a tenant's user could not."""

        async def read(credentials: Credentials) -> list[str]:
            registry = GrpcRegistry(tokens.address, credentials)
            try:
                found = [(await registry.contract(ContractName("acme", "answer"))).kind.value]
                with pytest.raises(NotFound, match="revisions/1"):
                    await registry.revision(RevisionName("acme", "a", 1))
                return found
            finally:
                await registry.close()

        assert asyncio.run(read(tokens.with_token(tenant=None, roles=["service"]))) == ["json"]
        with pytest.raises(NotFound):
            asyncio.run(read(tokens.with_token(tenant="globex", roles=["user"])))


class TestCommand:
    """`goldsmith`."""

    def _run(self, served: Served, *arguments: str, **environment: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, [*arguments, "--address", served.address], env={"COLUMNS": "200", **environment})
        return done.exit_code, done.output

    def test_takes_credentials_as_options_and_from_the_environment(self, tokens: Served) -> None:
        """Either way the same list."""
        own = tokens.with_token()
        listing = ("contract", "list", TENANT)

        optional = self._run(tokens, "--ca", str(own.ca), "--token-file", str(own.token_file), *listing)
        environment = self._run(tokens, *listing, GOLDSMITH_CA=str(own.ca), GOLDSMITH_TOKEN_FILE=str(own.token_file))

        assert optional == environment
        assert optional[0] == 0
        assert CONTRACT in optional[1]

    def test_says_what_is_wrong_with_them(self, tokens: Served) -> None:
        """One line with the reason, and status 1."""
        own, other = tokens.with_token(), tokens.with_token(tenant="globex")

        status, shown = self._run(tokens, "--ca", str(own.ca), "contract", "get", CONTRACT)
        assert (status, "CREDENTIALS_MISSING" in shown) == (1, True)
        status, shown = self._run(
            tokens, "--ca", str(own.ca), "--token-file", str(other.token_file), "contract", "get", CONTRACT
        )
        assert (status, "does not exist" in shown) == (1, True)
        status, shown = self._run(tokens, "--certificate", str(own.ca), "contract", "get", CONTRACT)
        assert (status, "key go together" in shown) == (1, True)


class TestStart:
    """Settings under which nothing is served."""

    @pytest.mark.parametrize(
        ("flags", "words"),
        [
            ((), "insecure_loopback"),
            (("--listen", "0.0.0.0:0"), "tls_certificate"),
            (("--listen", "0.0.0.0:0", "--insecure-loopback"), "no loopback address"),
            (("--listen", "127.0.0.1:0", "--insecure-loopback", "--token-issuer", "x"), "contradicts"),
        ],
    )
    @pytest.mark.parametrize("service", ["trainer", "inference"])
    def test_end_the_process_with_the_status_of_a_wrong_configuration(
        self, service: str, flags: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Before a model is read or a port is opened."""
        usual = ("--base-model-dir", "/none")
        if service == "trainer":
            status = trainer_main([*usual, *flags])
        else:
            status = inference_main([*usual, "--registry", "127.0.0.1:1", *flags])

        assert status == EXIT_CONFIGURATION
        assert words in capsys.readouterr().err

    def test_a_registry_elsewhere_is_not_asked_in_plaintext(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Weights from another machine come over TLS."""
        status = inference_main(["--base-model-dir", "/none", "--registry", "trainer.test:1", "--insecure-loopback"])

        assert status == EXIT_CONFIGURATION
        assert "registry_ca" in capsys.readouterr().err

    def test_credentials_are_whole(self, tmp_path: Path) -> None:
        """Half a pair, two tokens and files that are not there are named before a connection is tried."""
        with pytest.raises(InvalidInput, match="go together"):
            Credentials(certificate=tmp_path)
        with pytest.raises(InvalidInput, match="given twice"):
            Credentials(token="x", token_file=tmp_path)
        with pytest.raises(InvalidInput) as caught:
            Credentials(ca=tmp_path / "a", token_file=tmp_path / "b").for_channel()
        assert [violation.path for violation in caught.value.violations] == ["ca", "token_file"]
        assert "secret" not in repr(Credentials(token="secret"))
