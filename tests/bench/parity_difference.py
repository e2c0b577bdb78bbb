"""Why an answer was served otherwise than the trainer's evaluation has it: by how little the two tokens differ.

Where the first of the differing tokens was chosen, both sides had read the same tokens, and the logits of the two say
whether sums that are rounded in another order can decide otherwise. How much rounding moves them is measured on the
same rows: the margin of the best two tokens at each step, computed as the trainer evaluates and in float64.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from shared.base_model import BaseModel
from shared.contracts.compiled import CompiledContract
from tests.bench.recorded_inference import TokenIds
from trainer_svc.domain.run import ServedType, TrainingMode
from trainer_svc.engine.base import dtype_of, load_base
from trainer_svc.engine.decoding import allowed_tokens
from trainer_svc.engine.export import load_served
from trainer_svc.engine.generation import DEFAULT_OUTPUT_TOKENS

_NOISE_QUANTILE = 0.999
"""A row has some forty steps, and one that is moved is enough."""
_Logits = NDArray[np.float64]


@dataclass(frozen=True)
class Asked:
    """A held-out row with both answers, the stop token included."""

    prompt: TokenIds
    evaluated: TokenIds
    served: TokenIds

    @property
    def is_equal(self) -> bool:
        """Token for token."""
        return self.evaluated == self.served


@dataclass(frozen=True)
class Difference:
    """The first token in which two answers differ; margins are the logit of `evaluated` less that of `served`."""

    place: int
    evaluated: int
    served: int
    margin: float
    """In the type that is served, in one pass over prompt and answer."""
    exact_margin: float
    """In float64."""

    def is_tie(self, noise: float) -> bool:
        """Whether rounding, which moves margins by `noise`, may decide between the two."""
        return abs(self.exact_margin) <= noise


class Judge:
    """One adapter's logits, as it is evaluated and in float64."""

    def __init__(self, base: BaseModel, adapter: Path, contract: CompiledContract, served_type: ServedType) -> None:
        self._base, self._contract = base, contract
        own = load_base(base.folder, TrainingMode.LORA, dtype_of(served_type))
        exact = load_base(base.folder, TrainingMode.LORA, torch.float64)
        self._own, self._exact = load_served(own, adapter), load_served(exact, adapter)

    def noise(self, rows: Sequence[Asked]) -> float:
        """By how much rounding moves the margin of the best two tokens: of a thousand, one is moved by more."""
        moved = [abs(step) for row in rows for step in self._moved(row)]
        return float(np.quantile(moved, _NOISE_QUANTILE))

    def difference(self, row: Asked) -> Difference:
        """Of a row whose answers are not equal: both end with the stop token, and neither begins with the other."""
        pairs = enumerate(zip(row.evaluated, row.served, strict=False))
        place, (one, other) = next((place, pair) for place, pair in pairs if pair[0] != pair[1])
        own, exact = (_logits(model, row)[place] for model in (self._own, self._exact))
        return Difference(place, one, other, float(own[one] - own[other]), float(exact[one] - exact[other]))

    def _moved(self, row: Asked) -> Iterator[float]:
        own, exact = _logits(self._own, row), _logits(self._exact, row)
        budget = min(DEFAULT_OUTPUT_TOKENS, self._base.max_positions - len(row.prompt))
        guide = self._contract.guide()
        for place, token in enumerate(row.evaluated):
            allowed = allowed_tokens(guide, budget - place)
            if len(allowed) > 1:
                second, first = allowed[np.argsort(exact[place][allowed])[-2:]]
                yield float(own[place][first] - own[place][second] - exact[place][first] + exact[place][second])
            guide.advance(token)


@torch.inference_mode()
def _logits(model: Any, row: Asked) -> _Logits:  # a PEFT model
    """Of each token of the answer, by the tokens before it."""
    ids = torch.tensor([[*row.prompt, *row.evaluated[:-1]]])
    output = model(input_ids=ids, use_cache=False, logits_to_keep=len(row.evaluated))
    found: _Logits = output.logits[0].double().numpy()
    return found
