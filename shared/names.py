"""Resource names: the only place that knows their syntax (https://google.aip.dev/122)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Self

from shared.errors import FieldViolation, InvalidInput, NotFound

_ID = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_ID_RULE = "must match [a-z]([a-z0-9-]{0,61}[a-z0-9])?"
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")


def invalid_field(path: str, description: str) -> InvalidInput:
    """An `InvalidInput` about one field."""
    return InvalidInput("FIELD_INVALID", f"{path}: {description}", violations=[FieldViolation(path, description)])


def absent(name: str) -> NotFound:
    """The error for a resource that is not there, or is not the caller's, which must not be told apart."""
    return NotFound("RESOURCE_NOT_FOUND", f"{name} does not exist", metadata={"name": name})


def is_id(text: str) -> bool:
    """Whether `text` is a valid resource id."""
    return _ID.fullmatch(text) is not None


def check_id(text: str, field: str) -> str:
    """`text` if it is a valid resource id.

    Raises:
        InvalidInput: FIELD_INVALID naming `field`.
    """
    if not is_id(text):
        raise invalid_field(field, f"{_ID_RULE}, got {text[:80]!r}")
    return text


def _segments(text: str, pattern: str, field: str) -> list[str]:
    """Variable parts of `text` under `pattern` such as `tenants/*/adapters/*`."""
    wanted, got = pattern.split("/"), text.split("/")
    if len(wanted) != len(got) or any(w not in ("*", g) for w, g in zip(wanted, got, strict=True)):
        raise invalid_field(field, f"must look like {pattern}, got {text[:120]!r}")
    return [g for w, g in zip(wanted, got, strict=True) if w == "*"]


@dataclass(frozen=True, order=True)
class TenantName:
    """`tenants/{tenant}`."""

    tenant: str

    @classmethod
    def parse(cls, text: str, field: str = "parent") -> Self:
        """Reads `tenants/{tenant}`; raises `InvalidInput` naming `field`."""
        (tenant,) = _segments(text, "tenants/*", field)
        return cls(check_id(tenant, field))

    def __str__(self) -> str:
        return f"tenants/{self.tenant}"


@dataclass(frozen=True, order=True)
class _Child:
    """A resource directly below a tenant; subclasses name the collection."""

    COLLECTION: ClassVar[str]

    tenant: str
    id: str

    @classmethod
    def parse(cls, text: str, field: str = "name") -> Self:
        """Reads `tenants/{tenant}/COLLECTION/{id}`; raises `InvalidInput` naming `field`."""
        tenant, own = _segments(text, f"tenants/*/{cls.COLLECTION}/*", field)
        return cls(check_id(tenant, field), check_id(own, field))

    @property
    def parent(self) -> TenantName:
        """The owning tenant."""
        return TenantName(self.tenant)

    def __str__(self) -> str:
        return f"tenants/{self.tenant}/{self.COLLECTION}/{self.id}"


class ContractName(_Child):
    """`tenants/{tenant}/contracts/{id}`."""

    COLLECTION = "contracts"


class DatasetName(_Child):
    """`tenants/{tenant}/datasets/{id}`."""

    COLLECTION = "datasets"


class JobName(_Child):
    """`tenants/{tenant}/jobs/{id}`."""

    COLLECTION = "jobs"


class AdapterName(_Child):
    """`tenants/{tenant}/adapters/{id}`."""

    COLLECTION = "adapters"


@dataclass(frozen=True, order=True)
class RevisionName:
    """`tenants/{tenant}/adapters/{adapter}/revisions/{number}`; numbers count from 1."""

    tenant: str
    adapter: str
    number: int

    @classmethod
    def parse(cls, text: str, field: str = "name") -> Self:
        """Reads a revision name; raises `InvalidInput` naming `field`."""
        tenant, adapter, number = _segments(text, "tenants/*/adapters/*/revisions/*", field)
        if not _NUMBER.fullmatch(number):
            raise invalid_field(field, f"revision must be a number from 1, got {number[:20]!r}")
        return cls(check_id(tenant, field), check_id(adapter, field), int(number))

    @property
    def adapter_name(self) -> AdapterName:
        """The adapter this is a state of."""
        return AdapterName(self.tenant, self.adapter)

    def __str__(self) -> str:
        return f"tenants/{self.tenant}/adapters/{self.adapter}/revisions/{self.number}"


@dataclass(frozen=True, order=True)
class AliasName:
    """`tenants/{tenant}/adapters/{adapter}/aliases/{alias}`."""

    tenant: str
    adapter: str
    alias: str

    @classmethod
    def parse(cls, text: str, field: str = "name") -> Self:
        """Reads an alias name; raises `InvalidInput` naming `field`."""
        tenant, adapter, alias = _segments(text, "tenants/*/adapters/*/aliases/*", field)
        return cls(check_id(tenant, field), check_id(adapter, field), check_id(alias, field))

    @property
    def adapter_name(self) -> AdapterName:
        """The adapter whose revision it names."""
        return AdapterName(self.tenant, self.adapter)

    def __str__(self) -> str:
        return f"tenants/{self.tenant}/adapters/{self.adapter}/aliases/{self.alias}"


@dataclass(frozen=True, order=True)
class PreferenceStudyName:
    """`tenants/{tenant}/adapters/{adapter}/preferenceStudies/{id}`."""

    tenant: str
    adapter: str
    id: str

    @classmethod
    def parse(cls, text: str, field: str = "name") -> Self:
        """Reads a study's name; raises `InvalidInput` naming `field`."""
        tenant, adapter, own = _segments(text, "tenants/*/adapters/*/preferenceStudies/*", field)
        return cls(check_id(tenant, field), check_id(adapter, field), check_id(own, field))

    @property
    def adapter_name(self) -> AdapterName:
        """The adapter whose revisions it compares."""
        return AdapterName(self.tenant, self.adapter)

    def __str__(self) -> str:
        return f"tenants/{self.tenant}/adapters/{self.adapter}/preferenceStudies/{self.id}"


@dataclass(frozen=True, order=True)
class PromotionPolicyName:
    """`tenants/{tenant}/adapters/{adapter}/promotionPolicy`; each adapter has one (https://google.aip.dev/156)."""

    tenant: str
    adapter: str

    @classmethod
    def parse(cls, text: str, field: str = "name") -> Self:
        """Reads the name of a policy; raises `InvalidInput` naming `field`."""
        tenant, adapter = _segments(text, "tenants/*/adapters/*/promotionPolicy", field)
        return cls(check_id(tenant, field), check_id(adapter, field))

    @property
    def adapter_name(self) -> AdapterName:
        """The adapter whose revisions it holds back."""
        return AdapterName(self.tenant, self.adapter)

    def __str__(self) -> str:
        return f"tenants/{self.tenant}/adapters/{self.adapter}/promotionPolicy"
