"""Promotion over TLS, with the roles of real callers, and as the `goldsmith` command has it."""

from __future__ import annotations

import asyncio
import dataclasses
import math
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from typer.testing import CliRunner, Result

from goldsmith.registry.v1 import promotion_pb2 as pb
from shared.base_model import BaseModel
from shared.cli.main import app
from shared.client import PromotionClient, TrainerClient
from shared.errors import AccessDenied, Conflict, InvalidInput, NotFound, StateConflict
from shared.names import AdapterName
from shared.testing import ManualClock
from tests.access.house import TENANT, House, open_house
from tests.unit.trainer_svc.evidence_sample import compared, sound
from trainer_svc.domain.evidence import Evidence
from trainer_svc.domain.registry import Revision
from trainer_svc.store import shelf
from trainer_svc.store.database import Database

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

MEBIBYTE = "x" * (1 << 20)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tiny_base: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """A trainer behind TLS, with tenants acme and globex."""
    async with open_house(tiny_base, tmp_path_factory.mktemp("house")) as own:
        yield own


@dataclasses.dataclass
class Adapter:
    """An adapter of acme with revisions as jobs leave them, and its callers."""

    house: House
    id: str

    @property
    def name(self) -> str:
        """Full."""
        return f"{TENANT}/adapters/{self.id}"

    @property
    def live(self) -> str:
        """Its alias."""
        return f"{self.name}/aliases/live"

    @property
    def policy(self) -> str:
        """Name of its policy."""
        return f"{self.name}/promotionPolicy"

    async def publish(self, evidence: Evidence | None) -> str:
        """A revision that no alias means yet."""
        database = Database(f"sqlite:///{self.house.folder}/trainer/trainer.db")
        zero = "sha256:" + "0" * 64
        revision = Revision("", zero, (), f"{TENANT}/jobs/j", "c", zero, ManualClock().now(), evidence=evidence)
        own = AdapterName("acme", self.id)
        named = await database.run(lambda connection: shelf.add_revision(connection, own, revision))
        await asyncio.to_thread(database.close)
        return named.name

    async def ask(self, work: Callable[[PromotionClient], Any], **claims: Any) -> Any:
        """What acme's administrator, or who the claims name, does; in a thread, as the client is a blocking one."""

        def run() -> Any:
            who = {"roles": ["admin"], "sub": "ada", **claims}
            with PromotionClient(self.house.trainer, self.house.credentials(**who)) as client:
                return work(client)

        return await asyncio.to_thread(run)


@pytest.fixture
def adapter(house: House) -> Adapter:
    """An adapter of each test's own."""
    return Adapter(house, f"a{uuid.uuid4().hex}")


