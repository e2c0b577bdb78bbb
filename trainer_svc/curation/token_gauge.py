"""Measures golden rows in tokens of the base model, and finds those that cannot be trained on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np

from trainer_svc.curation.compiled_example import Compiled, ExampleCompiler, Proof
from trainer_svc.domain.dataset import CheckedRow, Finding
from trainer_svc.domain.token_length import Quantiles, TokenLengths

_SHARES = (0.5, 0.95, 0.99, 1.0)
_MAX_LENGTHS = 1000
"""Lengths of single rows that are kept: a few kilobytes tell how much of a batch will be padding."""


@dataclass(frozen=True)
class Measured:
    """Rows in tokens, what was found, and the rows that neither training nor evaluation can read."""

    sizes: Mapping[int, tuple[int, int]]
    """Tokens of prompt and completion by row number."""
    findings: tuple[Finding, ...]
    unusable: frozenset[int]
    context_tokens: int
    instruction_tokens: int
    base_model_digest: str = ""

    def lengths(self, train: Sequence[CheckedRow], broken: AbstractSet[int] = frozenset()) -> TokenLengths | None:
        """Lengths of all rows that were measured and are not `broken`; None without any. `train` are trained on."""
        sizes = [size for number, size in self.sizes.items() if number not in broken]
        if not sizes:
            return None
        prompts, completions = np.array(sizes).T
        trained = [sum(self.sizes[row.row]) for row in train]
        return TokenLengths(
            prompt=_quantiles(prompts),
            completion=_quantiles(completions),
            total=_quantiles(prompts + completions),
            context_tokens=self.context_tokens,
            instruction_tokens=self.instruction_tokens,
            row_count=len(sizes),
            token_count=int(prompts.sum() + completions.sum()),
            train_token_count=sum(trained),
            longest_train_tokens=max(trained, default=0),
            learned_token_count=int(completions.sum()),
            train_lengths=_sample(trained),
            base_model_digest=self.base_model_digest,
        )


UNMEASURED = Measured({}, (), frozenset(), 0, 0)


class TokenGauge:
    """Holds the rows of one dataset against the tokenizer and the context of the base model."""

    def __init__(self, compiler: ExampleCompiler, instruction_prompt: str = "") -> None:
        self._compiler, self._instruction_prompt = compiler, instruction_prompt

    def measure(self, train: Sequence[CheckedRow], holdout: Sequence[CheckedRow]) -> Measured:
        """Rows to train on must hold the proofs of `tokenize`; held-out rows stay as long as they have tokens at all.

        An over-long held-out row is still asked for: it is answered if its prompt leaves room, and is a miss if not.
        """
        findings: list[Finding] = []
        unusable: set[int] = set()
        sizes: dict[int, tuple[int, int]] = {}
        for rows, is_trained in ((train, True), (holdout, False)):
            for compiled in self._compiler.tokenize(rows):
                is_useless = is_trained or compiled.example is None
                example = compiled.example
                if example is not None:
                    sizes[compiled.row.row] = example.prompt_length, example.completion_length
                if compiled.faults and is_useless:
                    unusable.add(compiled.row.row)
                findings.extend(_findings(compiled, is_useless=is_useless))
        renderer = self._compiler.renderer
        saved = len(renderer.prompt_ids("", self._instruction_prompt)) - len(renderer.prompt_ids(""))
        return Measured(
            sizes, tuple(findings), frozenset(unusable), self._compiler.max_tokens, saved, self._compiler.base_digest()
        )


def _quantiles(lengths: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Quantiles:
    return Quantiles(*(int(length) for length in np.quantile(lengths, _SHARES, method="higher")))


def _sample(lengths: Sequence[int]) -> tuple[int, ...]:
    ordered = sorted(lengths)
    places = np.linspace(0, len(ordered) - 1, min(len(ordered), _MAX_LENGTHS))
    return tuple(ordered[round(place)] for place in places)


def _findings(compiled: Compiled, *, is_useless: bool) -> Iterator[Finding]:
    for proof, fault in compiled.faults.items():
        reason = "ROW_TOO_LONG" if proof is Proof.FITS_CONTEXT else "ROW_NOT_TRAINABLE"
        fate = "" if is_useless else "; held out, it is no part of the holdout loss"
        number, is_blocking = compiled.row.row, is_useless and not compiled.row.synthetic  # which is nobody's mistake
        yield Finding(number, reason, f"rows[{number}]", f"{fault}{fate}", blocking=is_blocking)
