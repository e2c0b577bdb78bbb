"""Reads a safetensors file of an untrusted author into NumPy, bf16 included, without a tensor library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.errors import StateConflict

_MAX_HEADER_BYTES = 8 << 20
"""A header of 100 layers x 7 modules x 2 tensors takes 250 KB; the format itself allows 100 MB."""
_MAX_DIMENSIONS = 8
_MAX_SIZE = 1 << 31
"""Of one dimension; NumPy raises for what does not fit into 63 bits together, an empty tensor's too."""
_DTYPES: dict[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
}  # Any: of several scalar types
# The safetensors package has no bf16 for NumPy, so the format's 8-byte length + JSON header is read here
# (https://huggingface.co/docs/safetensors, "Format").


def read_tensors(path: Path) -> dict[str, NDArray[np.float32]]:
    """All tensors as float32, by name.

    Raises:
        StateConflict: ADAPTER_REJECTED for a malformed file, another dtype, or bytes that no tensor owns.
    """
    data = np.memmap(path, dtype=np.uint8, mode="r") if path.stat().st_size else np.zeros(0, np.uint8)
    if len(data) < 8:
        raise _rejected("is shorter than a header")
    header_size = int(data[:8].view("<u8")[0])
    if header_size > min(_MAX_HEADER_BYTES, len(data) - 8):
        raise _rejected(f"has a header of {header_size} bytes")
    try:
        header: Any = json.loads(bytes(data[8 : 8 + header_size]))  # Any: checked here and in _read
    except (ValueError, RecursionError) as err:
        raise _rejected(f"has a header that is not JSON: {err}") from err
    if not isinstance(header, dict):
        raise _rejected("has a header that is not an object")
    header.pop("__metadata__", None)
    body = data[8 + header_size :]
    spans = []
    tensors = {}
    for name, entry in header.items():
        tensors[name], span = _read(name, entry, body)
        spans.append(span)
    end = 0
    for begin, stop in sorted(spans):
        if begin != end:
            raise _rejected(f"has a gap or an overlap at byte {end}")
        end = stop
    if end != len(body):
        raise _rejected(f"has {len(body) - end} bytes that no tensor owns")
    return tensors


def _read(name: str, entry: Any, body: NDArray[np.uint8]) -> tuple[NDArray[np.float32], tuple[int, int]]:  # Any: JSON
    try:
        dtype, shape = _DTYPES[entry["dtype"]], tuple(int(size) for size in entry["shape"])
        begin, stop = (int(place) for place in entry["data_offsets"])
    except (KeyError, TypeError, ValueError, OverflowError) as err:
        raise _rejected(f"tensor {name[:160]!r} must be F32, F16 or BF16 with shape and offsets") from err
    if min(shape, default=0) < 0 or not 0 <= begin <= stop <= len(body):
        raise _rejected(f"tensor {name[:160]!r} lies outside the file")
    if len(shape) > _MAX_DIMENSIONS or max(shape, default=0) > _MAX_SIZE:
        raise _rejected(f"tensor {name[:160]!r} has a shape that no array can have")
    count = 1
    for size in shape:
        count *= size
    if count * dtype.itemsize != stop - begin:
        raise _rejected(f"tensor {name[:160]!r} has {stop - begin} bytes for shape {shape}")
    raw = body[begin:stop].view(np.uint8).tobytes()
    values = np.frombuffer(raw, dtype)
    if entry["dtype"] == "BF16":  # bf16 is the upper half of a float32
        values = (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32).reshape(shape), (begin, stop)


def _rejected(text: str) -> StateConflict:
    return StateConflict("ADAPTER_REJECTED", f"adapter_model.safetensors {text}")