class TestPromotion:
    """PromoteRevision, RollBackAlias and ListPromotions."""

    async def test_is_recorded_with_who_and_why(self, adapter: Adapter) -> None:
        """Identity, reason, report and metrics, newest first, in pages."""
        first = await adapter.publish(sound())
        second = await adapter.publish(sound(first))

        one = await adapter.ask(lambda client: client.promote(first, ""))
        two = await adapter.ask(lambda client: client.promote(second, one.etag, reason="better fields"))
        back = await adapter.ask(lambda client: client.roll_back(adapter.live, two.etag, "slower"), sub="grace")
        entries = list(await adapter.ask(lambda client: list(client.promotions(adapter.name)), roles=["user"]))

        assert (one.revision, two.revision, back.revision) == (first, second, first)
        assert [entry.name for entry in entries] == [f"{adapter.name}/promotions/{number}" for number in (3, 2, 1)]
        assert [(entry.subject, list(entry.roles)) for entry in entries] == [
            ("grace", ["admin"]), ("ada", ["admin"]), ("ada", ["admin"]),
        ]  # fmt: skip
        assert [entry.reason for entry in entries] == ["slower", "better fields", ""]
        assert [(entry.from_revision, entry.to_revision) for entry in entries] == [
            (second, first), (first, second), ("", first),
        ]  # fmt: skip
        assert entries[1].report.passed
        assert entries[1].report.live_revision == first
        assert entries[1].metrics["exact_match"] == 0.8

    async def test_is_refused_with_every_reason_and_figure(self, adapter: Adapter) -> None:
        """CheckPromotion tells the same before; an override needs a reason, and is told."""
        bad = await adapter.publish(sound(against_chance=(compared(0.0),), memorised=compared(0.9)))

        report = await adapter.ask(lambda client: client.check(bad), roles=["user"])
        with pytest.raises(StateConflict) as caught:
            await adapter.ask(lambda client: client.promote(bad, ""))
        with pytest.raises(InvalidInput, match="reason"):
            await adapter.ask(lambda client: client.promote(bad, "", override=True))
        moved = await adapter.ask(lambda client: client.promote(bad, "", override=True, reason="a demo"))
        (entry,) = await adapter.ask(lambda client: list(client.promotions(adapter.name)))

        assert caught.value.reason == "PROMOTION_REFUSED"
        assert [each.path for each in caught.value.violations] == ["NO_BETTER_THAN_CHANCE", "MEMORISED"]
        stopping = [check for check in report.checks if check.reason]
        assert [f"{check.name}: {check.description}" for check in stopping] == [
            each.description for each in caught.value.violations
        ]
        assert moved.revision == bad
        assert (entry.override, entry.reason, entry.report) == (True, "a demo", report)

    async def test_of_callers_that_race_lets_one_through(self, adapter: Adapter) -> None:
        """Each saw no alias; all but one are told to look again."""
        revisions = [await adapter.publish(sound()) for _ in range(6)]

        def race() -> list[str]:
            with PromotionClient(adapter.house.trainer, adapter.house.credentials(roles=["admin"])) as client:

                def promote(revision: str) -> str:
                    try:
                        return client.promote(revision, "").revision
                    except Conflict as err:
                        return err.reason

                with ThreadPoolExecutor(len(revisions)) as threads:
                    return list(threads.map(promote, revisions))

        outcomes = await asyncio.to_thread(race)
        (entry,) = await adapter.ask(lambda client: list(client.promotions(adapter.name)))

        assert sorted(outcomes)[:5] == ["ETAG_MISMATCH"] * 5
        assert {entry.to_revision} == set(outcomes) - {"ETAG_MISMATCH"}

    async def test_is_for_those_who_may_set_aliases(self, adapter: Adapter) -> None:
        """Users read; another tenant's revision is as one that is not there, whether it is or not."""
        own = await adapter.publish(sound())

        for work in (
            lambda client: client.promote(own, ""),
            lambda client: client.roll_back(adapter.live, "1", "r"),
            lambda client: client.update_policy(pb.PromotionPolicy(name=adapter.policy)),
        ):
            with pytest.raises(AccessDenied):
                await adapter.ask(work, roles=["user"])
        told = []
        for name in (own, own.replace("/1", "/99")):
            for work in (
                lambda client, name=name: client.promote(name, ""),
                lambda client, name=name: client.check(name),
            ):
                with pytest.raises(NotFound) as caught:
                    await adapter.ask(work, tenant="globex")
                told.append(str(caught.value).replace(name, "*"))
        with pytest.raises(NotFound):
            await adapter.ask(lambda client: client.promote(own.replace("/1", "/99"), ""))

        assert len(set(told)) == 1
        assert await adapter.ask(lambda client: client.policy(adapter.policy), roles=["user"])

    @pytest.mark.parametrize(
        ("changes", "path"),
        [
            ({"canary_percent": 0}, "canary.percent"),
            ({"canary_percent": 100}, "canary.percent"),
            ({"reason": MEBIBYTE}, "reason"),
            ({"alias_id": "../x"}, "alias_id"),
        ],
        ids=["no share", "the whole", "a long reason", "no alias"],
    )
    async def test_names_the_field_that_is_wrong(self, adapter: Adapter, changes: dict[str, Any], path: str) -> None:
        """And changes nothing."""
        first, second = await adapter.publish(sound()), await adapter.publish(sound())
        alias = await adapter.ask(lambda client: client.promote(first, ""))

        with pytest.raises(InvalidInput) as caught:
            await adapter.ask(lambda client: client.promote(second, alias.etag, **changes))

        assert [each.path for each in caught.value.violations] == [path]
        assert await adapter.ask(lambda client: client.alias(adapter.live)) == alias

    async def test_takes_any_text_for_a_reason(self, adapter: Adapter) -> None:
        """Also what looks like another tenant's name: it is content, and names nothing."""
        own = await adapter.publish(sound())
        reason = "as in tenants/globex/jobs/x \u202e \x1b[31m"

        await adapter.ask(lambda client: client.promote(own, "", reason=reason))

        (entry,) = await adapter.ask(lambda client: list(client.promotions(adapter.name)))
        assert entry.reason == reason


