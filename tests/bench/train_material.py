"""What all trainers of a comparison get: the same base model, the same token ids and labels, the same step count."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from deploy.quickstart.invoices import invoices
from deploy.quickstart.tenant import GoldenRow
from shared.base_model import BaseModel
from shared.prompt import PromptRenderer
from trainer_svc.curation.compiled_example import Example, compile_examples
from trainer_svc.domain.dataset import CheckedRow
from trainer_svc.domain.plan import TrainingPlan, plan_training
from trainer_svc.domain.run import RunSpec

BASE = Path(__file__).parents[2] / "deploy" / "base_model" / "weights"
_FILE = "material.json"


@dataclass(frozen=True)
class Material:
    """Compiled rows of a generated golden dataset and the plan to train on them."""

    base: Path
    plan: TrainingPlan
    train: list[Example]
    holdout: list[Example]

    @classmethod
    def generate(cls, *, train_count: int, holdout_count: int, epoch_count: int) -> Material:
        """Supplier invoices for the shipped base model, under our own defaults."""
        tenant, base = invoices(train_count, holdout_count), BaseModel.load(BASE)
        renderer = PromptRenderer.load(base)
        train, holdout = (
            compile_examples(_rows(part), renderer, base.max_positions) for part in (tenant.train, tenant.holdout)
        )
        spec = RunSpec("", "", "", "", "", "", epoch_count=epoch_count)
        plan = plan_training(spec, train_count=len(train), hidden_size=base.hidden_size, model_type=base.model_type)
        return cls(BASE, plan, train, holdout)

    @property
    def token_count(self) -> int:
        """Tokens of a whole training, padding not counted."""
        return self.plan.epoch_count * sum(len(example.input_ids) for example in self.train)

    def save(self, folder: Path) -> None:
        """For another process to load."""
        (folder / _FILE).write_text(json.dumps(dataclasses.asdict(self), default=str))

    @classmethod
    def load(cls, folder: Path) -> Material:
        """Inverse of `save`."""
        body = json.loads((folder / _FILE).read_text())
        train, holdout = ([_example(part) for part in body[name]] for name in ("train", "holdout"))
        return cls(Path(body["base"]), TrainingPlan(**body["plan"]), train, holdout)


def _rows(rows: tuple[GoldenRow, ...]) -> list[CheckedRow]:
    return [CheckedRow(number, row.input, row.output) for number, row in enumerate(rows, 1)]


def _example(body: dict[str, object]) -> Example:
    return Example(tuple(body["input_ids"]), tuple(body["labels"]), body["prompt_length"])  # type: ignore[arg-type]  # ours
