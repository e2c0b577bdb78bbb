"""Texts that are nearly the same, found without comparing each with each where they are many."""

from __future__ import annotations

import re
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence

from datasketch import MinHash, MinHashLSH
from rapidfuzz import process
from rapidfuzz.fuzz import ratio

_LEAST_RATIO = 90.0
"""Of 100, by rapidfuzz: about one character in ten inserted, deleted or replaced."""
_NEAREST = 50
"""Told of each text: where all are alike, some connect them."""
_MAX_STEPS = 4_000_000_000
"""Of the bit-parallel comparison, each a character with 64 of the other text: some ten seconds for all pairs."""
_SHINGLE_CHARS = 3
"""One slip of the pen touches three shingles: short questions stay alike."""
_PERMUTATIONS = 128
_BANDS = (32, 4)
"""Bands and rows of each: two slips in 30 characters leave a Jaccard similarity of 0.65, which is found in 998 of 1,000
cases, one of 0.5 in 873; what is alike by chance (0.3: 229) costs a comparison."""
_CANDIDATE_CHARS = 200_000
"""Of those that hashing finds, compared with one text: 3,000 texts of 60 characters, 48 of 4,096."""


def neighbours(texts: Sequence[str]) -> Iterator[tuple[int, list[int]]]:
    """Places of texts, each with the places of earlier ones that are nearly the same, the nearest first.

    Nearly the same means one character in ten and the same numbers: documents of one form differ in little else. At
    most 50 are told of each. All pairs are compared while that takes seconds, as for 10,000 questions of a line. Beyond
    it the candidates come from MinHash and locality-sensitive hashing (Broder 1997; Leskovec et al., Mining of Massive
    Datasets, ch. 3), which misses some, above all among thousands that are all a little alike.
    """
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for place, text in enumerate(texts):
        groups[" ".join(re.findall(r"\d+", text))].append(place)
    crowded = sum(_steps(texts, places) for places in groups.values()) > _MAX_STEPS
    for places in groups.values():
        if len(places) > 1:
            yield from _hashed(texts, places) if crowded else _compared(texts, places)


def _steps(texts: Sequence[str], places: Sequence[int]) -> int:
    """Of a comparison of all pairs of a group."""
    return sum(len(texts[place]) * (1 + len(texts[place]) // 64) for place in places) * len(places) // 2


def _compared(texts: Sequence[str], places: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
    earlier: list[str] = []
    for place in places:
        yield place, [places[rank] for rank in _nearest(texts[place], earlier)]
        earlier.append(texts[place])


def _hashed(texts: Sequence[str], places: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
    index = MinHashLSH(num_perm=_PERMUTATIONS, params=_BANDS)
    shingled = (_shingles(texts[place]) for place in places)
    sketches: dict[int, MinHash] = {}
    for place, sketch in zip(
        places, MinHash.generator(shingled, num_perm=_PERMUTATIONS, hashfunc=zlib.crc32), strict=True
    ):
        most = 1 + _CANDIDATE_CHARS // (1 + len(texts[place]))
        likeness = {other: sketch.jaccard(sketches[other]) for other in index.query(sketch)}
        candidates = sorted(likeness, key=lambda other: (-likeness[other], other))[:most]
        yield place, [candidates[rank] for rank in _nearest(texts[place], [texts[other] for other in candidates])]
        if len(likeness) < most:  # a crowd that has enough is not joined: each question to the index costs its size
            index.insert(place, sketch)
            sketches[place] = sketch


def _nearest(text: str, others: Sequence[str]) -> list[int]:
    found = process.extract(text, others, scorer=ratio, score_cutoff=_LEAST_RATIO, limit=_NEAREST)
    return [rank for _, _, rank in found]


def _shingles(text: str) -> list[bytes]:
    last = max(1, len(text) - _SHINGLE_CHARS + 1)
    return list({text[start : start + _SHINGLE_CHARS].encode(errors="surrogatepass") for start in range(last)})
