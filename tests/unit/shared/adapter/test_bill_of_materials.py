"""What an adapter is made of, as CycloneDX tells it."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from packageurl import PackageURL

from shared.adapter.bill_of_materials import adapter_bill
from shared.adapter.manifest import AdapterManifest, PackageFile
from shared.contracts.spec import ContractKind, ContractSpec
from shared.digest import sha256_bytes
from tests.cyclonedx_schema import assert_cyclonedx

NAME = "tenants/acme/adapters/a/revisions/3"
MANIFEST = AdapterManifest(
    base_model_id="tiny",
    base_model_digest=sha256_bytes(b"base"),
    prompt_digest=sha256_bytes(b"prompt"),
    contract_name="tenants/acme/contracts/answer",
    contract=ContractSpec(ContractKind.JSON, json_schema='{"type":"boolean"}'),
    rank=4,
    alpha=8.0,
    target_modules=("q_proj", "v_proj"),
    dataset_digest=sha256_bytes(b"dataset"),
    canaries=(),
    training={
        "seed": 7,
        "mode": "lora",
        "learning_rate": 2.5e-3,
        "recipe_version": 3,
        "torch_version": "2.13.0+cpu",
        "outlines_core_version": "0.2.14",
        "python_version": "3.11.9",
        "train_rows_digest": sha256_bytes(b"train"),
        "holdout_rows_digest": sha256_bytes(b"holdout"),
        "code_digest": sha256_bytes(b"code"),
        "chip": "AVX512",
    },
    metrics={"exact_match": 0.5, "field_f1": 0.75},
    files=(PackageFile("adapter_model.safetensors", 10, sha256_bytes(b"weights")),),
)


def _bill(manifest: AdapterManifest = MANIFEST, **options: str) -> dict[str, Any]:  # Any: JSON
    bill: dict[str, Any] = json.loads(adapter_bill(manifest, manifest.digest, name=NAME, **options))
    return bill


class TestAdapterBill:
    """The bill of a revision."""

    @pytest.mark.parametrize(
        "manifest",
        [
            MANIFEST,
            dataclasses.replace(MANIFEST, training={}, metrics={}, files=()),
            dataclasses.replace(MANIFEST, dataset_digest="unknown", contract_name="\x1b[31m\u202e"),
            dataclasses.replace(MANIFEST, training={"code_digest": 5, "x\n_version": "a b/../?#@%"}),
        ],
        ids=["whole", "bare", "odd texts", "odd settings"],
    )
    def test_keeps_the_official_schema(self, manifest: AdapterManifest) -> None:
        """Whatever a manifest holds, and each reference names something."""
        assert_cyclonedx(_bill(manifest))

    def test_is_the_same_bytes_each_time(self) -> None:
        """No time and no chance is in it; another adapter has another serial number."""
        other = dataclasses.replace(MANIFEST, rank=8)

        assert adapter_bill(MANIFEST, MANIFEST.digest, name=NAME) == adapter_bill(MANIFEST, MANIFEST.digest, name=NAME)
        assert _bill()["serialNumber"] != _bill(other)["serialNumber"]

    def test_names_every_content_by_its_hash(self) -> None:
        """The package, its files, the rows trained on and held out, the contract, the prompt template, the code."""
        bill = _bill()
        subject = bill["metadata"]["component"]

        hashes = {part["name"]: part["hashes"][0]["content"] for part in bill["components"] if "hashes" in part}

        expected = {
            "golden dataset": MANIFEST.dataset_digest,
            "tenants/acme/contracts/answer": MANIFEST.contract.digest,
            "prompt template and tokenizer": MANIFEST.prompt_digest,
            "train rows": sha256_bytes(b"train"),
            "holdout rows": sha256_bytes(b"holdout"),
            "code": sha256_bytes(b"code"),
        }
        assert hashes == {name: digest.removeprefix("sha256:") for name, digest in expected.items()}
        assert (subject["name"], subject["version"]) == (NAME, MANIFEST.digest)
        assert subject["components"][0]["hashes"][0]["content"] == MANIFEST.files[0].digest.removeprefix("sha256:")
        assert MANIFEST.base_model_digest in [part.get("version") for part in bill["components"]]

    def test_names_programs_by_package_url(self) -> None:
        """In the spelling of the registry they came from, so that a scanner finds what is known against them."""
        urls = [PackageURL.from_string(part["purl"]) for part in _bill()["components"] if "purl" in part]

        assert {(url.type, url.name, url.version) for url in urls} == {
            ("pypi", "torch", "2.13.0+cpu"),
            ("pypi", "outlines-core", "0.2.14"),
            ("generic", "python", "3.11.9"),
        }

    def test_tells_settings_metrics_and_who_signed(self) -> None:
        """All that a manifest has is somewhere in it."""
        bill = _bill(signature_key_id="sha256:abc")
        subject, workflow = bill["metadata"]["component"], bill["formulation"][0]["workflows"][0]

        settings = {entry["name"]: entry["value"] for entry in (*workflow["properties"], *subject["properties"])}

        told = {"seed": "7", "mode": "lora", "learning_rate": "0.0025", "recipe_version": "3", "chip": "AVX512"}
        told |= {"rank": "4", "alpha": "8.0", "target_modules": "q_proj,v_proj", "signature_key_id": "sha256:abc"}
        assert {f"goldsmith:{name}": value for name, value in told.items()}.items() <= settings.items()
        metrics = subject["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
        assert [(metric["type"], metric["value"], metric["slice"]) for metric in metrics] == [
            ("exact_match", "0.5", "holdout"),
            ("field_f1", "0.75", "holdout"),
        ]
        assert "goldsmith:signature_key_id" not in json.dumps(_bill())
