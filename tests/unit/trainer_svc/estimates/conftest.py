"""Estimates of a tenant, on a machine with a price."""

from __future__ import annotations

import pytest

from shared.base_model import BaseModel
from trainer_svc.app.estimates import Estimates
from trainer_svc.domain.estimate import Price
from trainer_svc.domain.token_length import Quantiles, TokenLengths
from trainer_svc.store.database import Database


@pytest.fixture
def lengths() -> TokenLengths:
    """Of 100 rows, 90 of them trained on."""
    flat = Quantiles(50, 50, 50, 50)
    return TokenLengths(flat, flat, flat, 512, 0, 100, 5_000, 4_500, 60, 1_000)


@pytest.fixture
def estimates(database: Database, tiny_base: BaseModel) -> Estimates:
    """On a machine with a price."""
    return Estimates(database, tiny_base, threads=2, price=Price(3.6, "EUR", 100.0), calibrator=None)
