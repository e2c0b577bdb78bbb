"""Pages of a list (https://google.aip.dev/158): opaque tokens that carry the last key and authorise nothing."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

from shared.errors import InvalidInput
from shared.names import invalid_field

DEFAULT_SIZE = 50
MAX_SIZE = 1000
_MAX_DIGITS = 18
"""Of a number that every database can compare with: below 2**63."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class Page:
    """Which part of a list is wanted: at most `size` items whose key comes after `after`."""

    size: int
    after: str

    @classmethod
    def parse(cls, page_size: int, page_token: str) -> Self:
        """Reads a request's paging fields.

        Raises:
            InvalidInput: FIELD_INVALID for a negative size or a token that is not one of ours.
        """
        if page_size < 0:
            raise invalid_field("page_size", f"must not be negative, got {page_size}")
        try:
            after = base64.b64decode(page_token, altchars=b"-_", validate=True).decode()
        except (binascii.Error, UnicodeDecodeError, ValueError) as err:
            raise _not_ours() from err
        if not (after.isascii() and after.isprintable()):  # keys are ids, names and numbers
            raise _not_ours()
        return cls(min(page_size or DEFAULT_SIZE, MAX_SIZE), after)

    def number(self) -> int:
        """The key of a list that is ordered by number; 0 on the first page.

        Raises:
            InvalidInput: FIELD_INVALID when the token belongs to another list.
        """
        if self.after and not (self.after.isascii() and self.after.isdigit() and len(self.after) <= _MAX_DIGITS):
            raise _not_ours()
        return int(self.after or 0)

    @staticmethod
    def numbered_token(number: int) -> str:
        """The token of a list that is ordered by number."""
        return next_token(str(number))


def _not_ours() -> InvalidInput:
    return invalid_field("page_token", "is not a token of an earlier answer")


def next_token(key: str) -> str:
    """The token that continues after the item with this key."""
    return base64.urlsafe_b64encode(key.encode()).decode()


def take_page(items: Sequence[Item], page: Page, key: Callable[[Item], str]) -> tuple[list[Item], str]:
    """One page of items that are sorted by `key`, with the token of the next ("" on the last page)."""
    rest = [item for item in items if key(item) > page.after]
    taken = rest[: page.size]
    return taken, next_token(key(taken[-1])) if len(rest) > page.size else ""
