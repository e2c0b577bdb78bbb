"""What an adapter is made of, for whoever has to answer for it: a CycloneDX 1.6 bill of materials from its manifest.

The same manifest always gives the same bytes: no time, no random serial number. Written without a library: the one that
there is (cyclonedx-python-lib 11.12) has no model cards; its schema, the official one, is what tests hold this to.
Source: https://cyclonedx.org/docs/1.6/json/
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from shared.adapter.manifest import AdapterManifest, PackageFile
from shared.adapter.package import MANIFEST_NAME
from shared.digest import hex_part, is_digest

BILL_SUFFIX = ".cdx.json"
"""By which tools know the format (https://cyclonedx.org/specification/overview/#recognized-file-patterns)."""
Json = dict[str, Any]  # Any: a JSON object
_ADAPTER, _BASE, _MERGED, _CONTRACT, _TEMPLATE = "adapter", "base-model", "merged-model", "contract", "prompt-template"
_DATASET, _PROGRAM = "dataset", "program:"
_VERSION, _DIGEST = "_version", "_digest"
_NOT_PROGRAMS = frozenset({"recipe_version"})
_KINDS = {"train_rows": "dataset", "holdout_rows": "dataset", "code": "source-code"}
"""Of what the manifest names by a digest, in the format's terms."""
_NOT_ON_PYPI = frozenset({"python", "sqlite"})
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "goldsmith.dev")


@dataclass(frozen=True)
class MergedModel:
    """A base with an adapter folded in, as its bill names it."""

    model_id: str
    files: Sequence[PackageFile]
    method: str
    """How it was merged, in a sentence."""


def adapter_bill(manifest: AdapterManifest, digest: str, *, name: str, signature_key_id: str = "") -> bytes:
    """The bill of the package whose manifest has this digest, under the name by which its owner knows it."""
    return _bill(_adapter(manifest, digest, name, signature_key_id), _parts(manifest), manifest)


def merged_bill(manifest: AdapterManifest, digest: str, merged: MergedModel) -> bytes:
    """The bill of a merged model: its own files, and the base and the adapter that are in it."""
    adapter = _adapter(manifest, digest, f"{_ADAPTER} {hex_part(digest)[:12]}", "")
    card = adapter.pop("modelCard")
    subject = {
        "type": "machine-learning-model",
        "bom-ref": _MERGED,
        "name": merged.model_id,
        "description": merged.method,
        "components": [_file(file, "merged-file") for file in merged.files],
        "pedigree": {"ancestors": [_named(_base(manifest)), _named(adapter)]},
        "modelCard": card,
    }
    return _bill(subject, [adapter, *_parts(manifest)], manifest)


def _bill(subject: Json, parts: list[Json], manifest: AdapterManifest) -> bytes:
    refs = [part["bom-ref"] for part in parts]
    programs = [ref for ref in refs if ref.startswith(_PROGRAM)]
    inside = [ref for ref in refs if ref not in programs]
    body = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": subject},
        "components": parts,
        "dependencies": [{"ref": subject["bom-ref"], "dependsOn": inside}],
        "formulation": [_formulation(manifest, programs)],
    }
    text = json.dumps(body, sort_keys=True)
    body["serialNumber"] = uuid.uuid5(_NAMESPACE, text).urn
    return (json.dumps(body, indent=1, sort_keys=True) + "\n").encode()


def _adapter(manifest: AdapterManifest, digest: str, name: str, signature_key_id: str) -> Json:
    properties: dict[str, str | float] = {
        "rank": manifest.rank,
        "alpha": manifest.alpha,
        "use_rslora": manifest.use_rslora,
        "target_modules": ",".join(manifest.target_modules),
        "instruction_prompt_tokens": manifest.instruction_prompt_tokens,
        **({"signature_key_id": signature_key_id} if signature_key_id else {}),
    }
    return {
        "type": "machine-learning-model",
        "bom-ref": _ADAPTER,
        "name": name,
        "version": digest,
        "hashes": _hashes(digest),
        "description": f"LoRA adapter of {manifest.base_model_id}; its digest is that of {MANIFEST_NAME}",
        "components": [_file(file, "file") for file in manifest.files],
        "properties": _properties(properties),
        "modelCard": _model_card(manifest),
    }


