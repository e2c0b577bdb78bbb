"""What an adapter is, where it came from and what proves it: the manifest that travels with the weights."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import UnionType
from typing import Any

from shared.contracts.spec import ContractSpec
from shared.digest import sha256_bytes
from shared.errors import StateConflict
from shared.lazy import cached_property

FORMAT_VERSION = 1
"""Grows when a reader of the previous format could misread the manifest."""
_SHOWN_CHARACTERS = 200
_TYPES: Mapping[str, type | UnionType] = {
    **dict.fromkeys(("base_model_id", "base_model_digest", "prompt_digest", "dataset_digest"), str),
    **dict.fromkeys(("contract_name", "contract"), str),
    **dict.fromkeys(("rank", "instruction_prompt_tokens", "format_version"), int),
    **dict.fromkeys(("target_modules", "canaries", "files"), list),
    **dict.fromkeys(("training", "metrics"), dict),
    "alpha": int | float,
    "output_tokens_saved": int | float,
    "use_rslora": bool,
}
"""What JSON must give for each field of a manifest."""
_MAX_SAVED_TOKENS = 1e6
"""More than any context has."""


@dataclass(frozen=True)
class PackageFile:
    """One file beside the manifest."""

    filename: str
    size_bytes: int
    digest: str


@dataclass(frozen=True)
class Canary:
    """A prompt with the greedy answer that the trainer got under the contract; replayed before the adapter serves."""

    prompt_ids: tuple[int, ...]
    expected_ids: tuple[int, ...]


@dataclass(frozen=True)
class AdapterManifest:
    """The immutable facts of one adapter revision. Its canonical JSON is what `digest` covers."""

    base_model_id: str
    base_model_digest: str
    prompt_digest: str
    contract_name: str
    contract: ContractSpec
    rank: int
    alpha: float
    target_modules: tuple[str, ...]
    dataset_digest: str
    """Of what the rows were made from: the upload's bytes, and a teacher's answers; `training` has the rows' own."""
    canaries: tuple[Canary, ...]
    instruction_prompt_tokens: int = 0
    """Mean prompt tokens that a request saves against the instruction prompt; 0 when there is none. Negative where that
    is shorter than what the base's template puts in its place, such as a default system prompt."""
    output_tokens_saved: float = 0.0
    """Mean output tokens, over the rows held out, of the base model with the instruction prompt less those of the
    adapter: negative where the adapter writes more, 0 where nobody measured. Left out of the JSON at 0, so that such
    packages can be read by earlier releases, which refuse one that has it."""
    use_rslora: bool = False
    training: Mapping[str, str | int | float] = field(default_factory=dict)
    """What a rebuild needs beside the fields above: settings as filled in, seeds, thread count; digests of the rows
    trained on and held out, of database, instruction prompt and code; versions of recipe and libraries; the machine."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    files: tuple[PackageFile, ...] = ()

    def __post_init__(self) -> None:
        """Refuses (`ValueError`) figures that nobody can have measured."""
        for name in ("instruction_prompt_tokens", "output_tokens_saved"):
            if not abs(getattr(self, name)) <= _MAX_SAVED_TOKENS:
                raise ValueError(f"{name} is {getattr(self, name)}")

    def to_json(self) -> bytes:
        """Canonical bytes: sorted keys, one line."""
        body = dataclasses.asdict(self)
        if not self.output_tokens_saved:
            del body["output_tokens_saved"]
        body["contract"] = self.contract.canonical().decode()
        body["format_version"] = FORMAT_VERSION
        return json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()

    @cached_property
    def digest(self) -> str:
        """`sha256:<hex>` over `to_json()`: the identity of the revision everywhere."""
        return sha256_bytes(self.to_json())

    @classmethod
    def from_json(cls, data: bytes) -> AdapterManifest:
        """Reads a manifest.

        Raises:
            StateConflict: ADAPTER_REJECTED when it is not one, or of a newer format.
        """
        try:
            body: dict[str, Any] = json.loads(data)  # Any: checked field by field below
            _check_types(body)
            if body.pop("format_version") != FORMAT_VERSION:
                raise _rejected("manifest has another format version")
            body["contract"] = ContractSpec.from_canonical(body["contract"].encode())
            body["target_modules"] = tuple(map(str, body["target_modules"]))
            body["canaries"] = tuple(Canary(tuple(c["prompt_ids"]), tuple(c["expected_ids"])) for c in body["canaries"])
            body["files"] = tuple(PackageFile(f["filename"], f["size_bytes"], f["digest"]) for f in body["files"])
            return cls(**body)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as err:
            raise _rejected(f"manifest does not parse: {str(err)[:_SHOWN_CHARACTERS]}") from err


def _check_types(body: Any) -> None:  # Any: a stranger's JSON
    """Raises ValueError or OverflowError for fields that another part of the program would take for something else."""
    if not isinstance(body, dict):
        raise ValueError("it is not an object")  # noqa: TRY004  # every fault of a manifest is a ValueError here
    for name, kind in _TYPES.items():
        value = body.get(name)
        if name in body and (not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)):
            raise ValueError(f"{name} has another type")
    answers = [ids for canary in body.get("canaries", ()) for ids in canary.values()]
    if not all(type(token) is int for ids in answers for token in ids):
        raise ValueError("canaries hold something else than token ids")
    if not all(isinstance(value, int | float) for value in body.get("metrics", {}).values()):
        raise ValueError("metrics hold something else than numbers")
    # JSON's integers may be larger than any float: OverflowError.
    if not all(math.isfinite(value) for value in (body.get("alpha", 0), *body.get("metrics", {}).values())):
        raise ValueError("alpha and metrics must be finite")
    if not all(isinstance(value, str | int | float) for value in body.get("training", {}).values()):
        raise ValueError("training holds something else than texts and numbers")


def _rejected(text: str) -> StateConflict:
    return StateConflict("ADAPTER_REJECTED", text)
