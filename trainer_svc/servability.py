"""`python -m trainer_svc.servability RUN_DIR PACKAGE`: the child process that shows an adapter to vLLM.

It leaves its outcome in the run's folder. Whatever ends it fails one job; it ends with the process that started it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from shared.adapter.package import read_package
from shared.base_model import BaseModel
from shared.contracts.compiler import ContractCompiler
from shared.errors import StateConflict
from shared.files import write_atomic
from shared.logs import configure
from trainer_svc.domain.run import EXIT_DONE, EXIT_USER_ERROR, RunFolder, RunSpec
from trainer_svc.worker import die_with_parent


def main(argv: list[str]) -> int:
    """Writes the proof to `RunFolder.servability`, or what vLLM refuses to `RunFolder.unservable`."""
    configure()
    die_with_parent()
    folder, package = RunFolder(Path(argv[0])), Path(argv[1])
    spec = RunSpec.from_json(folder.spec.read_bytes())
    base, manifest = BaseModel.load(Path(spec.base_model_dir)), read_package(package)
    contract = ContractCompiler(Path(spec.contract_cache_dir), base.vocabulary()).compile(manifest.contract)
    from trainer_svc.engine.vllm_replay import replay_in_vllm

    try:
        proof = replay_in_vllm(
            package, manifest, base, contract, max_lora_rank=spec.max_lora_rank, served_type=spec.served_type
        )
    except StateConflict as err:
        write_atomic(folder.unservable, err.message.encode())
        return EXIT_USER_ERROR
    write_atomic(folder.servability, proof.to_json())
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
