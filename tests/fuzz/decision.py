"""An input as a series of decisions."""

from __future__ import annotations

import random

import atheris

_EXTENSION_BYTES = 256


def decisions(raw: bytes) -> atheris.FuzzedDataProvider:
    """Decisions from `raw`; when it ends, from bytes that follow from it alone.

    libFuzzer prefers the shortest input that reaches a line, and a provider that runs dry always decides for the first
    choice: with short inputs alone one case in twenty was ever tried. The provider takes numbers from the end.
    """
    return atheris.FuzzedDataProvider(random.Random(raw).randbytes(_EXTENSION_BYTES) + raw)