class TestPolicy:
    """GetPromotionPolicy and UpdatePromotionPolicy."""

    async def test_is_the_default_until_one_is_stored(self, adapter: Adapter) -> None:
        """With etag "0" and no time; a stored one replaces it as a whole."""
        default = await adapter.ask(lambda client: client.policy(adapter.policy))
        wanted = pb.PromotionPolicy(
            name=adapter.policy, mode=pb.PROMOTION_MODE_CANARY, live_margin=0.05, etag=default.etag,
            thresholds=[pb.MetricThreshold(metric="exact_match", min_value=0.5)],
        )  # fmt: skip

        stored = await adapter.ask(lambda client: client.update_policy(wanted))
        with pytest.raises(Conflict):
            await adapter.ask(lambda client: client.update_policy(wanted))

        assert (default.etag, default.HasField("update_time"), default.mode) == ("0", False, pb.PROMOTION_MODE_LIVE)
        assert (default.canary.percent, default.min_own_stop_rate, default.max_memorised_gap) == (5, 0.9, 0.32)
        assert (stored.etag, stored.live_margin, stored.thresholds) == ("1", 0.05, wanted.thresholds)
        assert await adapter.ask(lambda client: client.policy(adapter.policy)) == stored

    @pytest.mark.parametrize("wrong", [math.nan, math.inf, -1.0])
    async def test_refuses_what_is_no_margin(self, adapter: Adapter, wrong: float) -> None:
        """Nothing of it is stored."""
        policy = pb.PromotionPolicy(name=adapter.policy, live_margin=wrong)
        policy.thresholds.add(metric="exact_match", min_value=wrong)
        policy.canary.percent = 100

        with pytest.raises(InvalidInput) as caught:
            await adapter.ask(lambda client: client.update_policy(policy))

        assert {each.path for each in caught.value.violations} == {
            "policy.live_margin", "policy.thresholds[0].min_value", "policy.canary.percent",
        }  # fmt: skip
        assert (await adapter.ask(lambda client: client.policy(adapter.policy))).etag == "0"

    async def test_binds_set_alias(self, adapter: Adapter) -> None:
        """From the first one that is stored."""
        bad = await adapter.publish(sound(against_chance=(compared(0.0),)))
        await adapter.ask(lambda client: client.update_policy(pb.PromotionPolicy(name=adapter.policy)))

        def set_alias() -> None:
            with TrainerClient(adapter.house.trainer, adapter.house.credentials(roles=["admin"])) as client:
                client.set_alias(adapter.live, bad)

        with pytest.raises(StateConflict, match="override") as caught:
            await asyncio.to_thread(set_alias)
        assert caught.value.reason == "PROMOTION_REFUSED"


