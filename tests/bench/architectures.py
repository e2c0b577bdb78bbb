"""Which architectures can be trained and served: each trained by our engine, served by vLLM, compared with PEFT.

Writes build/bench/architectures.json and the table in README.md. Takes half a minute for each.
"""

from __future__ import annotations

import importlib.metadata
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from shared.architecture import ARCHITECTURES, Architecture
from shared.base_model import BaseModel
from tests.architecture_check import Found, check_architecture
from tests.bench.result import Figures, keep

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
BEGIN, END = "<!-- architectures -->\n", "<!-- /architectures -->\n"
_MOST_LOSS_ERROR = 1e-4
"""Relative; sums in another order differ by about 1e-6 in float32."""
_NOTES = {
    "cohere": "logits are scaled",
    "exaone4": "windows",
    "gemma2": "windows; capped scores and logits: attends eagerly in training",
    "gemma3_text": "windows",
    "granite": "scores and logits are scaled",
    "mistral": "windows",
    "olmo3": "windows",
    "phi3": "windows; fused projections",
    "starcoder2": "windows",
}
"""In what each differs from Llama where training must heed it; `tests/architecture_sample.py` has it so."""


@dataclass(frozen=True)
class Row:
    """An architecture and how it did; without a finding, why there is none."""

    architecture: Architecture
    found: Found | None
    failure: str = ""

    def cells(self) -> list[str]:
        """Of the table."""
        own, found = self.architecture, self.found
        layers = ", ".join(own.target_modules)
        notes = [_NOTES[own.model_type]] if own.model_type in _NOTES else []
        if found is None:
            return [own.title, f"`{own.model_type}`", layers, "", "no", "", "", "", self.failure]
        if found.is_by_transformers:
            notes.append("vLLM runs transformers' own code")
        return [
            own.title,
            f"`{own.model_type}`",
            layers,
            "yes" if found.loss_error <= _MOST_LOSS_ERROR else f"{found.loss_error:.1%} off",
            "yes",
            f"{found.equal_ratio:.1%} of {found.token_count}",
            f"{found.base_ratio:.0%}",
            f"{found.log_probability_error:.0e}",
            "; ".join(notes),
        ]

    def figures(self) -> Figures:
        """Flat, by the architecture's name."""
        name = self.architecture.model_type
        if self.found is None:
            return {f"{name}_served": 0}
        return {
            f"{name}_served": 1,
            f"{name}_loss_error": self.found.loss_error,
            f"{name}_equal_ratio": self.found.equal_ratio,
            f"{name}_base_ratio": self.found.base_ratio,
            f"{name}_log_probability_error": self.found.log_probability_error,
        }


_HEADS = (
    "architecture", "`model_type`", "adapted layers", "our loss is transformers'", "loads in vLLM",
    "equal greedy tokens", "without the adapter", "log probabilities differ by", "note",
)  # fmt: skip


def measure(model_type: str) -> Row:
    """One architecture, in a folder of its own and with an engine of its own."""
    shipped = BaseModel.load(ROOT / "deploy" / "base_model" / "weights")
    architecture = ARCHITECTURES[model_type]
    with tempfile.TemporaryDirectory() as folder:
        try:
            return Row(architecture, check_architecture(model_type, Path(folder), shipped))
        except Exception as err:  # of three libraries; the table says it
            return Row(architecture, None, f"{type(err).__name__}: {err}".splitlines()[0][:120].replace("|", "/"))


def table(rows: Sequence[Row]) -> str:
    """The block of README between its marks."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("transformers", "peft"))
    engine, *_ = importlib.metadata.packages_distributions()["vllm"]
    text = (
        "Adapters are trained for, and served on, the architectures below; a base model of any other is refused at the"
        " start. Each row: a base of two layers with random weights, 20 steps by our engine, then every next token of"
        " six answers by vLLM with the adapter against transformers and PEFT, in float32, and by vLLM without it"
        f" (`make bench-architectures`; {engine} {importlib.metadata.version(engine)}, {versions}; {os.cpu_count()}"
        f" cores, {time.strftime('%Y-%m')})."
    )
    lines = [
        text,
        "",
        "| " + " | ".join(_HEADS) + " |",
        "|" + "---|" * len(_HEADS),
        *("| " + " | ".join(row.cells()) + " |" for row in rows),
    ]
    return "\n".join(lines) + "\n"


def put_into(text: str, block: str) -> str:
    """README's text with the block between the marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{block}{END}{after}"


def main() -> None:
    """Measures all, keeps what was found after each, and writes README's table at the end."""
    rows: list[Row] = []
    figures: Figures = {}
    for model_type in ARCHITECTURES:
        rows.append(measure(model_type))
        Console().print(" | ".join(rows[-1].cells()))
        figures |= rows[-1].figures()
        keep("architectures", figures)
    README.write_text(put_into(README.read_text(), table(rows)))


if __name__ == "__main__":
    main()
