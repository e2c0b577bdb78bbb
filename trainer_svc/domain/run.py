"""One run of a training job: the folder by which the service and its child process talk."""

from __future__ import annotations

import dataclasses
import enum
import json
from dataclasses import dataclass
from pathlib import Path

from trainer_svc.domain.servability import ServabilityMode

EXIT_DONE, EXIT_USER_ERROR, EXIT_INTERNAL_ERROR, EXIT_STOPPED, EXIT_DISK_FULL, EXIT_OUT_OF_MEMORY = 0, 3, 4, 5, 6, 7
"""Any other exit status means that the child was killed; it may be started again and resumes. STOPPED: it was asked to;
nothing is lost. After USER_ERROR and INTERNAL_ERROR `RunFolder.failure` says more."""
VALIDATE_FLAG = "--validate"
"""Asks the child to prove settings and examples, and no more."""
SHARE_FLAG = "--share"
"""Asks the child to be one of the processes that train together; `trainer_svc.engine.process_group` starts those."""
DEFAULT_CONTEXT_TOKENS = 2048
"""The inference service's default."""
PARENT_VARIABLE = "GOLDSMITH_PARENT_PID"
"""Of a child's environment: the process that it dies with."""
CALIBRATE_FLAG = "--calibrate"
"""Asks it to measure a few steps and answers, and to tell them as the usage of a run."""


SIGNALLED = 128
"""Is added to the number of the signal that killed a process."""


class Cancelled(Exception):  # what happened, as in shared.errors
    """The run was asked to stop, for good or for a pause; its last checkpoint is kept, nothing is published."""


class ProcessFailed(Exception):  # as above
    """A process that the run started ended too soon, with `status`, and has told why where it could.

    It trains with others, or asks vLLM. A killed one's status is the signal plus `SIGNALLED`, as shells have it: the
    run is taken up again, as one that is killed itself.
    """

    def __init__(self, status: int) -> None:
        super().__init__(f"a process of the run ended with {status}")
        self.status = status


class TrainingMode(enum.StrEnum):
    """How the base model is held while training."""

    LORA = "lora"
    QLORA = "qlora"


class Initialization(enum.StrEnum):
    """Where the adapter's first matrix begins; the second is zero."""

    KAIMING = "kaiming"
    GAUSSIAN = "gaussian"
    EVA = "eva"


class ServedType(enum.StrEnum):
    """In which type the inference services compute; their own setting `dtype` has the same words."""

    AUTO = "auto"
    """bfloat16; float32 on a processor that only emulates it."""
    BFLOAT16 = "bfloat16"
    FLOAT32 = "float32"


class Preset(enum.StrEnum):
    """Settings that go together; `trainer_svc.domain.preset` has what each of them is."""

    FAST = "fast"
    BALANCED = "balanced"
    BEST = "best"


class Phase(enum.StrEnum):
    """Steps of a run."""

    PREPARING = "preparing"
    TRAINING = "training"
    EVALUATING = "evaluating"
    PUBLISHING = "publishing"


