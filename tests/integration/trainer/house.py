"""A tenant of the trainer, and rows under its contract."""

from __future__ import annotations

import json

SCHEMA = '{"type":"object","properties":{"n":{"type":"integer","minimum":0,"maximum":9}},"required":["n"]}'
TENANT = "tenants/acme"


def golden_rows(count: int = 40) -> bytes:
    """So many, all sound and of ten different answers."""
    return b"".join(json.dumps({"input": f"row {i}", "output": {"n": i % 10}}).encode() + b"\n" for i in range(count))
