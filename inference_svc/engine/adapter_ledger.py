"""Owns every LoRARequest: vLLM is only ever handed an immutable, unique triple of name, id and path.

vLLM keys weights by id, equality by name and the prefix cache by name and path; two triples that share any part have
served one tenant another's weights or killed the engine. Ids are therefore never reused, not even after a restart.
"""

from __future__ import annotations

from pathlib import Path

from vllm.lora.request import LoRARequest

from inference_svc.domain.residency import AdapterKey
from shared.errors import StateConflict
from shared.files import write_atomic


class AdapterLedger:
    """Adapters that the engine holds, with their ids."""

    def __init__(self, id_file: Path) -> None:
        self._id_file = id_file
        self._last_id = int(id_file.read_text()) if id_file.is_file() else 0
        self._held: dict[AdapterKey, LoRARequest] = {}

    def held(self, key: AdapterKey) -> LoRARequest | None:
        """The request of an adapter that was added."""
        return self._held.get(key)

    def issue(self, key: AdapterKey) -> LoRARequest:
        """A fresh triple; its id is on disk before it is used, so that a crash burns it.

        Raises `StateConflict` (ADAPTER_REJECTED) while the engine holds other files under this name: two such requests
        in one batch are the end of vLLM.
        """
        assert Path(key.path).is_absolute(), key
        if any(other.name == key.name for other in self._held):
            raise StateConflict("ADAPTER_REJECTED", f"the engine holds other files under the name {key.name}")
        self._last_id += 1
        write_atomic(self._id_file, str(self._last_id).encode())
        return LoRARequest(lora_name=key.name, lora_int_id=self._last_id, lora_path=key.path)

    def keep(self, key: AdapterKey, request: LoRARequest) -> None:
        """Notes that the engine took it up."""
        self._held[key] = request

    def release(self, key: AdapterKey) -> LoRARequest | None:
        """Forgets an adapter; returns the triple to remove from the engine."""
        return self._held.pop(key, None)