@dataclass(frozen=True)
class RunSpec:
    """Everything a run needs beside its rows. None leaves the choice to the plan."""

    job: str
    base_model_dir: str
    contract_name: str
    contract: str
    """Canonical text of the contract's spec."""
    contract_cache_dir: str
    dataset_digest: str
    mode: TrainingMode = TrainingMode.LORA
    rank: int | None = None
    alpha: float | None = None
    learning_rate: float | None = None
    epoch_count: int | None = None
    batch_size: int | None = None
    seed: int = 0
    use_rslora: bool = False
    loraplus_ratio: float | None = None
    initialization: Initialization = Initialization.KAIMING
    preset: Preset = Preset.BALANCED
    early_stopping_patience: int | None = None
    evaluated_checkpoint_count: int | None = None
    threads: int = 1
    """Of each process."""
    processes: int = 1
    """That train together, each with a part of every batch."""
    instruction_prompt: str = ""
    database_sql: str = ""
    split_seed: int = 0
    """That chose the rows held out, if none said so; told in the manifest, of no other use here."""
    live_revision: str = ""
    """Resource name of the revision to compare with, which lies in `RunFolder.live`; empty without one."""
    live_digest: str = ""
    """Of its manifest."""
    benchmark_dir: str = ""
    """The operator's benchmark files; empty without any."""
    start_digest: str = ""
    """Digest of the manifest of the revision to begin with, which lies in `RunFolder.start`; empty without one."""
    servability_proof: ServabilityMode = ServabilityMode.STATIC
    max_lora_rank: int = 64
    """Largest rank that is served."""
    served_type: ServedType = ServedType.AUTO
    """In which the adapter is evaluated, whatever it was trained in."""
    served_context_tokens: int = DEFAULT_CONTEXT_TOKENS
    """Most tokens of a prompt with its answer where it is served, unless the base has fewer."""

    def to_json(self) -> bytes:
        """Inverse of `from_json`."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True, ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, data: bytes) -> RunSpec:
        """Reads `run.json`, which only the service writes."""
        body = json.loads(data)
        enums = {
            "mode": TrainingMode(body["mode"]),
            "initialization": Initialization(body.get("initialization", Initialization.KAIMING)),
            "preset": Preset(body.get("preset", Preset.BALANCED)),
            "served_type": ServedType(body.get("served_type", ServedType.AUTO)),
            "servability_proof": ServabilityMode(body.get("servability_proof", ServabilityMode.STATIC)),
        }
        return cls(**{**body, **enums})


@dataclass(frozen=True)
class RunFolder:
    """Names of the files in a run's folder; who writes each is said beside it."""

    path: Path

    @property
    def spec(self) -> Path:
        """Service: the `RunSpec`."""
        return self.path / "run.json"

    @property
    def train_rows(self) -> Path:
        """Service: JSON Lines of row, input, output (canonical)."""
        return self.path / "train.jsonl"

    @property
    def holdout_rows(self) -> Path:
        """Service: as `train_rows`."""
        return self.path / "holdout.jsonl"

    @property
    def stop(self) -> Path:
        """Service: exists when the run shall stop, and says why; each attempt begins without."""
        return self.path / "stop"

    @property
    def start(self) -> Path:
        """Service: the package of the revision to begin with, where there is one."""
        return self.path / "start"

    @property
    def recipe(self) -> Path:
        """Child: what its state was made by; state that another recipe left is not gone on with."""
        return self.path / "recipe.json"

    @property
    def lock(self) -> Path:
        """Child: locked while it lives, so that two never run in one folder."""
        return self.path / "lock"

    @property
    def events(self) -> Path:
        """Child: JSON Lines, appended; see `trainer_svc.engine.journal`."""
        return self.path / "events.jsonl"

    @property
    def checkpoints(self) -> Path:
        """Child: resume state; holds pickles, never leaves this folder."""
        return self.path / "checkpoints"

    @property
    def candidate(self) -> Path:
        """Child: the adapter that is being validated on the way."""
        return self.path / "candidate"

    @property
    def best(self) -> Path:
        """Child: of those that were validated, the adapter with the highest score so far; becomes `adapter`."""
        return self.path / "best"

    @property
    def processes(self) -> Path:
        """Child: where the processes that train together find each other, while they do."""
        return self.path / "processes"

    @property
    def former_best(self) -> Path:
        """Child: the one before, while `best` is replaced."""
        return self.path / "best.former"

    @property
    def milestones(self) -> Path:
        """Child: the adapter at steps that are evaluated."""
        return self.path / "milestones"

    def milestone(self, step: int) -> Path:
        """Child: the adapter after a step, whole once it exists."""
        return self.milestones / f"step-{step}"

    @property
    def live(self) -> Path:
        """Service: the package of the revision that serves now, to be compared with, where there is one."""
        return self.path / "live"

    @property
    def live_rows(self) -> Path:
        """Service: as `train_rows`, of the revision to compare with; absent where nobody knows them."""
        return self.path / "live_rows.jsonl"

    @property
    def evaluations(self) -> Path:
        """Child: what was measured of each adapter, so that a death does not cost it all."""
        return self.path / "evaluations"

    @property
    def evaluation(self) -> Path:
        """Child: the whole evaluation."""
        return self.path / "evaluation.json"

    @property
    def evaluated_rows(self) -> Path:
        """Child: JSON Lines of the held-out rows with the answers that were given to them."""
        return self.path / "evaluated_rows.jsonl"

    @property
    def adapter(self) -> Path:
        """Child: the trained adapter as PEFT saves it."""
        return self.path / "adapter"

    @property
    def package(self) -> Path:
        """Child: the adapter package, complete once it exists."""
        return self.path / "package"

    @property
    def draft(self) -> Path:
        """Child: the package before it is evaluated, while it is shown to vLLM."""
        return self.path / "draft"

    @property
    def prompt_sets(self) -> Path:
        """Child: what vLLM is asked beside the canaries."""
        return self.path / "prompt_sets.json"

    @property
    def vllm_pulse(self) -> Path:
        """Process of vLLM: touched while it works, so that one that hangs is noticed."""
        return self.path / "vllm_pulse"

    @property
    def servability(self) -> Path:
        """Process of vLLM: the `ServabilityProof` of the package."""
        return self.path / "servability.json"

    @property
    def unservable(self) -> Path:
        """Process of vLLM: what it has against the package."""
        return self.path / "unservable.txt"

    @property
    def result(self) -> Path:
        """Child: digest of the manifest and the evaluation; written last."""
        return self.path / "result.json"

    @property
    def failure(self) -> Path:
        """Child: reason, message and user_error of a failed run."""
        return self.path / "failure.json"
