"""Which alias a name means."""

from __future__ import annotations

from shared.names import AdapterName, AliasName

LIVE_ALIAS = "live"
"""What is meant by who names an adapter alone."""


def alias_of(name: str) -> AliasName | None:
    """The alias that a request's `prompt.adapter` means, None for a revision. Raises `InvalidInput` (FIELD_INVALID)."""
    if "/revisions/" in name:
        return None
    if "/aliases/" in name:
        return AliasName.parse(name, "prompt.adapter")
    adapter = AdapterName.parse(name, "prompt.adapter")
    return AliasName(adapter.tenant, adapter.id, LIVE_ALIAS)
