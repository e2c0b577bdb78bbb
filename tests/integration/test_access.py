"""Both services over TLS: who gets what, for every RPC."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from goldsmith.trainer.v1 import golden_dataset_pb2
from inference_svc.registry_client import GrpcRegistry
from shared.base_model import BaseModel
from shared.client import Credentials, TrainerClient
from shared.errors import AccessDenied, InvalidInput, NotFound, Unauthenticated, Unavailable
from shared.names import ContractName
from shared.rpc.access.table import RULES
from tests.access import matrix
from tests.access.house import SCHEMA, TENANT, House, open_house
from tests.access.issuer import CertificateAuthority, TokenIssuer
from tests.access.matrix import CALLERS, MAY_CALL
from tests.access.rpcs import all_rpcs
from tests.access.sample import SAMPLES, sample

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tiny_base: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """Both services; acme owns one of everything, globex nothing."""
    async with open_house(tiny_base, tmp_path_factory.mktemp("house")) as own:
        yield own


async def _ask(house: House, work: Callable[[TrainerClient], Any], **claims: Any) -> Any:
    """What a client with these claims does, in a thread of its own, as the client is a blocking one."""

    def run() -> Any:
        with TrainerClient(house.trainer, house.credentials(**claims)) as client:
            return work(client)

    return await asyncio.to_thread(run)


class TestMatrix:
    """Every RPC with every kind of caller."""

    async def test_covers_every_rpc(self) -> None:
        """By the descriptors: what is added there must be decided here too."""
        rpcs = [rpc.short for rpc in all_rpcs()]

        assert set(MAY_CALL) == set(SAMPLES) == set(rpcs)
        assert len(rpcs) == len(set(rpcs))

    async def test_has_no_gap(self, house: House, caplog: pytest.LogCaptureFixture) -> None:
        """Own callers are answered as far as their role goes, all others without a handler having run.

        A wrong tenant's are answered alike for what exists and what does not; who is nobody is told why.
        """
        cells = await matrix.run_matrix(house)

        assert [cell for cell in cells if cell.is_gap] == []
        assert matrix.figures(cells) == {
            "authorisation_cells": len(MAY_CALL) * len(CALLERS), "authorisation_gaps": 0,
        }  # fmt: skip
        assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == []
        assert Counter(cell.caller for cell in cells) == dict.fromkeys(CALLERS, len(MAY_CALL))

    async def test_has_no_gap_where_one_name_of_several_is_anothers(self, house: House) -> None:
        """A job on another tenant's dataset, an alias on another's revision, an adapter beside another's contract."""
        cells = await matrix.run_second_resources(house)
        places = {(cell.rpc, cell.caller.split()[2]) for cell in cells}

        assert [cell for cell in cells if cell.is_gap] == []
        assert {
            ("TrainingService/CreateTrainingJob", "job.dataset"),
            ("TrainingService/CreateTrainingJob", "job.adapter"),
            ("DatasetService/CreateGoldenDataset", "dataset.contract"),
            ("PreferenceService/CreatePreferenceStudy", "study.revision_a"),
            ("PreferenceService/CreatePreferenceStudy", "study.revision_b"),
            ("RegistryService/SetAlias", "alias.revision"),
            ("InferenceService/Extract", "prompt.contract"),
            ("InferenceService/GenerateStream", "prompt.adapter"),
        } <= places