def _model_card(manifest: AdapterManifest) -> Json:
    measured = sorted(manifest.metrics.items())
    return {
        "modelParameters": {
            "approach": {"type": "supervised"},
            "task": "text-generation",
            "modelArchitecture": "LoRA",
            "datasets": [{"ref": _DATASET}, *({"ref": f"training:{name}"} for name in _rows(manifest))],
            "inputs": [{"format": "text"}],
            "outputs": [{"format": str(manifest.contract.kind)}],
        },
        "quantitativeAnalysis": {
            "performanceMetrics": [{"type": kind, "value": repr(value), "slice": "holdout"} for kind, value in measured]
        },
    }


def _rows(manifest: AdapterManifest) -> list[str]:
    names = (name for name, kind in _KINDS.items() if kind == "dataset")
    return [name for name in names if _is_content(f"{name}{_DIGEST}", manifest.training.get(f"{name}{_DIGEST}", ""))]


def _parts(manifest: AdapterManifest) -> list[Json]:
    """Everything that went in: the base, what was learned, what was promised, and the programs."""
    data = [
        _data(_DATASET, "golden dataset", manifest.dataset_digest, kind="dataset"),
        _data(_CONTRACT, manifest.contract_name, manifest.contract.digest, kind="definition"),
        _data(_TEMPLATE, "prompt template and tokenizer", manifest.prompt_digest, kind="definition"),
    ]
    for key, value in sorted(manifest.training.items()):
        if _is_content(key, value):
            name = key.removesuffix(_DIGEST)
            data.append(_data(f"training:{name}", name.replace("_", " "), str(value), kind=_KINDS.get(name, "other")))
    return [_base(manifest), *data, *_programs(manifest)]


def _base(manifest: AdapterManifest) -> Json:
    return {
        "type": "machine-learning-model",
        "bom-ref": _BASE,
        "name": manifest.base_model_id,
        "version": manifest.base_model_digest,
        "description": "base model; its version is the SHA-256 over a line `NAME DIGEST` of config.json and each "
        "safetensors file",
    }


def _programs(manifest: AdapterManifest) -> Iterable[Json]:
    for key, value in sorted(manifest.training.items()):
        if not _is_program(key):
            continue
        name, version = key.removesuffix(_VERSION), str(value)
        is_library = name not in _NOT_ON_PYPI
        # https://github.com/package-url/purl-spec: PyPI's names in lower case, with dashes
        place = f"pypi/{re.sub('[-_.]+', '-', name).lower()}" if is_library else f"generic/{name}"
        yield {
            "type": "library" if is_library else "platform",
            "bom-ref": f"{_PROGRAM}{name}",
            "name": name,
            "version": version,
            "purl": f"pkg:{quote(place, safe='/')}@{quote(version, safe='')}",
        }


def _formulation(manifest: AdapterManifest, programs: list[str]) -> Json:
    """How it was made: every setting, seed and fact of the machine that is no component."""
    told = {
        key: value for key, value in manifest.training.items() if not _is_program(key) and not _is_content(key, value)
    }
    workflow = {
        "bom-ref": "training",
        "uid": "training",
        "name": "training",
        "taskTypes": ["build"],
        "resourceReferences": [{"ref": ref} for ref in (_BASE, _DATASET, *programs)],
        "properties": _properties(told),
    }
    return {"bom-ref": "formulation", "workflows": [workflow]}


def _is_program(key: str) -> bool:
    return key.endswith(_VERSION) and key not in _NOT_PROGRAMS


def _is_content(key: str, value: str | float) -> bool:
    return key.endswith(_DIGEST) and isinstance(value, str) and is_digest(value)


def _data(ref: str, name: str, digest: str, *, kind: str) -> Json:
    hashes = {"hashes": _hashes(digest)} if is_digest(digest) else {}
    return {"type": "data", "bom-ref": ref, "name": name, **hashes, "data": [{"type": kind, "name": name}]}


def _file(file: PackageFile, prefix: str) -> Json:
    size = _properties({"size_bytes": file.size_bytes})
    return {
        "type": "file",
        "bom-ref": f"{prefix}:{file.filename}",
        "name": file.filename,
        "hashes": _hashes(file.digest),
        "properties": size,
    }


def _named(component: Json) -> Json:
    """A component as an ancestor: without a reference and parts, which may stand in a bill only once."""
    return {key: component[key] for key in ("type", "name", "version")}


def _hashes(digest: str) -> list[Json]:
    return [{"alg": "SHA-256", "content": hex_part(digest)}]


def _properties(values: Mapping[str, str | float]) -> list[Json]:
    return [{"name": f"goldsmith:{name}", "value": str(value)} for name, value in sorted(values.items())]
