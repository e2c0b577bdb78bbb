"""Promotion as the `goldsmith` command has it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from shared.cli.main import app
from tests.integration.promotion.house import Adapter
from tests.unit.trainer_svc.evidence_sample import compared, sound

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]


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
        """Flags leave the rest as it is, unset included; a file is the whole policy; both together are refused."""
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
        assert '"max_memorised_gap"' not in kept.stdout
        assert '"effective_max_memorised_gap": 0.32' in kept.stdout
        assert got.stdout == by_file.stdout
        assert ("live_margin" in got.stdout, "exact_match" in got.stdout) == (False, False)
        assert all(word in got.stdout for word in ("CANARY", "BUILT_IN_CHECK_OWN_STOP", "field_f1", '"percent": 20'))
        assert "modus" in wrong.stderr
