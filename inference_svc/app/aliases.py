"""What each alias means on this replica, now and after a restart, and how it comes to mean another revision."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path

from inference_svc.app import alias_file
from inference_svc.app.alias_file import SavedAlias, SavedCanary
from inference_svc.app.canaries import Canaries, Draw
from inference_svc.app.meter import UNOBSERVED, Meter
from inference_svc.app.ports import Registry
from inference_svc.app.revisions import Revisions, load_while
from inference_svc.domain.canary_choice import CanaryChoice
from inference_svc.domain.canary_judge import Verdict
from shared.adapter.canary import CanarySplit
from shared.changes import Changes
from shared.errors import NotFound, Unavailable
from shared.names import AdapterName, AliasName, RevisionName

_log = logging.getLogger(__name__)

LIVE_ALIAS = "live"
_RETRY_SECONDS = 1.0


class Aliases:
    """Owns what aliases mean; all methods run on one event loop, so plain assignments are atomic.

    An alias flips only after its new revision serves. A replaced revision that no other alias means is retired, and
    stays on disk for a roll back.
    """

    def __init__(  # collaborators, keyword-only
        self, revisions: Revisions, registry: Registry, *, state_file: Path, changes: Changes,
        chance: Callable[[], float], meter: Meter = UNOBSERVED,
    ) -> None:  # fmt: skip
        """`chance` is uniform in [0, 1), and draws who gets a canary."""
        self._revisions, self._state_file = revisions, state_file
        self._changes, self._meter = changes, meter
        self._saved: dict[str, SavedAlias] = {}
        self._wanted: dict[AliasName, RevisionName] = {}
        self._serving: dict[AliasName, RevisionName] = {}
        self._promotions: set[asyncio.Task[None]] = set()
        self._canaries = Canaries(
            revisions, registry, chance=chance, changes=changes, on_change=self._save, release=self._release,
            meter=meter,
        )  # fmt: skip

    def restore(self) -> None:
        """Points the aliases as they were at the last shutdown, so that a replica serves without its registry."""
        self._saved = dict(alias_file.read(self._state_file))
        for alias, saved in self._saved.items():
            revision = RevisionName.parse(saved.revision)
            self._revisions.expect(revision, saved.digest)
            if saved.canary is not None and saved.canary.digest:
                self._revisions.expect(saved.canary.split.revision, saved.canary.digest)
            split, verdict = (saved.canary.split, saved.canary.verdict) if saved.canary else (None, None)
            self.point(AliasName.parse(alias), revision, split, verdict)

    def point(
        self, alias: AliasName, revision: RevisionName, canary: CanarySplit | None = None,
        verdict: Verdict | None = None,
    ) -> None:  # fmt: skip
        """Begins to serve `revision` under `alias`, and a part of it by `canary`; `verdict` is from before a restart.

        The present revision serves on until the new one is live. An alias that is new here is loaded ahead of its first
        request as long as there are free places.
        """
        self._wanted[alias] = revision
        self._canaries.follow(alias, revision, canary, verdict)
        if self._serving.get(alias) == revision:
            return
        self._begin(self._promote(alias, revision))

    def draw(self, name: str, choice: CanaryChoice) -> tuple[RevisionName | None, Draw | None]:
        """The canary, if a request for `name` gets it, and its place in the trial, if chance decided.

        Raises `InvalidInput` (FIELD_INVALID) for a malformed name.
        """
        if "/revisions/" in name:
            return None, None
        alias = _alias(name)
        return self._canaries.draw(alias, self._serving.get(alias), choice)

    @property
    def canaries(self) -> Canaries:
        """Revisions on trial."""
        return self._canaries

    def revision(self, name: str) -> RevisionName:
        """The revision that `name`, an adapter (its alias `live`), an alias or a revision, means now.

        Raises:
            InvalidInput: FIELD_INVALID for a malformed name.
            NotFound: ADAPTER_NOT_FOUND, also for an alias whose only revision was rejected.
            Unavailable: ADAPTER_NOT_READY while the first revision of an alias is being loaded.
        """
        if "/revisions/" in name:
            return RevisionName.parse(name, "prompt.adapter")
        alias = _alias(name)
        if alias in self._serving:
            return self._serving[alias]
        if alias not in self._wanted:
            raise NotFound(
                "ADAPTER_NOT_FOUND",
                f"{alias} is not known to this replica",
                hint="train an adapter first, or set its alias",
                metadata={"adapter": name},
            )
        pending = self._revisions.known.get(self._wanted[alias])
        if pending is not None and pending.rejection:
            raise replace(pending.refusal(), metadata={"adapter": name})
        raise Unavailable(
            "ADAPTER_NOT_READY",
            f"{alias} is being loaded",
            retry_after_seconds=_RETRY_SECONDS,
            metadata={"adapter": name},
        )

    def of(self, revision: RevisionName) -> list[str]:
        """The aliases that mean a revision here, by name."""
        return sorted(str(alias) for alias, serving in self._serving.items() if serving == revision)

    def serving(self) -> set[RevisionName]:
        """What aliases mean now."""
        return set(self._serving.values())

    def meant(self) -> set[RevisionName]:
        """What aliases mean now, or will once it is loaded, and what is on trial."""
        return {*self._serving.values(), *self._wanted.values(), *self._canaries.meant()}

    async def stop(self) -> None:
        """Ends promotions, and loads of canaries, that run."""
        await self._canaries.stop()
        for task in self._promotions:
            task.cancel()
        await asyncio.gather(*self._promotions, return_exceptions=True)

    async def _promote(self, alias: AliasName, revision: RevisionName) -> None:
        def is_wanted() -> bool:
            return self._wanted.get(alias) == revision

        if await load_while(self._revisions, revision, is_wanted) is None:
            return
        before = self._serving.get(alias)
        self._serving[alias] = revision
        if before != revision:
            self._meter.alias_flips(alias, revision)
        self._changes.ring()
        self._save(alias)
        _log.info("alias flipped", extra={"alias": str(alias), "revision": str(revision)})
        if before is not None and before != revision:
            await self._retire(before)

    def _release(self, revision: RevisionName) -> None:
        self._begin(self._retire(revision))

    async def _retire(self, revision: RevisionName) -> None:
        """Unless something else means it."""
        resident = self._revisions.known.get(revision)
        if resident is not None and revision not in self.meant():
            await self._revisions.retire(resident)

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._promotions.add(task)
        task.add_done_callback(self._promotions.discard)

    def _save(self, alias: AliasName) -> None:
        """What is kept of an alias that does not serve yet stays as it was."""
        if alias in self._serving:
            revision = self._serving[alias]
            self._saved[str(alias)] = SavedAlias(str(revision), self._digest(revision), self._saved_canary(alias))
            alias_file.write(self._state_file, self._saved)

    def _saved_canary(self, alias: AliasName) -> SavedCanary | None:
        trial = self._canaries.trial(alias)
        if trial is None:
            return None
        return SavedCanary(trial.split, self._digest(trial.split.revision), trial.verdict)

    def _digest(self, revision: RevisionName) -> str:
        """Empty while it is not known."""
        resident = self._revisions.known.get(revision)
        return resident.digest if resident is not None else ""


def _alias(name: str) -> AliasName:
    if "/aliases/" in name:
        return AliasName.parse(name, "prompt.adapter")
    adapter = AdapterName.parse(name, "prompt.adapter")
    return AliasName(adapter.tenant, adapter.id, LIVE_ALIAS)
