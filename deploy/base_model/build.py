"""Rebuilds the base model from nothing: `python -m deploy.base_model.build --out deploy/base_model/weights`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from deploy.base_model.architecture import new_model
from deploy.base_model.export import export
from deploy.base_model.tokenizer import train_tokenizer
from deploy.base_model.train import train


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains tokenizer and model. The folder can be loaded from the first seconds on."""
    parser = argparse.ArgumentParser(prog="python -m deploy.base_model.build", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder that receives the model")
    parser.add_argument("--minutes", type=float, default=42.0, help="wall time of the training (default: 42)")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights and text (default: 0)")
    options = parser.parse_args(arguments)
    torch.manual_seed(options.seed)
    tokenizer = train_tokenizer()
    model = new_model()
    export(model, tokenizer, options.out)
    outcome = train(
        model,
        tokenizer,
        minutes=options.minutes,
        seed=options.seed + 1,
        save=lambda: export(model, tokenizer, options.out),
    )
    print(f"{outcome.steps} steps, {outcome.tokens} tokens, model in {options.out}")


if __name__ == "__main__":
    main()
