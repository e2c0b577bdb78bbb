"""Each tenant's quota: the defaults, and a file of the operator's that is read again whenever it changes."""

from __future__ import annotations

import dataclasses
import difflib
import json
import logging
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from inference_svc.domain.quota import Quota
from shared.errors import FieldViolation, InvalidInput
from shared.names import check_id

_log = logging.getLogger(__name__)

MAX_FILE_BYTES = 4 << 20
"""Forty thousand tenants; a larger file is a mistake, and it is read on the event loop."""
_MAX_NUMBER = 10**15
"""Whole numbers above are not exact as floats, and mean infinity."""
_FIELDS = tuple(field.name for field in dataclasses.fields(Quota))


class QuotaSource(Protocol):
    """Knows the quota of every tenant."""

    def of(self, tenant: str) -> Quota:
        """The limits in force now."""


class OneQuota:
    """The same for all."""

    def __init__(self, quota: Quota) -> None:
        self._quota = quota

    def of(self, tenant: str) -> Quota:
        """That quota."""
        return self._quota


class QuotaFile:
    """Quotas from a TOML or JSON file over the defaults.

        [default]                 # of tenants that have no table of their own
        requests_per_second = 10

        [tenants.acme]            # over [default], field by field
        weight = 2
        requests_per_second = inf

    Fields are those of `Quota`; `inf` (in JSON `Infinity`) lifts a limit. The file is looked at with every request and
    read when it is another one. One that is broken or gone changes nothing: the quotas stay as they were, and the log
    says why, once.

    Raises:
        InvalidInput: FIELD_INVALID when it is broken at the start, with the path of every wrong field.
    """

    def __init__(self, path: Path, defaults: Quota) -> None:
        self._path, self._defaults = path, defaults
        self._seen = _signature(path)
        self._default, self._tenants = _read(path, defaults)

    def of(self, tenant: str) -> Quota:
        """The limits that the file has now, or had when it last was whole."""
        signature = _signature(self._path)
        if signature != self._seen:
            self._seen = signature
            try:
                self._default, self._tenants = _read(self._path, self._defaults)
            except InvalidInput as err:
                _log.error("quotas not changed", extra={"detail": str(err)})
            else:
                _log.info("quotas read", extra={"path": str(self._path), "tenants": len(self._tenants)})
        return self._tenants.get(tenant, self._default)


def _signature(path: Path) -> tuple[int, int, int] | None:
    """Differs when the file does: written in place, replaced by a rename, or gone (None)."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _read(path: Path, defaults: Quota) -> tuple[Quota, dict[str, Quota]]:
    """The default and the quotas by tenant. Raises `InvalidInput` with all faults."""
    violations: list[FieldViolation] = []
    tables = _parse(path)
    violations += [_unknown(key, ("default", "tenants")) for key in tables if key not in ("default", "tenants")]
    default = _quota(tables.get("default", {}), "default", defaults, violations)
    tenants, own = tables.get("tenants", {}), {}
    if isinstance(tenants, Mapping):
        for tenant, table in tenants.items():
            try:
                check_id(tenant, f"tenants.{tenant}")
            except InvalidInput as err:
                violations += err.violations
            own[tenant] = _quota(table, f"tenants.{tenant}", default, violations)
    else:
        violations.append(FieldViolation("tenants", "must be a table of tenants"))
    if violations:
        raise _broken(path, violations)
    return default, own


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
        if name not in _FIELDS:
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
