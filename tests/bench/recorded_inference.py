"""`python -m tests.bench.recorded_inference`: the inference service; the token ids of each answer go to a file, too.

Its API tells texts, and one text can be written in several ways of tokens. Flags are those of `inference_svc`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

from inference_svc.__main__ import main
from inference_svc.app.ports import EngineCall, EngineChunk
from inference_svc.engine.vllm_engine import VllmEngine

RECORD_VARIABLE = "GOLDSMITH_BENCH_TOKEN_RECORD"
_OWN_REQUESTS = ("canary-", "trial-")
"""Of the service itself: proofs of adapters, and of suspicions."""

TokenIds = tuple[int, ...]


def read_record(path: Path) -> dict[TokenIds, TokenIds]:
    """The latest answer to each prompt."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return {tuple(prompt): tuple(answer) for prompt, answer in map(json.loads, lines)}


def record_answers(path: Path) -> None:
    """From now on every answer of this process's engine is appended to a file."""
    generate = VllmEngine.generate

    async def recorded(engine: VllmEngine, call: EngineCall) -> AsyncGenerator[EngineChunk]:
        answer: list[int] = []
        async with aclosing(generate(engine, call)) as chunks:
            async for chunk in chunks:
                answer += chunk.token_ids
                if chunk.finished and not call.request_id.startswith(_OWN_REQUESTS):
                    with path.open("a", encoding="utf-8") as file:
                        file.write(json.dumps([list(call.prompt_ids), answer]) + "\n")
                yield chunk

    VllmEngine.generate = recorded  # type: ignore[method-assign]  # nothing else hears of tokens


if __name__ == "__main__":
    record_answers(Path(os.environ[RECORD_VARIABLE]))
    sys.exit(main())
