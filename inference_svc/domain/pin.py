"""Adapters that always have a place in the engine: those of tenants with a latency objective."""

from __future__ import annotations

from inference_svc.domain.alias_name import LIVE_ALIAS
from shared.errors import FieldViolation, InvalidInput
from shared.names import AliasName, check_id, invalid_field


def read_pins(tenant: str, value: object, field: str) -> frozenset[AliasName]:
    """The aliases that a list pins: each `ADAPTER`, which means its alias `live`, or `ADAPTER/ALIAS`.

    Whatever revision such an alias means now is pinned, and no other.

    Raises:
        InvalidInput: FIELD_INVALID with the path of every entry that is no name or is there twice, below `field`.
    """
    if not isinstance(value, list):
        raise invalid_field(field, f"must be a list of adapters, got {repr(value)[:40]}")
    violations: list[FieldViolation] = []
    pins: set[AliasName] = set()
    for place, entry in enumerate(value):
        where = f"{field}[{place}]"
        try:
            pin = _pin(tenant, entry, where)
        except InvalidInput as err:
            violations += err.violations
            continue
        if pin in pins:
            violations.append(FieldViolation(where, f"{entry} is pinned twice"))
        pins.add(pin)
    if violations:
        raise InvalidInput("FIELD_INVALID", f"{field}: {violations[0].description}", violations=violations)
    return frozenset(pins)


def _pin(tenant: str, entry: object, where: str) -> AliasName:
    if not isinstance(entry, str) or entry.count("/") > 1:
        raise invalid_field(where, f"must be ADAPTER or ADAPTER/ALIAS, got {repr(entry)[:80]}")
    adapter, slash, alias = entry.partition("/")
    return AliasName(tenant, check_id(adapter, where), check_id(alias, where) if slash else LIVE_ALIAS)
