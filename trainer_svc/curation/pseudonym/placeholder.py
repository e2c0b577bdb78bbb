"""Of kinds whose form nobody here knows, as a finder of the operator's own has them: `name-kovatu`."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

from trainer_svc.curation.pseudonym.base import squash, syllables


class PlaceholderForm:
    """The last word of the kind, and a word that means nothing."""

    def __init__(self, kind: str) -> None:
        words = re.findall(r"[^\W\d_]+", kind.casefold())
        self._label = words[-1] if words else "value"

    def key(self, text: str) -> str | None:
        """Without case, spaces and signs, unless it is made of those."""
        return squash(text) or text

    def others(self, text: str, randomness: random.Random) -> Iterator[str]:
        """Four syllables."""
        while True:
            yield f"{self._label}-{syllables(randomness, 4)}"

    def spell(self, text: str, key: str) -> str:
        """In capitals where it was."""
        return key.upper() if text.isupper() else key
