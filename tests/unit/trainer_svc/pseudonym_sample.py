"""Kinds of personal data by short names, and one pseudonym of a kind."""

from __future__ import annotations

import random

from trainer_svc.curation.personal.identifier import KINDS
from trainer_svc.curation.pseudonym.register import Register

EMAIL, IBAN, CARD, WALLET, SSN, IP = KINDS


def pseudonym_of(kind: str, text: str, seed: int = 1) -> str:
    """Of a text that stands alone in its register."""
    register = Register(random.Random(seed))
    return register.pseudonym(register.add(kind, text), text)
