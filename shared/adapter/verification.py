"""What can be said of an adapter's package without any service: is it whole, who signed it, does its base take it."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path

from shared.adapter.manifest import AdapterManifest
from shared.adapter.package import MANIFEST_NAME, manifest_digest, read_package
from shared.adapter.signature import Signature, TrustedKeys, check_signature, read_signature
from shared.adapter.validate import check_prompt_template, validate_adapter
from shared.base_model import BaseModel
from shared.errors import DomainError, StateConflict
from shared.prompt import PromptRenderer

_LARGEST_RANK = 512
"""That vLLM 0.32 can be told to serve; what a replica serves is its own setting."""


class Outcome(enum.StrEnum):
    """Of one check."""

    PASSED = "passed"
    REFUSED = "refused"
    NOT_CHECKED = "not checked"
    """Nobody asked for it, or an earlier check failed."""


@dataclass(frozen=True)
class ServedBase:
    """A base model as a replica serves it: with the prompt template that its folder gives."""

    model: BaseModel
    prompt_digest: str

    @classmethod
    def load(cls, folder: Path) -> ServedBase:
        """Reads the folder. Raises what `BaseModel.load` and `PromptRenderer.load` raise."""
        model = BaseModel.load(folder)
        return cls(model, PromptRenderer.load(model).digest)


@dataclass(frozen=True)
class Check:
    """One question, and its answer in words; `reason` is that of the refusal, empty without one."""

    subject: str
    outcome: Outcome
    detail: str
    reason: str = ""


@dataclass(frozen=True)
class Verification:
    """Every check of one package, in the order in which they were made."""

    checks: tuple[Check, ...]
    manifest: AdapterManifest | None
    """None for what is no whole package."""
    digest: str
    """Of the manifest file, which is the revision's; empty where none could be read."""
    signature_key_id: str
    """Id of the key that a well-formed signature names, trusted or not; empty without one."""

    @property
    def is_sound(self) -> bool:
        """Whether nothing was refused."""
        return all(check.outcome is not Outcome.REFUSED for check in self.checks)


def verify_package(folder: Path, *, trusted: TrustedKeys | None, base: ServedBase | None) -> Verification:
    """Checks a package of an untrusted author; nothing of it is run, and what is wrong with it is never an exception.

    Without `trusted` a signature must be well formed if there is one, with it there must be one by a key of it.
    Cost: every byte is read once for its digest, and with `base` the weights once more.
    """
    try:
        digest, manifest, files = _files(folder)
        key_id, signature = _signature(folder, digest, trusted)
        weights = _weights(folder, manifest, base)
    except OSError as err:
        files = Check("files", Outcome.REFUSED, f"cannot be read: {err.strerror}", "ADAPTER_REJECTED")
        return Verification((files,), None, "", "")
    return Verification((files, signature, weights), manifest, digest, key_id)


def _files(folder: Path) -> tuple[str, AdapterManifest | None, Check]:
    digest = ""
    try:
        digest = manifest_digest(folder)
        manifest = read_package(folder, digest)
    except DomainError as err:
        return digest, None, _refusal("files", err)
    size = sum(file.size_bytes for file in manifest.files)
    told = f"{', '.join(file.filename for file in manifest.files)}: {size:,} bytes as {MANIFEST_NAME} says"
    return digest, manifest, Check("files", Outcome.PASSED, told)


def _signature(folder: Path, digest: str, trusted: TrustedKeys | None) -> tuple[str, Check]:
    subject, key_id = "signature", ""
    data = read_signature(folder)
    if not digest:
        return key_id, Check(subject, Outcome.NOT_CHECKED, f"there is no {MANIFEST_NAME} that it could be of")
    try:
        key_id = Signature.from_json(data).key_id if data is not None else ""
        if trusted is not None:
            check_signature(digest, data, trusted)
            return key_id, Check(subject, Outcome.PASSED, f"by {key_id}")
    except StateConflict as err:
        return key_id, _refusal(subject, err)
    told = f"names {key_id}; whether that is true takes its key" if key_id else "it is not signed"
    return key_id, Check(subject, Outcome.NOT_CHECKED, told)


def _weights(folder: Path, manifest: AdapterManifest | None, base: ServedBase | None) -> Check:
    subject = "weights"
    if manifest is None:
        return Check(subject, Outcome.NOT_CHECKED, "the files are not whole")
    if base is None:
        return Check(subject, Outcome.NOT_CHECKED, f"that takes the base model, {manifest.base_model_id}")
    try:
        check_prompt_template(manifest, base.prompt_digest)
        validate_adapter(folder, manifest, base.model, max_rank=_LARGEST_RANK)
    except DomainError as err:
        return _refusal(subject, err)
    return Check(
        subject, Outcome.PASSED, f"belong to {base.model.model_id} and its template, are complete, finite and not zero"
    )


def _refusal(subject: str, error: DomainError) -> Check:
    return Check(subject, Outcome.REFUSED, error.message, error.reason)
