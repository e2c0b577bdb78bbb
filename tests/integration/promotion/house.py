"""An adapter whose revisions are promoted over TLS."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any

from shared.client import PromotionClient
from shared.names import AdapterName
from shared.testing import ManualClock
from tests.access.house import TENANT, House
from trainer_svc.domain.evidence import Evidence
from trainer_svc.domain.registry import Revision
from trainer_svc.store import shelf
from trainer_svc.store.database import Database


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
