"""E-mail and IP addresses: pseudonyms are of domains and networks that nobody has."""

from __future__ import annotations

import ipaddress
import random
import unicodedata
from collections.abc import Iterator
from itertools import count

from trainer_svc.curation.pseudonym.base import syllables

_DOMAIN = "example.org"
"""Reserved: RFC 2606."""
_DOCUMENTED = ("192.0.2", "198.51.100", "203.0.113")
"""Networks for documentation: RFC 5737. 762 addresses: with more values those for measurements (RFC 2544) and then
those of the future (RFC 1112, class E) follow."""
_DOCUMENTED_TRIES, _MEASURED_TRIES = 8, 16


class EmailForm:
    """`kovatumi@example.org`; with a point where the name had one."""

    def key(self, text: str) -> str | None:
        """Without case; an apostrophe may be doubled, as SQL writes it."""
        return unicodedata.normalize("NFC", text).casefold().replace("''", "'") if "@" in text else None

    def others(self, text: str, randomness: random.Random) -> Iterator[str]:
        """Four syllables: 17 million of them."""
        sign = "." if "." in text.partition("@")[0] else ""
        while True:
            yield f"{syllables(randomness, 2)}{sign}{syllables(randomness, 2)}@{_DOMAIN}"

    def spell(self, text: str, key: str) -> str:
        """In capitals where it was."""
        name, _, domain = key.partition("@")
        if text.isupper():
            return key.upper()
        return f"{name.title()}@{domain}" if text.partition("@")[0].istitle() else key


class IpForm:
    """An address of a network for documentation."""

    def key(self, text: str) -> str | None:
        """In the spelling of Python, which is that of RFC 5952."""
        try:
            return str(ipaddress.ip_address(text))
        except ValueError:
            return None

    def others(self, text: str, randomness: random.Random) -> Iterator[str]:
        """For IPv6 in 2001:db8::/32 (RFC 3849)."""
        for attempt in count():
            if ":" in text:
                yield _documented_v6(randomness, is_short="::" in text)
            elif attempt < _DOCUMENTED_TRIES:
                yield f"{randomness.choice(_DOCUMENTED)}.{randomness.randrange(1, 255)}"
            elif attempt < _MEASURED_TRIES:
                yield str(ipaddress.ip_address((198 << 24 | 18 << 16) + randomness.randrange(1, 1 << 17)))
            else:
                yield str(ipaddress.ip_address((240 << 24) + randomness.randrange(1, (1 << 28) - 1)))

    def spell(self, text: str, key: str) -> str:
        """As many groups, in the same case."""
        if ":" in text and "::" not in text:
            groups = ipaddress.ip_address(key).exploded.split(":")
            is_padded = all(len(group) == 4 for group in text.split(":"))
            key = ":".join(group if is_padded else f"{int(group, 16):x}" for group in groups)
        return key.upper() if text.isupper() else key


def _documented_v6(randomness: random.Random, *, is_short: bool) -> str:
    groups = [f"{randomness.randrange(1, 1 << 16):x}" for _ in range(2 if is_short else 6)]
    return ":".join(["2001", "db8", *([""] if is_short else []), *groups])
