"""Keeps the fleet in step with the registry's aliases and the operator's pins, for as long as the process lives."""

from __future__ import annotations

import asyncio
import logging
import time

from inference_svc.app.fleet import Fleet
from inference_svc.app.ports import Registry
from inference_svc.app.quota_book import QuotaSource
from shared.names import AliasName

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0
"""Between looks at the pins, which may change while nobody asks for anything."""
_GRACE_SECONDS = 30.0
"""Until a pin that means nothing is reported: a registry tells its aliases when the process starts, and an operator may
pin an adapter that is being trained."""
_MAX_NAMED = 20
"""Aliases in a line of the log."""


async def follow_aliases(registry: Registry, fleet: Fleet) -> None:
    """Passes each alias, and each change, on to the fleet; never returns."""
    async for alias in registry.watch_aliases():
        fleet.point(alias.name, alias.revision, alias.canary)


async def follow_pins(quotas: QuotaSource, fleet: Fleet) -> None:
    """Passes the pins, and each change of them, on to the fleet; never returns.

    One that nobody knows is logged, once, when it had the time to become known.
    """
    told, since, logged = None, 0.0, frozenset[AliasName]()
    while True:
        pins = quotas.pins()
        if pins is not told:
            fleet.pin(pins)
            told, since = pins, time.monotonic()
        if time.monotonic() >= since + _GRACE_SECONDS:
            unknown = frozenset(fleet.unknown_pins)
            if unknown - logged:
                names = sorted(map(str, unknown))[:_MAX_NAMED]
                _log.warning("pinned aliases are not known", extra={"pins": len(unknown), "aliases": names})
            logged = unknown
        await asyncio.sleep(_LOOK_SECONDS)
