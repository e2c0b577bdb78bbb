"""The process that compiles one contract, under limits, and may be killed: `python -m shared.contracts.worker`.

Standard input: one JSON object (`spec`, `vocabulary_file`, `folder`, `memory_bytes`, `cpu_seconds`, `max_states`).
Exit status 0: the contract is in `folder`. 3: refused, the reason as JSON on standard output. 4: out of memory.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

from shared.child import EXIT_OUT_OF_MEMORY, EXIT_REFUSED
from shared.contracts.build import compile_contract
from shared.contracts.lower import preload
from shared.contracts.spec import ContractSpec
from shared.contracts.store import write_contract
from shared.contracts.vocabulary import TokenVocabulary
from shared.errors import InvalidInput


def main() -> int:
    """Compile what standard input asks for."""
    order: dict[str, Any] = json.loads(sys.stdin.buffer.read())  # Any: our own message, see the module's text
    spec = ContractSpec.from_canonical(order["spec"].encode())
    vocabulary = TokenVocabulary.from_json(Path(order["vocabulary_file"]).read_bytes())
    preload(spec.kind)
    resource.setrlimit(resource.RLIMIT_AS, (order["memory_bytes"], order["memory_bytes"]))
    # Ours can say where the time went; the kernel's ends native code that takes longer than it should.
    resource.setrlimit(resource.RLIMIT_CPU, (order["cpu_seconds"] + 1, order["cpu_seconds"] + 5))
    seconds = order["cpu_seconds"] - time.process_time()
    try:
        contract = compile_contract(spec, vocabulary, max_states=order["max_states"], seconds=seconds)
        write_contract(Path(order["folder"]), contract)
    except InvalidInput as err:
        json.dump(_refusal(err), sys.stdout)
        return EXIT_REFUSED
    except (MemoryError, SystemError) as err:
        # CPython 3.11 sets no exception when the stack of its frames cannot grow; the eval loop then raises this text.
        if isinstance(err, SystemError) and str(err) != "error return without exception set":
            raise
        return EXIT_OUT_OF_MEMORY
    return 0


def _refusal(err: InvalidInput) -> dict[str, Any]:  # Any: JSON values
    return {
        "reason": err.reason,
        "message": err.message,
        "hint": err.hint,
        "violations": [[violation.path, violation.description] for violation in err.violations],
        "metadata": dict(err.metadata),
    }


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # taking a large grammar apart object by object would take half a second more
