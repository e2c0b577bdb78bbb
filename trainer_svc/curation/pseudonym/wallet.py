"""Wallet addresses: well-formed ones for which nobody has a key."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator

from trainer_svc.curation.personal.identifier import BASE58, BECH32, bech32_rest, is_base58, is_bech32

_ETHER_CHARS = 42
_BECH32_SUMS = (1, 0x2BC830A3)
"""BIP 173, version 0; BIP 350, later ones."""


class WalletForm:
    """An address of the same coin and type."""

    def key(self, text: str) -> str | None:
        """The case of base 58 counts, that of the others does not."""
        if text.startswith("0x"):
            return text.lower() if len(text) == _ETHER_CHARS else None
        if text[:3].lower() == "bc1":
            return text.lower() if is_bech32(text.lower()) else None
        return text if set(text) <= set(BASE58) and is_base58(text) else None

    def others(self, text: str, randomness: random.Random) -> Iterator[str]:
        """Random bytes with right checksums."""
        while True:
            if text.startswith("0x"):
                yield f"0x{randomness.getrandbits(160):040x}"
            elif text[:3].lower() == "bc1":
                yield _bech32(text.lower(), randomness)
            else:
                yield _base58(text, randomness)

    def spell(self, text: str, key: str) -> str:
        """In capitals where it was, if they say the same."""
        return key.upper() if text.isupper() and text[:3] == "BC1" else key


def _base58(text: str, randomness: random.Random) -> str:
    """The first byte says what it is of."""
    number = 0
    for sign in text:
        number = number * 58 + BASE58.index(sign)
    payload = number.to_bytes(25, "big")[:1] + randomness.randbytes(20)
    data = payload + hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4]
    number, signs = int.from_bytes(data, "big"), ""
    while number:
        number, place = divmod(number, 58)
        signs = BASE58[place] + signs
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + signs


def _bech32(text: str, randomness: random.Random) -> str:
    """The version (`text[3]`) says which sum; the last six signs make it."""
    wanted = _BECH32_SUMS[text[3] != BECH32[0]]
    body = text[:4] + "".join(randomness.choices(BECH32, k=len(text) - 11)) + BECH32[0]  # the last one's spare bits: 0
    rest = bech32_rest(body + BECH32[0] * 6) ^ wanted
    return body + "".join(BECH32[rest >> 5 * (5 - place) & 31] for place in range(6))
