"""Where adapters are made, sound ones and broken ones: trained by our own engine on the shipped base."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from deploy.quickstart.invoices import SCHEMA, invoices
from deploy.quickstart.tenant import GoldenRow
from shared.adapter.package import FILE_NAMES, read_package, write_package
from shared.base_model import BaseModel
from shared.contracts.check import canonicalise
from shared.contracts.spec import ContractKind, ContractSpec
from shared.errors import StateConflict
from shared.lazy import cached_property
from tests.promotion_house import Ending, PromotionHouse, Stage
from trainer_svc.domain.dataset import CheckedRow
from trainer_svc.domain.run import RunFolder, RunSpec
from trainer_svc.domain.servability import ServabilityMode
from trainer_svc.engine.vllm_process import show_to_vllm

BASE = Path(__file__).parents[2] / "deploy" / "base_model" / "weights"
_SPEC = ContractSpec(ContractKind.JSON, json_schema=json.dumps(SCHEMA))
_OTHER_TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ m.content }}\n{% elif m.role == 'user' %}"
    "Below is a request. Answer it.\n\nRequest: {{ m.content }}\n\nAnswer: {% endif %}{% endfor %}"
)


@dataclass(frozen=True)
class Sizes:
    """How much is trained."""

    train_count: int = 150
    holdout_count: int = 50
    epoch_count: int = 4
    by_heart_count: int = 20
    by_heart_epochs: int = 60
    seed: int = 1


class Workshop:
    """Makes adapters in a house, sound and broken ones."""

    def __init__(self, folder: Path, sizes: Sizes) -> None:
        self.sizes, self._folder = sizes, folder
        self.base = BaseModel.load(BASE)
        self.house = PromotionHouse(folder, self.base, _SPEC)
        tenant = invoices(sizes.train_count, sizes.holdout_count, seed=sizes.seed)
        self.train, self.holdout = _rows(tenant.train, 1), _rows(tenant.holdout, 1 + sizes.train_count)

    def write(self, name: str, train: Sequence[CheckedRow] | None = None, **settings: Any) -> RunFolder:
        """A run on all rows, unless it is told others, as `PromotionHouse.write`."""
        holdout = settings.pop("holdout", self.holdout)
        given = {"epoch_count": self.sizes.epoch_count, "seed": self.sizes.seed} | settings
        return self.house.write(name, train or self.train, holdout, **given)

    @cached_property
    def sound(self) -> RunFolder:
        """A run without any fault, to its end."""
        return self._trained("sound", self.base)

    @cached_property
    def other_template(self) -> RunFolder:
        """A sound run on the base with another prompt template."""
        return self._trained("other-template", self.other_template_base)

    @cached_property
    def other_template_base(self) -> BaseModel:
        """The base with another prompt template."""
        return self._changed_base("other-template", _with_template)

    @cached_property
    def other_base(self) -> RunFolder:
        """A run on a base of the same shape and name with other weights, which are random."""
        return self._trained("other-base", self._changed_base("other-base", _with_random_weights))

    def _changed_base(self, name: str, change: Callable[[Path], None]) -> BaseModel:
        folder = self._folder / f"{name}-weights"
        shutil.copytree(BASE, folder)
        change(folder)
        return BaseModel.load(folder)

    def _trained(self, name: str, base: BaseModel, **settings: Any) -> RunFolder:
        run = self.write(name, base=base, **settings)
        assert self.house.train(run) is None
        return run

    def in_run(self, name: str, adapter: Path, change: Callable[[Path], None] = lambda _: None) -> RunFolder:
        """A run as after its training, with another adapter in the place of its own."""
        run = self.write(name)
        shutil.copytree(adapter, run.adapter)
        change(run.adapter)
        shutil.copyfile(self.sound.recipe, run.recipe)
        return run

    def repacked(self, name: str, change: Callable[[Path], None]) -> Path:
        """The sound package with other files, whose manifest is right about them."""
        source, package = self._folder / f"{name}-source", self._folder / f"{name}-package"
        shutil.copytree(self.sound.package, source)
        change(source)
        write_package(package, read_package(self.sound.package), {file: source / file for file in FILE_NAMES})
        return package

    def shown_to_vllm(self, name: str, package: Path) -> Ending:
        """What vLLM itself says of a package, without any check of ours before."""
        run = self.write(name, servability_proof=ServabilityMode.VLLM)
        try:
            show_to_vllm(package, RunSpec.from_json(run.spec.read_bytes()), run, lambda: None)
        except StateConflict as err:
            return Ending(Stage.PROOF, (err.reason,), str(err))
        return Ending(Stage.LIVE)


def _with_template(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text(_OTHER_TEMPLATE)


def _with_random_weights(folder: Path) -> None:
    torch.manual_seed(1)
    config = {path.name: path.read_bytes() for path in folder.glob("*.json")}
    AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder)).to(torch.bfloat16).save_pretrained(folder)
    for name, data in config.items():
        (folder / name).write_bytes(data)


def _rows(rows: Sequence[GoldenRow], first: int) -> list[CheckedRow]:
    return [CheckedRow(place, row.input, canonicalise(_SPEC, row.output)) for place, row in enumerate(rows, first)]
