"""Ids that make a creation idempotent (https://google.aip.dev/155)."""

from __future__ import annotations

import re

from shared.names import invalid_field

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def check_request_id(text: str) -> str:
    """`text` in lower case if it is a UUID, or empty: it is kept for ever, in the key of a table.

    Raises:
        InvalidInput: FIELD_INVALID naming `request_id`.
    """
    return check_uuid(text, "request_id") if text else ""


def check_uuid(text: str, field: str) -> str:
    """`text` in lower case if it is a UUID.

    Raises:
        InvalidInput: FIELD_INVALID naming `field`.
    """
    if not _UUID.fullmatch(text):
        raise invalid_field(field, f"must be a UUID, got {text[:80]!r}")
    return text.lower()