class TestCommands:
    """`goldsmith promote`, `rollback`, `promotions` and `policy`."""

    async def _run(self, adapter: Adapter, *arguments: str) -> Result:
        house = adapter.house

        def run() -> Result:
            token = house.folder / "admin.token"
            token.write_text(house.issuer.token(roles=["admin"], sub="ada"))
            known = ["--ca", str(house.authority.path), "--token-file", str(token)]
            env = {"COLUMNS": "240", "NO_COLOR": "1", "TERM": "dumb"}
            return CliRunner().invoke(app, [*known, *arguments, "--address", house.trainer], env=env)

        return await asyncio.to_thread(run)

    async def test_move_an_alias_there_and_back(self, adapter: Adapter) -> None:
        """They read the etag themselves; what the policy stops ends with 1 and its figures."""
        first = await adapter.publish(sound())
        second = await adapter.publish(sound(first, against_live=(compared(-0.2),)))

        promoted = await self._run(adapter, "promote", first)
        dry = await self._run(adapter, "promote", second, "--dry-run")
        refused = await self._run(adapter, "promote", second)
        forced = await self._run(adapter, "promote", second, "--override", "--reason", "asked \x1b[31mfor")
        back = await self._run(adapter, "rollback", adapter.live, "--reason", "too slow")
        trial = await self._run(adapter, "promote", second, "--canary", "10")
        shown = await self._run(adapter, "promotions", adapter.name)

        codes = [each.exit_code for each in (promoted, dry, refused, forced, back, trial, shown)]
        assert codes == [0, 0, 1, 0, 0, 0, 0], [each.output for each in (promoted, dry, forced, back, trial, shown)]
        assert "is stopped" in dry.stdout
        assert "WORSE_THAN_LIVE" in dry.stdout
        assert "-0.200" in refused.stderr
        assert back.stdout == f"{adapter.live}: 1\n"
        assert trial.stdout == f"{adapter.live}: 1 + canary 2 10 %\n"
        lines = [line.split() for line in shown.stdout.splitlines() if "UTC" in line]
        assert [line[3:6] for line in lines[1:]] == [["live", "2", "1"], ["live", "1", "2"], ["live", "1", "promote"]]
        assert all(word in shown.stdout for word in ("overriding the policy", "too slow", "ada"))
        assert "\x1b" not in shown.stdout

    async def test_change_a_policy_by_flags_and_replace_it_by_a_file(self, adapter: Adapter, tmp_path: Path) -> None:
        """Flags leave the rest; a file is the whole policy; both together are refused."""
        file = tmp_path / "policy.toml"
        file.write_text(
            'mode = "canary"\ndisabled_checks = ["own-stop"]\n[canary]\npercent = 20\n'
            "[[thresholds]]\nmetric = 'field_f1'\nmin_value = 0.9\n"
        )

        by_flags = await self._run(
            adapter, "policy", "set", adapter.name, "--mode", "manual", "--threshold", "exact_match=0.8+",
            "--live-margin", "0.1",
        )  # fmt: skip
        kept = await self._run(adapter, "policy", "set", adapter.name, "--canary", "30")
        by_file = await self._run(adapter, "policy", "set", adapter.name, "--file", str(file))
        both = await self._run(adapter, "policy", "set", adapter.name, "--file", str(file), "--mode", "live")
        got = await self._run(adapter, "policy", "get", adapter.name)
        file.write_text("modus = 1\n")
        wrong = await self._run(adapter, "policy", "set", adapter.name, "--file", str(file))

        assert [each.exit_code for each in (by_flags, kept, by_file, both, got, wrong)] == [0, 0, 0, 1, 0, 1]
        assert '"min_value": 0.8,\n      "at_lower_end": true' in kept.stdout
        assert ("MANUAL" in kept.stdout, '"percent": 30' in kept.stdout) == (True, True)
        assert got.stdout == by_file.stdout
        assert ("live_margin" in got.stdout, "exact_match" in got.stdout) == (False, False)
        assert all(word in got.stdout for word in ("CANARY", "BUILT_IN_CHECK_OWN_STOP", "field_f1", '"percent": 20'))
        assert "modus" in wrong.stderr
