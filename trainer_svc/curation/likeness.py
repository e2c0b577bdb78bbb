"""Which rows of a golden dataset repeat or contradict each other, and which therefore belong together."""

from __future__ import annotations

import enum
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import DisjointSet
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from shared.digest import sha256_bytes
from trainer_svc.curation.neighbour import neighbours
from trainer_svc.curation.wording import Wording, is_copied
from trainer_svc.domain.dataset import CheckedRow

MAX_COMPARED_INPUTS = 20_000
"""With more of them only equal inputs are found."""
_COMPARED_CHARS = 4096
"""Of each input; longer ones count as nearly the same when these are."""
_COMPARED_WORDINGS = 5
"""Nearest neighbours whose words are looked at one by one."""


class Relation(enum.Enum):
    """How a row stands to an earlier one."""

    SAME = "same input but for case and spacing, same output"
    NEAR = "nearly the same input, same output"
    CONTRADICTION = "same words in the input, at most misspelt, and an output that differs in more than what was copied"
    VARIANT = "same words in the input, at most misspelt, and an output that differs in what was copied"


@dataclass(frozen=True)
class Link:
    """Places of two rows, `first` before `second`, and how they stand to each other."""

    first: int
    second: int
    relation: Relation


def find_links(rows: Sequence[CheckedRow]) -> list[Link]:
    """Enough links to tell which rows belong together, a few for each; not each pair of a cluster is named."""
    forms: defaultdict[str, dict[str, int]] = defaultdict(dict)  # the first row of each output of each input
    links = []
    for place, row in enumerate(rows):
        outputs = forms[normal(row.input)]
        first = outputs.setdefault(row.output, place)
        if first != place:
            links.append(Link(first, place, Relation.SAME))
        elif len(outputs) > 1:
            links.append(_other_output(rows, _first(outputs), place))
    links += _reordered(forms)
    if len(forms) <= MAX_COMPARED_INPUTS:
        links += _between(rows, forms)
    return list(dict.fromkeys(links))


def cluster(count: int, links: Sequence[Link]) -> list[int]:
    """A number for each of `count` rows, equal where links connect them."""
    ends = np.array([(link.first, link.second) for link in links], dtype=np.intp).reshape(-1, 2)
    graph = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(count, count))
    _, labels = connected_components(graph, directed=False)
    return [int(label) for label in labels]


def normal(text: str) -> str:
    """A text without case and spacing: inputs that are equal so are one question. Long ones are cut, with a digest."""
    whole = " ".join(text.casefold().split())
    if len(whole) <= _COMPARED_CHARS:
        return whole
    return whole[:_COMPARED_CHARS] + sha256_bytes(whole.encode(errors="surrogatepass"))


def _reordered(forms: dict[str, dict[str, int]]) -> Iterator[Link]:
    """Links between rows with the same words in another order ("Lisbon weather", "weather Lisbon"), and one output."""
    firsts: dict[tuple[str, str], int] = {}
    for text, outputs in forms.items():
        words = " ".join(sorted(re.findall(r"\w+", text)))
        for output, place in outputs.items():
            first = firsts.setdefault((words, output), place)
            if words and first != place:
                yield Link(min(first, place), max(first, place), Relation.NEAR)


def _between(rows: Sequence[CheckedRow], forms: dict[str, dict[str, int]]) -> Iterator[Link]:
    """Links between rows of different inputs; none that tells nothing new."""
    texts = [text[:_COMPARED_CHARS] for text in forms]
    outputs = list(forms.values())
    wording = Wording(texts)
    joined = DisjointSet(place for firsts in outputs for place in firsts.values())
    for place, near in neighbours(texts):
        told: set[tuple[int, Relation]] = set()
        for rank, other in enumerate(near):
            links = _same_output(outputs[other], outputs[place])
            if rank < _COMPARED_WORDINGS and wording.is_same(texts[other], texts[place]):
                links.append(_other_output(rows, *sorted((_first(outputs[other]), _first(outputs[place])))))
            for link in links:
                if joined.merge(link.first, link.second) or (link.second, link.relation) not in told:
                    told.add((link.second, link.relation))
                    yield link


def _same_output(ours: dict[str, int], theirs: dict[str, int]) -> list[Link]:
    pairs = [sorted((ours[output], place)) for output, place in theirs.items() if output in ours]
    return [Link(first, second, Relation.NEAR) for first, second in pairs]


def _other_output(rows: Sequence[CheckedRow], first: int, second: int) -> Link:
    if rows[first].output == rows[second].output:
        return Link(first, second, Relation.NEAR)
    copied = is_copied(rows[first], rows[second])
    return Link(first, second, Relation.VARIANT if copied else Relation.CONTRADICTION)


def _first(firsts: dict[str, int]) -> int:
    return next(iter(firsts.values()))
