"""`python -m trainer_svc.servability RUN_DIR PACKAGE`: the child process that shows an adapter to vLLM.

First it proves that the adapter serves, then it has all prompts answered that the run's evaluation needs. It leaves
what it finds in the run's folder. Whatever ends it fails one job; it ends with the process that started it.
"""

from __future__ import annotations

import logging
import sys
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
    from trainer_svc.engine.memo import Memo
    from trainer_svc.engine.prompt_set import read_prompt_sets
    from trainer_svc.engine.vllm_replay import VllmReplay

    memo = Memo(folder.evaluations)
    missing = [asked for asked in read_prompt_sets(folder.prompt_sets) if not memo.has_answers(asked.name)]
    replay = VllmReplay(
        package, manifest, base, contract, max_lora_rank=spec.max_lora_rank, served_type=spec.served_type
    )
    answers = replay.start(missing)
    write_atomic(folder.servability, replay.prove(answers).to_json())
    for asked in missing:
        memo.keep_answers(asked.name, answers.answer(asked))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
