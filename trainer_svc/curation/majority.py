"""Which of the outputs that one input was given most rows agree on."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from trainer_svc.curation.likeness import normal
from trainer_svc.curation.wording import is_copied
from trainer_svc.domain.dataset import CheckedRow


def outvoted(rows: Sequence[CheckedRow]) -> dict[int, str]:
    """Places of rows to drop, with why; what is kept is the first row with the output of more than half.

    Inputs are the same but for case and spacing; an output that differs only as its input does agrees. Where all agree,
    and where none has more than half, no row is dropped. Complexity: linear in rows, and in those of one input times
    its different outputs.
    """
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        groups[normal(row.input)].append(place)
    dropped: dict[int, str] = {}
    for places in groups.values():
        if len(places) > 2:
            dropped |= _of_group(rows, places)
    return dropped


def _of_group(rows: Sequence[CheckedRow], places: Sequence[int]) -> dict[int, str]:
    ((output, _),) = Counter(rows[place].output for place in places).most_common(1)
    first = next(place for place in places if rows[place].output == output)
    against = [place for place in places if rows[place].output != output and not is_copied(rows[first], rows[place])]
    agreeing = len(places) - len(against)
    if not against or 2 * agreeing <= len(places):
        return {}
    told = f"row {rows[first].row}, with whose output {agreeing} of {len(places)} rows agree"
    repeats = {place: f"repeats {told}" for place in places if place > first and rows[place].output == output}
    return dict.fromkeys(against, f"contradicts {told}") | repeats
