"""Structured logs: one JSON object a line on standard error, never a tenant's content."""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType, TracebackType

from shared.errors import DomainError

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_NO_IDS: Mapping[str, str] = MappingProxyType({})
_IDS: ContextVar[Mapping[str, str]] = ContextVar("log_ids", default=_NO_IDS)

ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def bind(ids: Mapping[str, str]) -> None:
    """Puts these fields into every line that the current task, and the tasks it starts, log from now on."""
    _IDS.set(ids)


class JsonFormatter(logging.Formatter):
    """Renders a record, the ids of the request it belongs to and its `extra` fields as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, keys in a fixed order: time, level, logger, message, the request's ids, then the extras."""
        body: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": _message(record),
        }
        body |= _IDS.get()
        body |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info:
            body["exception"] = self.formatException(record.exc_info)
        return json.dumps(body, ensure_ascii=False, default=str)

    def formatException(self, ei: ExceptionInfo) -> str:  # noqa: N802  # logging's name
        """Places and types of an exception and its causes, the first cause first, without their texts.

        The text of an exception quotes what it stumbled over, which may be a tenant's prompt or answer. Where the text
        is known to be harmless and useful, the caller logs it as a field.
        """
        chain: list[str] = []
        error = ei[1]
        while error is not None and len(chain) < _MAX_CAUSES:
            places = "".join(traceback.format_tb(error.__traceback__))
            chain.append(f"{places}{_named(error)}")
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        return "\nthen\n".join(reversed(chain))


_MAX_CAUSES = 8
_QUOTING = ("sqlglot", "httpx", "httpcore")
"""Loggers of libraries that quote what they read. What they warn of reaches us as an error, or does not matter."""


def _message(record: logging.LogRecord) -> str:
    text = record.getMessage()
    # asyncio's later lines are the representation of a task, with the text of its exception.
    return text.partition("\n")[0] if record.name == "asyncio" else text


def _named(error: BaseException) -> str:
    """Type of an error, with what says more and quotes nobody: a reason of ours, or the system's error number."""
    name = type(error).__qualname__
    if isinstance(error, DomainError):
        return f"{name}: {error.reason}"
    if isinstance(error, OSError) and error.strerror:
        return f"{name}: {error.strerror}"
    return name


def configure(level: str = "INFO") -> None:
    """Sends records to standard error as JSON lines, replacing earlier handlers; libraries that quote are silenced."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _QUOTING:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
