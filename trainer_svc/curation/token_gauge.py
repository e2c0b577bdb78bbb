"""Measures golden rows in tokens of the base model, and finds those that cannot be trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from trainer_svc.curation.compiled_example import Compiled, ExampleCompiler, Proof
from trainer_svc.domain.dataset import CheckedRow, Finding
from trainer_svc.domain.token_length import Quantiles, TokenLengths

_SHARES = (0.5, 0.95, 0.99, 1.0)


@dataclass(frozen=True)
class Measured:
    """Lengths (None without a row), what was found, and the rows that neither training nor evaluation can read."""

    lengths: TokenLengths | None
    findings: tuple[Finding, ...]
    unusable: frozenset[int]


UNMEASURED = Measured(None, (), frozenset())


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
        sizes: list[tuple[int, int]] = []
        for rows, is_trained in ((train, True), (holdout, False)):
            for compiled in self._compiler.tokenize(rows):
                is_blocking = is_trained or compiled.example is None
                if compiled.example is not None:
                    sizes.append((compiled.example.prompt_length, compiled.example.completion_length))
                if compiled.faults and is_blocking:
                    unusable.add(compiled.row.row)
                findings.extend(_findings(compiled, is_blocking=is_blocking))
        return Measured(self._lengths(sizes), tuple(findings), frozenset(unusable))

    def _lengths(self, sizes: Sequence[tuple[int, int]]) -> TokenLengths | None:
        if not sizes:
            return None
        prompts, completions = np.array(sizes).T
        renderer, instructions = self._compiler.renderer, self._instruction_prompt
        plain = len(renderer.prompt_ids(""))
        return TokenLengths(
            prompt=_quantiles(prompts),
            completion=_quantiles(completions),
            total=_quantiles(prompts + completions),
            context_tokens=self._compiler.max_tokens,
            instruction_tokens=len(renderer.prompt_ids("", instructions)) - plain,
            row_count=len(sizes),
            token_count=int(prompts.sum() + completions.sum()),
            learned_token_count=int(completions.sum()),
        )


def _quantiles(lengths: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Quantiles:
    return Quantiles(*(int(length) for length in np.quantile(lengths, _SHARES, method="higher")))


def _findings(compiled: Compiled, *, is_blocking: bool) -> Iterator[Finding]:
    for proof, fault in compiled.faults.items():
        reason = "ROW_TOO_LONG" if proof is Proof.FITS_CONTEXT else "ROW_NOT_TRAINABLE"
        fate = "" if is_blocking else "; held out, it is no part of the holdout loss"
        number = compiled.row.row
        yield Finding(number, reason, f"rows[{number}]", f"{fault}{fate}", blocking=is_blocking)
