"""Verdicts as JSON lines, from the page or by hand: a stranger's file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from goldsmith.trainer.v1 import preference_pb2 as pb
from shared.errors import FieldViolation, InvalidInput

MAX_BYTES = 64 << 20
"""Of a file: 1,000 pairs of the longest texts, with their verdicts, are less."""


class _Line(BaseModel):
    """One line; input, left and right may stand there as they were exported, and are not read."""

    model_config = ConfigDict(strict=True, extra="forbid")

    study: str
    pair: str
    verdict: Literal["LEFT", "RIGHT", "EQUAL", "BOTH_BAD"]
    comment: str = ""
    input: str = ""
    left: str = ""
    right: str = ""


def read_verdicts(study: str, data: bytes) -> list[pb.PreferenceVerdict]:
    """Verdicts of a study. Empty lines are passed over.

    Raises:
        InvalidInput: FIELD_INVALID that names every line at fault: no verdict, one of another study, a pair twice.
    """
    if len(data) > MAX_BYTES:
        raise InvalidInput("FIELD_INVALID", f"the file has {len(data):,} bytes, more than {MAX_BYTES:,}")
    faults: list[FieldViolation] = []
    verdicts: list[pb.PreferenceVerdict] = []
    places: dict[str, int] = {}
    for number, text in enumerate(data.split(b"\n"), start=1):
        if not text.strip():
            continue
        try:
            line = _Line.model_validate_json(text)
        except ValidationError as err:
            faults += _faults(number, err)
            continue
        first = places.setdefault(line.pair, number)
        if line.study != study:
            faults.append(FieldViolation(f"line {number}, study", f"is {line.study[:120]!r}, not {study}"))
        elif first != number:
            faults.append(FieldViolation(f"line {number}, pair", f"{line.pair[:40]!r} stands on line {first} already"))
        else:
            choice = pb.PreferenceChoice.Value(f"PREFERENCE_CHOICE_{line.verdict}")
            verdicts.append(pb.PreferenceVerdict(pair=line.pair, choice=choice, comment=line.comment))
    if faults:
        raise InvalidInput("FIELD_INVALID", f"{len(faults)} faults in the file of verdicts", violations=faults)
    if not verdicts:
        raise InvalidInput("FIELD_INVALID", "the file holds no verdict")
    return verdicts


def _faults(number: int, error: ValidationError) -> Iterator[FieldViolation]:
    for fault in error.errors(include_url=False, include_input=False):
        field = ".".join(map(str, fault["loc"]))
        yield FieldViolation(f"line {number}, {field}" if field else f"line {number}", fault["msg"])
