"""The folder of a run that ended well."""

from __future__ import annotations

from pathlib import Path

from shared.adapter.manifest import AdapterManifest
from shared.adapter.package import CONFIG_NAME, WEIGHTS_NAME, write_package
from shared.contracts.spec import ContractKind, ContractSpec
from tests.unit.trainer_svc.evaluation_sample import write_evaluation
from trainer_svc.domain.run import RunFolder
from trainer_svc.domain.run_result import Evaluation, RunResult

SPEC = ContractSpec(ContractKind.JSON, json_schema='{"type":"boolean"}')
ZERO = "sha256:" + "0" * 64


def write_finished(folder: Path) -> None:
    """Below the folder, as `finished`: a package of no weights, an evaluation, and the result."""
    (folder / "finished").mkdir()
    (folder / "file").write_bytes(b"weights")
    manifest = AdapterManifest("tiny", ZERO, ZERO, "tenants/acme/contracts/c", SPEC, 4, 8.0, ("q_proj",), ZERO, ())
    sources = {WEIGHTS_NAME: folder / "file", CONFIG_NAME: folder / "file"}
    written = write_package(folder / "finished" / "package", manifest, sources)
    result = RunResult(written.digest, Evaluation(5, 0.5, 0.6, None, 100.0, 10.0, 0.1))
    (folder / "finished" / "result.json").write_bytes(result.to_json())
    write_evaluation(RunFolder(folder / "finished"))
