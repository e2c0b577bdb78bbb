"""The process that reads one Parquet file, under limits, and may be killed: `python -m ...reader.parquet_worker`.

Standard input: one JSON object (`file`, `rows_file`, and the fields of `ParquetLimits`). Exit status 0: `rows_file` has
a line for each row, [number, fields] or [number, reason, field, message]. 3: refused, [reason, message] as JSON on
standard output. 4: out of memory. 5: the disk is full.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shared.child import EXIT_OUT_OF_MEMORY, EXIT_REFUSED
from trainer_svc.curation.reader.row import MAX_ROW_BYTES, MAX_ROWS, FileFault, too_many_rows

EXIT_DISK_FULL = 5
_BATCH_ROWS = 64
_MAX_DEPTH = 32
"""Of a type: deeper ones are nobody's output."""
_REQUIRED, _OPTIONAL = ("input", "output"), ("split",)
_Arrow = Any  # Any: pyarrow ships no types


def main() -> int:
    """Reads what standard input asks for."""
    order: dict[str, Any] = json.loads(sys.stdin.buffer.read())  # Any: our own message, see the module's text
    import pyarrow as pa
    import pyarrow.parquet  # before the limit: its libraries take address space

    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    _limit(order)
    try:
        _convert(Path(order["file"]), Path(order["rows_file"]), order["rows_bytes"])
    except FileFault as fault:
        json.dump([fault.reason, fault.message], sys.stdout)
        return EXIT_REFUSED
    except (MemoryError, pa.ArrowMemoryError):
        return EXIT_OUT_OF_MEMORY
    except (pa.ArrowException, OSError, ValueError, RecursionError) as err:
        if isinstance(err, OSError) and err.errno in (errno.ENOSPC, errno.EDQUOT):
            return EXIT_DISK_FULL
        json.dump(["FILE_UNREADABLE", _said(err)], sys.stdout)
        return EXIT_REFUSED
    return 0


def _limit(order: dict[str, Any]) -> None:  # Any: as in main
    resource.setrlimit(resource.RLIMIT_AS, (order["memory_bytes"], order["memory_bytes"]))
    resource.setrlimit(resource.RLIMIT_CPU, (order["cpu_seconds"], order["cpu_seconds"] + 1))
    # Twice: what is written is counted below, in the caller's terms; the kernel only stops what goes past that.
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * order["rows_bytes"], 2 * order["rows_bytes"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def _said(err: BaseException) -> str:
    """What Arrow says of a file, in one line."""
    text = " ".join(str(err).split())[:300]
    hint = "write it without encryption" if "encrypt" in text.casefold() else "write it again, or send JSON Lines"
    return f"is not Parquet that can be read: {text}; {hint}"


def _convert(file: Path, rows_file: Path, rows_bytes: int) -> None:
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    source = pa.BufferReader(file.read_bytes())  # not by name, which would stand in messages
    with ParquetFile(source, pre_buffer=False) as parquet, rows_file.open("wb") as out:
        if parquet.metadata.num_rows > MAX_ROWS:
            raise too_many_rows(MAX_ROWS)
        names = _columns(parquet.schema_arrow)
        left = rows_bytes
        for line in _rows(parquet, names):
            left -= len(line)
            if left < 0:
                raise FileFault("FILE_TOO_LARGE", f"unpacks to more than {rows_bytes} bytes of rows: send fewer rows")
            out.write(line)


def _columns(schema: _Arrow) -> list[str]:
    """The names of the columns, if they are those of a golden dataset."""
    from pyarrow import types

    names = list(schema.names)
    if len(set(names)) < len(names) or not set(_REQUIRED) <= set(names) <= {*_REQUIRED, *_OPTIONAL}:
        shown = ", ".join(repr(name[:40]) for name in names[:10]) or "none"
        message = f"must have the columns input, output and, if wanted, split; it has {shown}"
        raise FileFault("FILE_UNREADABLE", message)
    for name in names:
        kind = schema.field(name).type
        kind = kind.value_type if types.is_dictionary(kind) else kind
        if not _is_text(kind) and (name != "output" or not _is_json(kind)):
            wanted = "text, or numbers, booleans, lists and structs of these" if name == "output" else "text"
            raise FileFault("FILE_UNREADABLE", f"column {name} must hold {wanted}, it holds {str(kind)[:80]}")
    return names


def _is_text(kind: _Arrow) -> bool:
    from pyarrow import types

    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _is_json(kind: _Arrow, depth: int = 0) -> bool:
    """Whether values of a type are JSON, without a decision about how to write them."""
    from pyarrow import types

    if depth > _MAX_DEPTH:
        return False
    if types.is_struct(kind):
        fields = [kind.field(place) for place in range(kind.num_fields)]
        unique = len({field.name for field in fields}) == len(fields)
        return unique and all(_is_json(field.type, depth + 1) for field in fields)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return _is_json(kind.value_type, depth + 1)
    plain = (types.is_boolean, types.is_integer, types.is_floating, types.is_null)
    return _is_text(kind) or any(is_kind(kind) for is_kind in plain)


def _rows(parquet: _Arrow, names: list[str]) -> Iterator[bytes]:
    number = 0
    for batch in parquet.iter_batches(batch_size=_BATCH_ROWS, columns=names, use_threads=False):
        columns = [batch.column(name) for name in names]
        for place in range(batch.num_rows):
            number += 1
            if number > MAX_ROWS:
                raise too_many_rows(number)
            yield json.dumps(_row(number, names, columns, place), ensure_ascii=False).encode() + b"\n"


def _row(number: int, names: list[str], columns: list[_Arrow], place: int) -> list[object]:
    fields: dict[str, object] = {}
    for name, column in zip(names, columns, strict=True):
        try:
            value = column[place].as_py()
            text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        except ValueError as err:  # UnicodeDecodeError is one, and so is what json says of NaN
            return [number, "ROW_INVALID", name, f"cannot be read: {err}"]
        if len(text) > MAX_ROW_BYTES // 4:  # of up to four bytes each
            return [number, "ROW_INVALID", name, f"has more than {MAX_ROW_BYTES // 4} characters"]
        if value is not None:  # Parquet has no other way to leave a cell out
            fields[name] = value
    return [number, fields]


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # threads of native code may hold on
