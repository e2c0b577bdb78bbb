"""What a finished run gives: the digest of its package, and how the adapter did on held-out rows."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass

from pydantic import TypeAdapter

from trainer_svc.domain.evidence import Evidence


@dataclass(frozen=True)
class Evaluation:
    """Held-out metrics of an adapter as it is served; ratios are 0..1."""

    holdout_count: int
    exact_match: float
    field_f1: float
    execution_match: float | None
    instruction_prompt_tokens: float
    adapter_prompt_tokens: float
    holdout_loss: float


@dataclass(frozen=True)
class RunResult:
    """What a finished run gives."""

    manifest_digest: str
    evaluation: Evaluation
    evidence: Evidence | None = None
    """What its promotion rests on; None where the run measured none."""

    def to_json(self) -> bytes:
        """Inverse of `from_json`."""
        return json.dumps(dataclasses.asdict(self)).encode()

    @classmethod
    def from_json(cls, data: bytes) -> RunResult:
        """Reads `result.json`."""
        body = json.loads(data)
        evidence = TypeAdapter(Evidence | None).validate_python(body.get("evidence"))
        return cls(body["manifest_digest"], Evaluation(**body["evaluation"]), evidence)
