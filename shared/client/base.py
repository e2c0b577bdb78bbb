"""What every client of a service has: one channel, which it closes, and lists that it reads to their end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, Self, TypeVar

from shared.client.channel import call, open_channel
from shared.client.credentials import Credentials

PAGE_SIZE = 1000
"""The most that a server gives at a time."""
_TIMEOUT_SECONDS = 30.0


class _Page(Protocol):
    @property
    def next_page_token(self) -> str: ...


Page = TypeVar("Page", bound=_Page)


class ServiceClient:
    """A channel to `host:port`, for as long as the block or until `close`; safe to share between threads."""

    def __init__(self, address: str, credentials: Credentials | None = None) -> None:
        self._channel = open_channel(address, credentials)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection; calls that run are cancelled."""
        self._channel.close()


def pages(method: Callable[..., Page], request: Callable[[str], object]) -> Iterator[Page]:
    """Every page of a list, fetched as it is needed; `request` makes the request for a page token.

    Raises `DomainError` as `call` does.
    """
    token = ""
    while True:
        page = call(method, request(token), _TIMEOUT_SECONDS)
        yield page
        token = page.next_page_token
        if not token:
            return
