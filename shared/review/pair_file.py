"""Pairs as JSON lines: who reviews without the page adds a verdict to each line and sends the file back."""

from __future__ import annotations

import json
from collections.abc import Iterable

from goldsmith.trainer.v1 import preference_pb2 as pb


def pair_lines(study: str, pairs: Iterable[pb.PreferencePair]) -> str:
    """One pair a line, in ASCII."""
    documents = (
        {"study": study, "pair": pair.id, "input": pair.input, "left": pair.left_answer, "right": pair.right_answer}
        for pair in pairs
    )
    return "".join(json.dumps(document) + "\n" for document in documents)
