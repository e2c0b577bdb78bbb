"""Settings of the trainer service."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

from shared.names import invalid_field
from shared.rpc.security import SecuritySettings
from trainer_svc.domain.money import read_price
from trainer_svc.domain.run import DEFAULT_CONTEXT_TOKENS, ServedType
from trainer_svc.domain.savings import TokenPrices, check_percent
from trainer_svc.domain.servability import SERVED_RANKS, ServabilityMode

_LEAST = {
    "training_threads": 1, "training_processes": 1, "parallel_jobs": 0, "metrics_label_sets": 1,
    "tenant_waiting_jobs": 1, "waiting_jobs": 1,
    "run_retention_hours": 0, "upload_retention_hours": 1, "price_per_hour": 0, "watts": 0,
}  # fmt: skip
_CACHE_PERCENT = "instruction_cache_percent"
DESCRIPTION = "Check golden datasets, train adapters and publish them in the registry."


@dataclass(frozen=True)
class Settings(SecuritySettings):
    """Everything an operator may set."""

    base_model_dir: Path = field(metadata={"help": "Hugging Face causal LM directory to train adapters for"})
    data_dir: Path = field(default=Path("data/trainer"), metadata={"help": "database, uploads, runs and blobs"})
    listen: str = field(default="127.0.0.1:50051", metadata={"help": "host:port to serve on; port 0 picks one"})
    drain_seconds: float = field(default=10.0, metadata={"help": "time for running calls after SIGTERM"})
    metrics_listen: str = field(
        default="", metadata={"help": "host:port for Prometheus over plain HTTP; port 0 picks one, empty is off"}
    )
    metrics_label_sets: int = field(
        default=1000, metadata={"help": "tenants with counters of their own; the rest is _other"}
    )
    health_listen: str = field(
        default="", metadata={"help": "host:port for gRPC health alone, in plaintext for probes; empty is off"}
    )
    otlp_endpoint: str = field(
        default="", metadata={"help": "OTLP/gRPC collector for traces, http://host:4317; empty is off"}
    )
    database_url: str = field(default="", metadata={"help": "SQLAlchemy URL; empty means SQLite in data_dir"})
    upload_retention_hours: float = field(
        default=72.0, metadata={"help": "an unfinished upload without a new byte is removed after so long"}
    )
    personal_data_finder: str = field(
        default="",
        metadata={"help": "package.module:factory of a finder of names and places; empty: forms and check digits only"},
    )
    teachers_file: Path | None = field(
        default=None,
        metadata={"help": "TOML file of larger models that may label rows, and for whom; none: no row goes out"},
    )
    signing_key_file: Path | None = field(
        default=None,
        metadata={
            "help": "PEM file of the Ed25519 key that signs published adapters, read at the start; none: unsigned"
        },
    )
    training_threads: int = field(default=2, metadata={"help": "OpenMP threads of one training process"})
    training_processes: int = field(
        default=1, metadata={"help": "processes that train one job together; with GPUs, as many GPUs"}
    )
    servability_proof: str = field(
        default="",
        metadata={
            "help": "vllm: it must load each adapter and repeat its canaries before the job succeeds; static: our own"
            " rules alone; empty: vllm where it is installed"
        },
    )
    max_lora_rank: int = field(default=64, metadata={"help": "largest rank that the inference services serve"})
    served_dtype: str = field(
        default=ServedType.AUTO.value,
        metadata={"help": "arithmetic in which adapters are evaluated; what the inference services have as dtype"},
    )
    served_context_tokens: int = field(
        default=DEFAULT_CONTEXT_TOKENS,
        metadata={"help": "what the inference services have as max-context-tokens; rows beyond it count as unanswered"},
    )
    price_per_hour: float = field(
        default=0.0, metadata={"help": "of a training hour, for estimates and savings; 0 is none"}
    )
    currency: str = field(default="", metadata={"help": "of all prices, for example EUR"})
    price_per_million_prompt_tokens: str = field(
        default="", metadata={"help": "what serving costs, for savings, like 0.25; empty is none"}
    )
    price_per_million_cached_tokens: str = field(
        default="", metadata={"help": "of prompt tokens that the prefix cache holds; empty is as the others"}
    )
    price_per_million_output_tokens: str = field(default="", metadata={"help": "of generated tokens; empty is none"})
    instruction_cache_percent: int = field(
        default=100,
        metadata={"help": "share of an instruction prompt that a base model's prefix cache would hold, for savings"},
    )
    watts: float = field(default=0.0, metadata={"help": "drawn while training, for estimates; 0 is unknown"})
    benchmark_dir: Path | None = field(
        default=None,
        metadata={"help": "folder of *.jsonl with prompts and answers that an adapter should not unlearn; none: none"},
    )
    parallel_jobs: int = field(default=1, metadata={"help": "training jobs at once"})
    tenant_waiting_jobs: int = field(
        default=100, metadata={"help": "training jobs of one tenant that may wait or be paused"}
    )
    waiting_jobs: int = field(
        default=1000, metadata={"help": "training jobs of all tenants together that may wait; paused ones do not count"}
    )
    run_retention_hours: float = field(
        default=168.0, metadata={"help": "time after its end that a job's run, with log and checkpoints, is kept"}
    )

    def __post_init__(self) -> None:
        """Refuses what cannot work."""
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                raise invalid_field(name, f"must be at least {least}, got {getattr(self, name)}")
        if self.servability_proof not in ("", *ServabilityMode):
            modes = ", ".join(ServabilityMode)
            raise invalid_field("servability_proof", f"must be one of {modes}, got {self.servability_proof!r}")
        if self.servability_mode is ServabilityMode.VLLM and not _has_vllm():
            raise invalid_field("servability_proof", "is vllm, which is not installed here: install it, or say static")
        if self.max_lora_rank not in SERVED_RANKS:
            raise invalid_field("max_lora_rank", f"must be one of {SERVED_RANKS}, got {self.max_lora_rank}")
        if self.served_dtype not in list(ServedType):
            types = ", ".join(ServedType)
            raise invalid_field("served_dtype", f"must be one of {types}, got {self.served_dtype!r}")
        if self.served_context_tokens < 1:
            raise invalid_field("served_context_tokens", f"must be positive, got {self.served_context_tokens}")
        if not math.isfinite(self.price_per_hour):
            raise invalid_field("price_per_hour", f"must be a number, got {self.price_per_hour}")
        assert self.token_prices, "refuses what is no price"

    @property
    def servability_mode(self) -> ServabilityMode:
        """The proof that every adapter must pass."""
        if self.servability_proof:
            return ServabilityMode(self.servability_proof)
        return ServabilityMode.VLLM if _has_vllm() else ServabilityMode.STATIC

    @property
    def token_prices(self) -> TokenPrices:
        """What a million tokens cost. Raises `InvalidInput` naming the setting."""
        prompt, cached, output = (
            read_price(getattr(self, f"price_per_million_{kind}_tokens"), f"price_per_million_{kind}_tokens")
            for kind in ("prompt", "cached", "output")
        )
        return TokenPrices(prompt, cached, output, check_percent(self.instruction_cache_percent, _CACHE_PERCENT))

    @property
    def training_hour_price(self) -> Fraction | None:
        """None where none is set."""
        return Fraction(repr(self.price_per_hour)) if self.price_per_hour else None


def _has_vllm() -> bool:
    return find_spec("vllm") is not None
