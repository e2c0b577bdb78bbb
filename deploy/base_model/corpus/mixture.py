"""Which documents the model sees: a curriculum that begins with copying, then the mixture of all tasks."""

from collections.abc import Callable
from random import Random
from typing import Final

from deploy.base_model.corpus.copying import copy_example
from deploy.base_model.corpus.example import Example
from deploy.base_model.corpus.extraction import described_example, plain_example
from deploy.base_model.corpus.instruction import long_example
from deploy.base_model.corpus.paper import paper_example
from deploy.base_model.corpus.query import query_example

# Shares of documents. Long prompts are few because each costs ten short ones.
_SHARES: Final[tuple[tuple[Callable[[Random], Example], float], ...]] = (
    (copy_example, 0.06),
    (plain_example, 0.27),
    (described_example, 0.24),
    (paper_example, 0.14),
    (query_example, 0.24),
    (long_example, 0.05),
)
_MAKERS: Final = [maker for maker, _ in _SHARES]
_WEIGHTS: Final = [share for _, share in _SHARES]
TASKS: Final = (
    "copy",
    "extract_plain",
    "extract_schema",
    "document",
    "sql_plain",
    "sql_schema",
    "extract_long",
    "sql_long",
)


def draw(rng: Random, copying: float = 0.0) -> Example:
    """Returns a document; with probability `copying` it is a copying one, else one of the mixture."""
    maker = copy_example if rng.random() < copying else rng.choices(_MAKERS, _WEIGHTS)[0]
    return maker(rng)
