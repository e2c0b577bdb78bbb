"""Settings of the inference service."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from inference_svc.domain.quota import Quota
from shared.client.credentials import Credentials
from shared.errors import FieldViolation, InvalidInput
from shared.names import invalid_field
from shared.rpc.address import is_loopback
from shared.rpc.security import SecuritySettings

_QUOTA_FIELDS = ("requests_per_second", "tokens_per_minute", "running_requests", "waiting_requests")
_LEAST = {
    "format_attempts": 1,
    "running_requests": 1,
    "queued_requests": 0,
    "batch_adapters": 1,
    "resident_adapters": 1,
    "adapter_cache_gib": 0,
    "adapter_patience": 0,
    "metrics_label_sets": 1,
}
_DTYPES = ("auto", "bfloat16", "float32")
DESCRIPTION = "Serve adapters with guaranteed output formats from one vLLM engine."


@dataclass(frozen=True)
class Settings(SecuritySettings):
    """Everything an operator may set; sizes and limits are per process."""

    base_model_dir: Path = field(metadata={"help": "Hugging Face causal LM directory under all adapters"})
    registry: str = field(metadata={"help": "host:port of the trainer service, which hosts the registry"})
    registry_ca: Path | None = field(
        default=None, metadata={"help": "PEM file of the registry's authorities; by default the system's"}
    )
    registry_certificate: Path | None = field(
        default=None, metadata={"help": "PEM file of this service's client certificate at the registry"}
    )
    registry_key: Path | None = field(default=None, metadata={"help": "PEM file of its private key"})
    registry_token: Path | None = field(
        default=None, metadata={"help": "file of this service's token at the registry, read at each call"}
    )
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
    dtype: str = field(
        default="auto",
        metadata={"help": "the engine's arithmetic: bfloat16, float32, or auto: float32 where a CPU emulates bfloat16"},
    )
    threads: int = field(default=1, metadata={"help": "OpenMP threads of the engine on CPU"})
    max_context_tokens: int = field(default=2048, metadata={"help": "prompt and answer together"})
    max_lora_rank: int = field(default=64, metadata={"help": "largest rank that is served: 8, 16, 32, 64, 128 ..."})
    batch_adapters: int = field(
        default=16, metadata={"help": "different adapters in one engine step; each takes room for one of max_lora_rank"}
    )
    adapter_cache_gib: int = field(default=20, metadata={"help": "disk for adapter packages; the oldest go first"})
    resident_adapters: int = field(default=16, metadata={"help": "adapters held by the engine at once"})
    running_requests: int = field(default=64, metadata={"help": "requests in the engine at once"})
    queued_requests: int = field(default=1024, metadata={"help": "requests that wait for the engine"})
    tenant_requests_per_second: float = field(default=math.inf, metadata={"help": "of one tenant; inf for no limit"})
    tenant_tokens_per_minute: float = field(
        default=math.inf, metadata={"help": "uncached prompt and output of one tenant; inf for no limit"}
    )
    tenant_running_requests: float = field(
        default=math.inf, metadata={"help": "of one tenant in the engine at once; more wait; inf for no limit"}
    )
    tenant_waiting_requests: float = field(
        default=256, metadata={"help": "of one tenant that wait for the engine; inf for no limit but queued_requests"}
    )
    quota_file: Path | None = field(
        default=None,
        metadata={"help": "TOML or JSON file with quotas and pins by tenant, read again when it changes"},
    )
    trusted_keys_file: Path | None = field(
        default=None,
        metadata={
            "help": "PEM file of Ed25519 public keys, read again when it changes: revisions that none of them signed "
            "are not loaded; none: signatures are not looked at"
        },
    )
    group_adapters: bool = field(
        default=True, metadata={"help": "let no more adapters into the engine than batch_adapters, hot ones first"}
    )
    adapter_patience: int = field(
        default=32, metadata={"help": "requests of hot adapters that may overtake one of a cold adapter"}
    )
    kv_cache_gib: int = field(default=1, metadata={"help": "memory of the engine's KV cache on CPU, GiB"})
    format_attempts: int = field(
        default=3, metadata={"help": "answers tried in all where a contract has checked keywords, before an error"}
    )

    @property
    def registry_credentials(self) -> Credentials | None:
        """What this service shows to the registry; None is plaintext, on loopback."""
        given = Credentials(
            ca=self.registry_ca,
            certificate=self.registry_certificate,
            key=self.registry_key,
            token_file=self.registry_token,
        )
        return None if given == Credentials() else given

    def __post_init__(self) -> None:
        """Refuses what cannot work."""
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                raise invalid_field(name, f"must be at least {least}, got {getattr(self, name)}")
        if self.dtype not in _DTYPES:
            raise invalid_field("dtype", f"must be one of {', '.join(_DTYPES)}, got {self.dtype!r}")
        assert self.tenant_quota, "refuses what is no quota"
        if self.registry_credentials is None and not is_loopback(self.registry):
            raise invalid_field(
                "registry", f"{self.registry!r} is on another machine: pass registry_ca, and a token or a certificate"
            )

    @property
    def tenant_quota(self) -> Quota:
        """Of every tenant that the quota file does not name. Raises `InvalidInput` naming the settings."""
        try:
            return Quota(**{name: getattr(self, f"tenant_{name}") for name in _QUOTA_FIELDS})
        except InvalidInput as err:
            violations = [FieldViolation(f"tenant_{v.path}", v.description) for v in err.violations]
            text = "; ".join(f"{v.path}: {v.description}" for v in violations)
            raise InvalidInput(err.reason, f"settings: {text}", violations=violations) from err
