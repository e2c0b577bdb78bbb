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
    if text and not _UUID.fullmatch(text):
        raise invalid_field("request_id", f"must be a UUID or empty, got {text[:80]!r}")
    return text.lower()
