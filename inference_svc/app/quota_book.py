"""Each tenant's quota and pins: the defaults, and a file of the operator's that is read again whenever it changes."""

from __future__ import annotations

import dataclasses
import difflib
import json
import logging
import tomllib
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from inference_svc.domain.pin import read_pins
from inference_svc.domain.quota import Quota
from shared.errors import FieldViolation, InvalidInput
from shared.names import AliasName, check_id

_log = logging.getLogger(__name__)

MAX_FILE_BYTES = 4 << 20
"""Forty thousand tenants; a larger file is a mistake, and it is read on the event loop."""
_MAX_NUMBER = 10**15
"""Whole numbers above are not exact as floats, and mean infinity."""
_FIELDS = tuple(field.name for field in dataclasses.fields(Quota))
_PINS = "pinned_adapters"


class QuotaSource(Protocol):
    """Knows the quota of every tenant, and which adapters are pinned."""

    def of(self, tenant: str) -> Quota:
        """The limits in force now."""

    def pins(self) -> AbstractSet[AliasName]:
        """Whose revisions always have a place in the engine; the same object while nothing changes."""


class OneQuota:
    """The same for all."""

    def __init__(self, quota: Quota) -> None:
        self._quota = quota

    def of(self, tenant: str) -> Quota:
        """That quota."""
        return self._quota

    def pins(self) -> AbstractSet[AliasName]:
        """None."""
        return _NO_PINS


_NO_PINS: frozenset[AliasName] = frozenset()


@dataclass(frozen=True)
class _Book:
    """What a quota file says."""

    default: Quota
    tenants: Mapping[str, Quota]
    pins: frozenset[AliasName]


class QuotaFile:
    """Quotas from a TOML or JSON file over the defaults.

        [default]                 # of tenants that have no table of their own
        requests_per_second = 10

        [tenants.acme]            # over [default], field by field
        weight = 2
        requests_per_second = inf
        pinned_adapters = ["invoices", "orders/canary"]

    Fields are those of `Quota`; `inf` (in JSON `Infinity`) lifts a limit. A tenant's own table may pin adapters (their
    alias `live`) and aliases, `max_pins` of them over all tenants: what they mean now always has a place in the engine.
    The file is looked at with every request and read when it is another one. One that is broken or gone changes
    nothing: quotas and pins stay as they were, and the log says why, once.

    Raises:
        InvalidInput: FIELD_INVALID when it is broken at the start, with the path of every wrong field.
    """

    def __init__(self, path: Path, defaults: Quota, *, max_pins: int = 0) -> None:
        self._path, self._defaults, self._max_pins = path, defaults, max_pins
        self._seen = _signature(path)
        self._book = _read(path, defaults, max_pins)

    def of(self, tenant: str) -> Quota:
        """The limits that the file has now, or had when it last was whole."""
        book = self._now()
        return book.tenants.get(tenant, book.default)

    def pins(self) -> AbstractSet[AliasName]:
        """The pins that the file has now, or had when it last was whole."""
        return self._now().pins

    def _now(self) -> _Book:
        signature = _signature(self._path)
        if signature != self._seen:
            self._seen = signature
            try:
                self._book = _read(self._path, self._defaults, self._max_pins)
            except InvalidInput as err:
                _log.error("quotas not changed", extra={"detail": str(err)})
            else:
                counts = {"tenants": len(self._book.tenants), "pins": len(self._book.pins)}
                _log.info("quotas read", extra={"path": str(self._path), **counts})
        return self._book


def _signature(path: Path) -> tuple[int, int, int] | None:
    """Differs when the file does: written in place, replaced by a rename, or gone (None)."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _read(path: Path, defaults: Quota, max_pins: int) -> _Book:
    """What the file says. Raises `InvalidInput` with all faults."""
    violations: list[FieldViolation] = []
    tables = _parse(path)
    violations += [_unknown(key, ("default", "tenants")) for key in tables if key not in ("default", "tenants")]
    default = _quota(tables.get("default", {}), "default", defaults, violations)
    tenants, own = tables.get("tenants", {}), {}
    pins: frozenset[AliasName] = frozenset()
    if isinstance(tenants, Mapping):
        for tenant, table in tenants.items():
            try:
                check_id(tenant, f"tenants.{tenant}")
            except InvalidInput as err:
                violations += err.violations
            limits = table
            if isinstance(table, Mapping) and _PINS in table:
                pins |= _pins(tenant, table[_PINS], violations)
                limits = {name: value for name, value in table.items() if name != _PINS}
            own[tenant] = _quota(limits, f"tenants.{tenant}", default, violations)
    else:
        violations.append(FieldViolation("tenants", "must be a table of tenants"))
    if len(pins) > max_pins:
        violations.append(
            FieldViolation(
                f"tenants.*.{_PINS}",
                f"{len(pins)} adapters are pinned in all, at most {max_pins} can be: resident_adapters less one place "
                "for all the others",
            )
        )
    if violations:
        raise _broken(path, violations)
    return _Book(default, own, pins)


def _pins(tenant: str, value: object, violations: list[FieldViolation]) -> frozenset[AliasName]:
    """What a tenant's list pins; its faults are added to `violations`."""
    try:
        return read_pins(tenant, value, f"tenants.{tenant}.{_PINS}")
    except InvalidInput as err:
        violations += err.violations
        return _NO_PINS


def _parse(path: Path) -> Mapping[str, object]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise _broken(path, [FieldViolation("", f"has more than {MAX_FILE_BYTES} bytes")])
        text = data.decode()
        tables = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as err:  # ValueError: not UTF-8, not TOML, not JSON
        raise _broken(path, [FieldViolation("", f"cannot be read: {err}")]) from err
    if not isinstance(tables, Mapping):
        raise _broken(path, [FieldViolation("", "must hold an object")])
    return tables


def _quota(table: object, where: str, below: Quota, violations: list[FieldViolation]) -> Quota:
    """`below` with the fields of a table; its faults are added to `violations`."""
    if not isinstance(table, Mapping):
        violations.append(FieldViolation(where, "must be a table"))
        return below
    faults = [*_faults(table)]
    if not faults:
        try:
            return dataclasses.replace(below, **{name: float(value) for name, value in table.items()})
        except InvalidInput as err:
            faults = [*err.violations]
    violations += [FieldViolation(f"{where}.{fault.path}", fault.description) for fault in faults]
    return below


def _faults(table: Mapping[str, object]) -> Iterator[FieldViolation]:
    for name, value in table.items():
        if name == _PINS:
            yield FieldViolation(name, "an adapter has one owner: pin it in the table of its tenant")
        elif name not in _FIELDS:
            yield _unknown(name, _FIELDS)
        elif isinstance(value, bool) or not isinstance(value, int | float):
            yield FieldViolation(name, f"must be a number, got {repr(value)[:40]}")
        elif isinstance(value, int) and abs(value) > _MAX_NUMBER:
            yield FieldViolation(name, f"must be at most {_MAX_NUMBER:g}, or inf")


def _unknown(name: str, known: tuple[str, ...]) -> FieldViolation:
    near = difflib.get_close_matches(name, known, 1)
    return FieldViolation(
        name, "unknown" + (f", did you mean {near[0]}?" if near else f", known are {', '.join(known)}")
    )


def _broken(path: Path, violations: list[FieldViolation]) -> InvalidInput:
    text = "; ".join(f"{v.path}: {v.description}" if v.path else v.description for v in violations)
    return InvalidInput("FIELD_INVALID", f"quota file {path}: {text}", violations=violations)
