"""Lets in only the revisions that somebody whom the operator trusts has signed."""

from __future__ import annotations

import asyncio
from pathlib import Path

from inference_svc.app.ports import Registry
from shared.adapter.key_file import TrustedKeyFile
from shared.adapter.signature import check_signature, read_signature
from shared.errors import StateConflict
from shared.names import RevisionName

_RETRY_SECONDS = 30.0
"""A refusal is not for ever: a key may be added at any moment. To ask again costs one small file, and a place in the
engine for that moment, which an idle revision may have to leave: hence not more often."""


class SignatureGate:
    """Stands before every load, also of what lies on this disk already; without keys it lets everything through.

    What was signed by a key that is no longer trusted serves on where it serves: it leaves the engine when another
    needs its place, when it is replaced, or with the process or the engine, and is not loaded again.
    """

    def __init__(self, keys: TrustedKeyFile | None, registry: Registry) -> None:
        self._keys, self._registry = keys, registry

    async def check(self, revision: RevisionName, digest: str, cached: Path | None) -> None:
        """Passes when a trusted key signed the manifest of this digest; no weights are fetched or read for that.

        The signature beside the cached files will do, so that the registry need not answer; where it does not, that of
        the registry counts, for the same files may have been published again, signed.

        Raises:
            StateConflict: SIGNATURE_REFUSED, for some seconds.
            Unavailable: the registry does not answer.
        """
        if self._keys is None:
            return
        trusted = await asyncio.to_thread(self._keys.current)
        if cached is not None:
            try:
                check_signature(digest, await asyncio.to_thread(read_signature, cached), trusted)
            except StateConflict:
                pass
            else:
                return
        signature = await self._registry.signature(revision)
        try:
            check_signature(digest, signature, trusted)
        except StateConflict as err:
            raise StateConflict(
                err.reason, f"{revision}: {err.message}", metadata=err.metadata, retry_after_seconds=_RETRY_SECONDS
            ) from err