class TestTenants:
    """Two tenants on one installation."""

    async def test_may_use_the_same_names(self, house: House) -> None:
        """Neither sees, meets or changes what the other calls by the same words."""
        other = "tenants/initech"
        mine = await _ask(house, lambda client: list(client.contracts(TENANT)))
        created = await _ask(
            house,
            lambda client: client.create_contract(f"{other}/contracts/answer", json_schema='{"type":"boolean"}'),
            tenant="initech", roles=["admin"],
        )  # fmt: skip
        theirs = await _ask(house, lambda client: list(client.contracts(other)), tenant="initech")

        assert [contract.name for contract in theirs] == [created.name] == [f"{other}/contracts/answer"]
        assert await _ask(house, lambda client: list(client.contracts(TENANT))) == mine

    async def test_are_all_open_to_the_operator(self, house: House) -> None:
        """By the same calls; the place of a tenant stays a name that must be right."""
        operator = {"tenant": None, "roles": ["operator"]}

        found = await _ask(house, lambda client: client.contract(f"{TENANT}/contracts/answer"), **operator)
        with pytest.raises(InvalidInput, match="tenants"):
            await _ask(house, lambda client: client.contract("contracts/answer"), **operator)
        with pytest.raises(NotFound):
            await _ask(house, lambda client: client.contract("tenants/globex/contracts/answer"), **operator)

        assert found.json.schema == SCHEMA

    async def test_cannot_list_with_a_place_for_all(self, house: House) -> None:
        """The dash stands for all adapters of one's own tenant, and for all tenants to whoever stands above them."""
        (rpc,) = (rpc for rpc in all_rpcs() if rpc.short == "RegistryService/ListAliases")
        everything = rpc.request_type(parent="tenants/-/adapters/-")

        own = await matrix.call(house, rpc, sample(rpc), CALLERS["own user"](house.issuer))
        refused = await matrix.call(house, rpc, everything, CALLERS["own admin"](house.issuer))
        above = await matrix.call(house, rpc, everything, CALLERS["service"](house.issuer))

        assert [matrix.observed(each) for each in (own, refused, above)] == [
            "OK, reached", "NOT_FOUND RESOURCE_NOT_FOUND", "OK, reached",
        ]  # fmt: skip


class TestRegistryClient:
    """The inference service as a caller of the registry."""

    async def test_follows_and_downloads_what_every_tenant_publishes(self, house: House, tmp_path: Path) -> None:
        """With the role that it has there, over TLS."""
        registry = GrpcRegistry(house.trainer, house.credentials(tenant=None, roles=["service"]))
        async with aclosing(registry.watch_aliases()) as changes:
            alias = await anext(changes)
            revision = alias.revision
        await registry.download(revision, tmp_path)
        contract = await registry.contract(ContractName("acme", "answer"))
        facts = await registry.revision(revision)
        await registry.close()

        assert (str(alias.name), facts.name) == (f"{TENANT}/adapters/answer/aliases/live", revision)
        assert contract.json_schema == SCHEMA
        assert (tmp_path / "manifest.json").read_bytes() == b"manifest"


class TestKeyRotation:
    """The issuer's keys, replaced while the services run."""

    async def test_takes_effect_at_the_next_call(self, house: House) -> None:
        """Tokens of a new key are accepted, those of a removed one refused though they were good a moment ago.

        A file that cannot be used changes nothing.
        """
        next_issuer = TokenIssuer({"one": "EdDSA", "two": "ES256"})
        (rpc,) = (rpc for rpc in all_rpcs() if rpc.short == "ContractService/GetContract")

        async def codes() -> list[str]:
            tokens = [next_issuer.token(key_id=key_id) for key_id in ("one", "two")]
            return [(await matrix.call(house, rpc, sample(rpc), token)).code for token in tokens]

        seen = [await codes()]
        for keys in (next_issuer.key_set("one", "two"), next_issuer.key_set("two"), '{"keys": ['):
            house.key_file.write_text(keys)
            seen.append(await codes())
        house.key_file.write_text(house.issuer.key_set())
        seen.append(await codes())

        refused = "UNAUTHENTICATED"
        assert seen == [["OK", refused], ["OK", "OK"], [refused, "OK"], [refused, "OK"], ["OK", refused]]


class TestCertificateRotation:
    """The service's own certificate, replaced while it runs."""

    async def test_takes_effect_at_the_next_connection(self, house: House, caplog: pytest.LogCaptureFixture) -> None:
        """Between the replacement of the certificate and that of its key the old pair goes on."""
        files = [house.folder / "service.pem", house.folder / "service.key"]
        old = [file.read_bytes() for file in files]
        token = house.issuer.token()

        async def trusting(authority: CertificateAuthority) -> str:
            def run() -> str:
                with TrainerClient(house.trainer, Credentials(ca=authority.path, token=token)) as client:
                    return client.contract(f"{TENANT}/contracts/answer").name.rpartition("/")[2]

            try:
                return await asyncio.to_thread(run)
            except Unavailable:
                return "refused"

        successor = CertificateAuthority(house.folder, "successor")
        successor.issue("service", "127.0.0.1")
        new = [file.read_bytes() for file in files]
        seen = []
        for pair in ((old[0], old[1]), (new[0], old[1]), (new[0], new[1]), (b"", new[1])):
            for file, content in zip(files, pair, strict=True):
                file.write_bytes(content)
            seen.append([await trusting(authority) for authority in (house.authority, successor)])
        for file, content in zip(files, old, strict=True):
            file.write_bytes(content)

        assert seen == [["answer", "refused"], ["answer", "refused"], ["refused", "answer"], ["refused", "answer"]]
        assert caplog.text.count("certificate not replaced") >= 2
        assert await trusting(house.authority) == "answer"


