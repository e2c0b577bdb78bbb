"""Where commands find the services unless they are told otherwise."""

from __future__ import annotations

from typing import Annotated

import typer

TRAINER = "127.0.0.1:50051"
INFERENCE = "127.0.0.1:50052"
TrainerAddress = Annotated[str, typer.Option(metavar="HOST:PORT", help="The trainer service.")]
InferenceAddress = Annotated[str, typer.Option(metavar="HOST:PORT", help="The inference service.")]
