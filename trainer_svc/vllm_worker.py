"""`python -m trainer_svc.vllm_worker RUN_DIR PACKAGE`: the process of a run that asks vLLM.

First it proves that the adapter serves, then it has all prompts answered that the run's evaluation needs. It leaves
what it finds in the run's folder. Whatever ends it fails one job; it ends with the process that started it.
"""

from __future__ import annotations

import dataclasses
import logging
import sys
import time
from pathlib import Path

from shared.adapter.package import read_package
from shared.base_model import BaseModel
from shared.contracts.compiler import ContractCompiler
from shared.errors import StateConflict
from shared.files import write_atomic
from shared.logs import configure
from trainer_svc.domain.fault import fault_of
from trainer_svc.domain.run import EXIT_DONE, EXIT_USER_ERROR, RunFolder, RunSpec
from trainer_svc.worker import FAULT_STATUS, die_with_parent

_log = logging.getLogger(__name__)


def main(argv: list[str]) -> int:
    """Writes the proof to `RunFolder.servability`, or what vLLM refuses to `RunFolder.unservable`; then the answers."""
    configure()
    die_with_parent()
    folder, package = RunFolder(Path(argv[0])), Path(argv[1])
    try:
        _show(folder, package)
    except StateConflict as err:
        write_atomic(folder.unservable, err.message.encode())
        return EXIT_USER_ERROR
    except Exception as err:
        fault = fault_of(err)
        if fault is None:
            raise
        _log.exception("vLLM could not be asked")
        return FAULT_STATUS[fault]
    return EXIT_DONE


def _show(folder: RunFolder, package: Path) -> None:
    spec = RunSpec.from_json(folder.spec.read_bytes())
    base, manifest = BaseModel.load(Path(spec.base_model_dir)), read_package(package)
    contract = ContractCompiler(Path(spec.contract_cache_dir), base.vocabulary()).compile(manifest.contract)
    from trainer_svc.engine.base import dtype_of
    from trainer_svc.engine.memo import Memo
    from trainer_svc.engine.prompt_set import read_prompt_sets
    from trainer_svc.engine.vllm_answers import VllmAnswers
    from trainer_svc.engine.vllm_replay import check_configuration, replay

    memo = Memo(folder.evaluations)
    missing = [asked for asked in read_prompt_sets(folder.prompt_sets) if not memo.has_answers(asked.name)]
    check_configuration(package, base, spec.max_lora_rank)
    answers = VllmAnswers(
        base, contract, dtype=dtype_of(spec.served_type), max_lora_rank=spec.max_lora_rank,
        context_tokens=min(spec.served_context_tokens, base.max_positions),
        sequences=max(len(manifest.canaries), *(len(asked.prompts) for asked in missing), 1),
        pulse=folder.vllm_pulse.touch,
    )  # fmt: skip
    proof = replay(answers, package, manifest, contract, spec.max_lora_rank)
    write_atomic(folder.servability, proof.to_json())
    began = time.monotonic()
    for asked in missing:
        memo.keep_answers(asked.name, answers.answer(asked))
    took = time.monotonic() - began
    write_atomic(folder.servability, dataclasses.replace(proof, answering_seconds=took).to_json())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