class TestAudit:
    """The log of changes."""

    @pytest.mark.parametrize("rpc", [rpc for rpc in all_rpcs() if rpc.path in RULES], ids=lambda rpc: rpc.short)
    async def test_has_a_line_for_every_call_that_changes_something(
        self, house: House, rpc: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Made or refused, known caller or not; reading leaves none."""
        tokens = [
            CALLERS[name](house.issuer) for name in ("own admin", "own user", "wrong tenant, admin", "no identity")
        ]
        with caplog.at_level(logging.INFO, "goldsmith.audit"):
            outcomes = [(await matrix.call(house, rpc, sample(rpc), token)).code for token in tokens]
        lines = [record for record in caplog.records if record.name == "goldsmith.audit"]

        if not RULES[rpc.path].changes:
            assert lines == []
            return
        said: list[dict[str, Any]] = [vars(line) for line in lines]
        assert [line["outcome"] for line in said] == outcomes
        assert [line["tenant"] for line in said] == ["acme", "acme", "globex", None]
        assert [line["subject"] for line in said] == ["ada", "ada", "ada", None]
        assert {line["method"] for line in said} == {rpc.path}
        assert all(f"{line['resource']}/".startswith(f"{TENANT}/") for line in said)

    async def test_has_no_line_of_routine_reports_that_arrive(
        self, house: House, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Replicas tell their usage all the time; who tried to and may not is still told."""
        (rpc,) = (rpc for rpc in all_rpcs() if rpc.short.endswith("ReportUsage"))
        with caplog.at_level(logging.INFO, "goldsmith.audit"):
            outcomes = [
                (await matrix.call(house, rpc, sample(rpc), CALLERS[name](house.issuer))).code
                for name in ("service", "own admin")
            ]

        assert outcomes == ["OK", "PERMISSION_DENIED"]
        assert [vars(record)["outcome"] for record in caplog.records if record.name == "goldsmith.audit"] == [
            outcomes[1]
        ]

    async def test_names_the_resource_and_nothing_of_its_content(
        self, house: House, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Whatever a call carries stays out of every log line."""
        secret = "the-instruction-prompt-of-acme"
        golden = golden_dataset_pb2.GoldenDataset(contract=f"{TENANT}/contracts/answer", instruction_prompt=secret)

        with caplog.at_level(logging.DEBUG):
            await _ask(house, lambda client: client.create_dataset(f"{TENANT}/datasets/kept", golden), roles=["admin"])
            with pytest.raises(AccessDenied):
                await _ask(house, lambda client: client.create_dataset(f"{TENANT}/datasets/lost", golden))
        lines = [vars(record) for record in caplog.records]

        audited = [line["resource"] for line in lines if line["name"] == "goldsmith.audit"]
        assert audited == [f"{TENANT}/datasets/kept", f"{TENANT}/datasets/lost"]
        assert not any(secret in str(line) for line in lines)


class TestWords:
    """What a refused caller reads."""

    async def test_say_what_to_do(self, house: House) -> None:
        """The reason for programs, the next step for people, and never what the token said."""
        with pytest.raises(Unauthenticated) as expired:
            await _ask(house, lambda client: client.contract(f"{TENANT}/contracts/answer"), exp=1, sub="secret-subject")
        with pytest.raises(AccessDenied) as denied:
            await _ask(house, lambda client: client.cancel(f"{TENANT}/jobs/first"))

        assert expired.value.reason == "CREDENTIALS_EXPIRED"
        assert "new one" in str(expired.value)
        assert "secret-subject" not in str(expired.value)
        assert denied.value.metadata["roles"] == "admin,operator"
