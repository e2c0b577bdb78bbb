"""A page of a list that is stored as one JSON object a line."""

from __future__ import annotations

from collections.abc import Iterator

from shared.rpc.page import Page

_PAGE_BYTES = 2 << 20
"""Of a page; clients of gRPC refuse messages above 4 MiB."""


def take_lines(data: bytes, page: Page) -> tuple[list[bytes], str]:
    """Lines of one page, and the token of the next. Raises `InvalidInput` for a token of another list."""
    lines, first = data.splitlines(), page.number()
    taken = list(_fitting(lines[first : first + page.size]))
    after = first + len(taken)
    return taken, page.numbered_token(after) if after < len(lines) else ""


def _fitting(lines: list[bytes]) -> Iterator[bytes]:
    """As many as a page holds, one at least."""
    size = 0
    for place, line in enumerate(lines):
        size += len(line)
        if place and size > _PAGE_BYTES:
            return
        yield line
