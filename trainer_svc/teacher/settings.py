"""The operator's file of teachers (TOML): who they are, how they are reached, and for whom."""

from __future__ import annotations

import ipaddress
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from shared.errors import FieldViolation, InvalidInput
from shared.names import is_id
from trainer_svc.domain.teacher import TeacherKind

_EVERYONE = "*"


class TeacherEntry(BaseModel):
    """One table `[teachers.NAME]` of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: TeacherKind
    url: str
    """`openai`: what comes before /chat/completions, for example https://host/v1. `goldsmith`: host:port."""
    model: str = ""
    """`openai`: its name there. `goldsmith`: an adapter; empty is the base model, under the dataset's contract."""
    tenants: Literal["*"] | tuple[str, ...]
    """Ids of tenants that it labels for, which hands it their rows; "*" are all."""
    api_key_file: Path | None = None
    """Holds the key or token. Read at each request, so that whoever renews it need not tell."""
    ca_file: Path | None = None
    """PEM file of the authorities that may vouch for it; without it the system's."""
    plaintext: bool = False
    """Whether rows and key may travel without TLS to another machine."""
    timeout_seconds: Annotated[float, Field(gt=0, le=3600)] = 120.0
    """Of one request."""
    attempts: Annotated[int, Field(ge=1, le=20)] = 6
    """To ask one question before the labelling pauses."""
    parallel_requests: Annotated[int, Field(ge=1, le=256)] = 4
    """Of all tenants together."""
    max_answer_tokens: Annotated[int, Field(ge=1, le=1 << 20)] = 4096
    """An answer that is longer is none."""
    token_limit_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"  # noqa: S105  # no password
    """`openai`: how the endpoint calls that limit."""
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.7
    """At 0 all answers are alike, and their agreement says nothing."""
    max_rows: Annotated[int, Field(ge=1, le=100_000)] = 5000
    """To label of one dataset."""
    price_per_answer: Annotated[Decimal, Field(ge=0, max_digits=12, decimal_places=6)] | None = None
    """In the currency of the trainer's other prices; without it what labels cost is not known."""

    def is_for(self, tenant: str) -> bool:
        """Whether the tenant of this id may ask it."""
        return self.tenants == _EVERYONE or tenant in self.tenants

    @model_validator(mode="after")
    def _check(self) -> Self:
        for tenant in () if self.tenants == _EVERYONE else self.tenants:
            if not is_id(tenant):
                raise ValueError(f"tenants: {tenant[:80]!r} is no id of a tenant")
        host, is_secured = _check_openai(self) if self.kind is TeacherKind.OPENAI else _check_goldsmith(self)
        if not is_secured and not self.plaintext and not _is_loopback(host):
            raise ValueError("url: is reached without TLS; take https, or set plaintext = true to allow it")
        for name, path in (("api_key_file", self.api_key_file), ("ca_file", self.ca_file)):
            if path is not None:
                _check_file(name, path)
        return self

    @property
    def is_secured(self) -> bool:
        """Whether it is reached over TLS."""
        if self.kind is TeacherKind.OPENAI:
            return urlsplit(self.url).scheme == "https"
        return not self.plaintext and (self.ca_file is not None or not _is_loopback(self.url.rpartition(":")[0]))


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    teachers: dict[str, TeacherEntry]


def load_teachers(path: Path) -> dict[str, TeacherEntry]:
    """Teachers by name.

    Raises:
        InvalidInput: FIELD_INVALID naming every fault. No value is repeated: one may be a key in the wrong place.
    """
    try:
        entries = _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8"))).teachers
    except OSError as err:
        raise _invalid([FieldViolation("teachers_file", f"{path} cannot be read: {err.strerror}")]) from err
    except ValidationError as err:
        faults = err.errors(include_input=False, include_url=False, include_context=False)
        raise _invalid([FieldViolation(".".join(map(str, fault["loc"])), fault["msg"]) for fault in faults]) from None
    except ValueError as err:  # of TOML and of UTF-8, which quote at most a character
        raise _invalid([FieldViolation("teachers_file", f"{path} is not TOML in UTF-8: {err}")]) from err
    wrong = [name for name in entries if not is_id(name)]
    if wrong:
        raise _invalid([FieldViolation(f"teachers.{name[:80]}", "is no valid id") for name in wrong])
    return entries


def read_key(path: Path) -> str:
    """The key in a file. Raises `OSError`, and `ValueError` where there is none that a header could hold."""
    key = path.read_text(encoding="ascii").strip()
    if not key or not key.isprintable():
        raise ValueError("holds no key of printable ASCII characters on one line")
    return key


def _invalid(faults: list[FieldViolation]) -> InvalidInput:
    text = "; ".join(f"{fault.path}: {fault.description}" for fault in faults)
    return InvalidInput("FIELD_INVALID", f"teachers: {text}", violations=faults)


def _check_openai(entry: TeacherEntry) -> tuple[str, bool]:
    """Host, and whether TLS leads there."""
    parts = urlsplit(entry.url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("url: must look like https://host/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("url: holds a user, a key or a query; a key belongs into the file that api_key_file names")
    if not entry.model:
        raise ValueError("model: is required of kind openai")
    return parts.hostname, parts.scheme == "https"


def _check_goldsmith(entry: TeacherEntry) -> tuple[str, bool]:
    host, _, port = entry.url.rpartition(":")
    if "/" in entry.url or not host or not port.isdecimal():
        raise ValueError("url: must look like host:port of kind goldsmith")
    if entry.plaintext and (entry.api_key_file is not None or entry.ca_file is not None):
        raise ValueError("plaintext: gRPC sends a token over TLS only: leave it out, or api_key_file and ca_file")
    if entry.api_key_file is not None and not entry.is_secured:
        raise ValueError("api_key_file: gRPC sends a token over TLS only: name the ca_file too")
    return host, entry.is_secured


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _check_file(name: str, path: Path) -> None:
    try:
        if name == "api_key_file":
            read_key(path)
        else:
            path.read_bytes()
    except OSError as err:
        raise ValueError(f"{name}: {path} cannot be read: {err.strerror}") from err
    except UnicodeDecodeError as err:
        raise ValueError(f"{name}: {path} is not ASCII") from err
    except ValueError as err:
        raise ValueError(f"{name}: {path} {err}") from err
