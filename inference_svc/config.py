"""Settings of the inference service."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from shared.names import invalid_field

DESCRIPTION = "Serve adapters with guaranteed output formats from one vLLM engine."


@dataclass(frozen=True)
class Settings:
    """Everything an operator may set; sizes and limits are per process."""

    base_model_dir: Path = field(metadata={"help": "Hugging Face causal LM directory under all adapters"})
    registry: str = field(metadata={"help": "host:port of the trainer service, which hosts the registry"})
    data_dir: Path = field(default=Path("data/inference"), metadata={"help": "adapters and compiled contracts"})
    listen: str = field(default="127.0.0.1:50052", metadata={"help": "host:port to serve on; port 0 picks one"})
    drain_seconds: float = field(default=10.0, metadata={"help": "time for running requests after SIGTERM"})
    metrics_listen: str = field(
        default="", metadata={"help": "host:port for Prometheus over plain HTTP; port 0 picks one, empty is off"}
    )
    health_listen: str = field(
        default="", metadata={"help": "host:port for gRPC health alone, in plaintext for probes; empty is off"}
    )
    metrics_label_sets: int = field(
        default=1000, metadata={"help": "pairs of tenant and adapter with counters of their own; the rest is _other"}
    )
    otlp_endpoint: str = field(
        default="", metadata={"help": "OTLP/gRPC collector for traces, http://host:4317; empty is off"}
    )
    threads: int = field(default=1, metadata={"help": "OpenMP threads of the engine on CPU"})
    max_context_tokens: int = field(default=2048, metadata={"help": "prompt and answer together"})
    max_lora_rank: int = field(default=64, metadata={"help": "largest rank that is served: 8, 16, 32, 64, 128 ..."})
    batch_adapters: int = field(default=4, metadata={"help": "different adapters in one engine step"})
    resident_adapters: int = field(default=16, metadata={"help": "adapters held by the engine at once"})
    running_requests: int = field(default=64, metadata={"help": "requests in the engine at once"})
    queued_requests: int = field(default=1024, metadata={"help": "requests that wait for the engine"})
    kv_cache_gib: int = field(default=1, metadata={"help": "memory of the engine's KV cache on CPU, GiB"})
    format_attempts: int = field(
        default=3, metadata={"help": "answers tried in all where a contract has checked keywords, before an error"}
    )

    def __post_init__(self) -> None:
        """Refuses what cannot work."""
        if self.format_attempts < 1:
            raise invalid_field("format_attempts", f"must be at least 1, got {self.format_attempts}")
        if self.metrics_label_sets < 1:
            raise invalid_field("metrics_label_sets", f"must be at least 1, got {self.metrics_label_sets}")
