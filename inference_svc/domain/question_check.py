"""What every question must hold, whoever answers it."""

from __future__ import annotations

from inference_svc.domain.generation import Question
from shared.names import invalid_field

MAX_INPUT_BYTES = 64 << 10
MAX_TEMPERATURE = 2.0


def check_question(question: Question) -> None:
    """Raises `InvalidInput` (FIELD_INVALID) naming the field."""
    if not question.input:
        raise invalid_field("prompt.input", "is required")
    for path, text in (("prompt.input", question.input), ("prompt.instructions", question.instructions)):
        if len(text.encode()) > MAX_INPUT_BYTES:
            raise invalid_field(path, f"has more than {MAX_INPUT_BYTES} bytes")
    sampling = question.sampling
    if not 0 <= sampling.temperature <= MAX_TEMPERATURE:
        raise invalid_field("sampling.temperature", f"must lie in [0, {MAX_TEMPERATURE}], got {sampling.temperature}")
    if not 0 < sampling.top_p <= 1:
        raise invalid_field("sampling.top_p", f"must lie in (0, 1], got {sampling.top_p}")
    if sampling.max_output_tokens is not None and sampling.max_output_tokens < 1:
        raise invalid_field("sampling.max_output_tokens", f"must be at least 1, got {sampling.max_output_tokens}")
