"""A finder of the operator's own beside the one that is built in: names and places take a model."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Sequence
from itertools import chain

from shared.names import invalid_field
from trainer_svc.curation.personal.base import PersonalDataFinder, PersonalSpan, without_overlaps
from trainer_svc.curation.personal.finder import PATTERNS


class JoinedFinder:
    """Implements `PersonalDataFinder`: what any of several find; where they overlap, the first of them."""

    def __init__(self, *finders: PersonalDataFinder) -> None:
        self._finders = finders

    @property
    def kinds(self) -> Sequence[str]:
        """All of theirs, each once."""
        return tuple(dict.fromkeys(chain.from_iterable(finder.kinds for finder in self._finders)))

    def find(self, text: str) -> Sequence[PersonalSpan]:
        """As theirs."""
        return without_overlaps([span for finder in self._finders for span in finder.find(text)])


def load_finder(factory: str) -> PersonalDataFinder:
    """The built-in finder, joined with what the function `package.module:factory` returns unless that is empty.

    Raises:
        InvalidInput: FIELD_INVALID when there is no such function, or it returns something else.
    """
    if not factory:
        return PATTERNS
    try:
        make: Callable[[], PersonalDataFinder] = pkgutil.resolve_name(factory)
        own = make()
    except (ImportError, AttributeError, ValueError, TypeError) as err:
        raise invalid_field("personal_data_finder", f"{factory!r} cannot be called: {err}") from err
    if not callable(getattr(own, "find", None)) or not hasattr(own, "kinds"):
        raise invalid_field("personal_data_finder", f"{factory!r} returns no PersonalDataFinder, but {own!r}")
    return JoinedFinder(PATTERNS, own)
