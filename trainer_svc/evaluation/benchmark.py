"""The operator's own benchmarks: what an adapter must not unlearn. JSON Lines of a prompt and its answer."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from shared.errors import FieldViolation, InvalidInput

MAX_ROWS = 500
"""Of one file; each is answered once by the base and once by each evaluated adapter."""
MAX_FILES = 20
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Question:
    """A prompt and the answer that counts as right."""

    prompt: str
    answer: str


@dataclass(frozen=True)
class Benchmark:
    """Questions of one file, by its name without the ending."""

    name: str
    questions: tuple[Question, ...]


def load_benchmarks(folder: Path) -> tuple[Benchmark, ...]:
    """Every `*.jsonl` of a folder, by name.

    Raises:
        InvalidInput: FIELD_INVALID, there is none, there are too many, or a line has no prompt and answer.
    """
    files = sorted(folder.glob("*.jsonl"))
    if not 1 <= len(files) <= MAX_FILES:
        raise _invalid(str(folder), f"must hold 1 to {MAX_FILES} files *.jsonl, has {len(files)}")
    return tuple(Benchmark(path.stem, _questions(path)) for path in files)


def is_right(question: Question, text: str) -> bool:
    """Whether an answer begins with the right one, but for case, punctuation and spacing."""
    wanted = _WORD.findall(question.answer.casefold())
    return _WORD.findall(text.casefold())[: len(wanted)] == wanted


def _questions(path: Path) -> tuple[Question, ...]:
    try:
        *lines, rest = path.read_text(encoding="utf-8").split("\n")  # other breaks may stand inside a text of JSON
    except (OSError, UnicodeDecodeError) as err:
        raise _invalid(str(path), f"cannot be read as UTF-8: {err}") from err
    lines += [rest] if rest else []
    if not 1 <= len(lines) <= MAX_ROWS:
        raise _invalid(str(path), f"must hold 1 to {MAX_ROWS} lines, has {len(lines)}")
    return tuple(_question(f"{path}:{number}", line) for number, line in enumerate(lines, 1))


def _question(place: str, line: str) -> Question:
    try:
        body = json.loads(line)
        prompt, answer = body["prompt"], body["answer"]
    except (ValueError, KeyError, TypeError) as err:
        raise _invalid(place, 'must be an object with "prompt" and "answer"') from err
    if not (isinstance(prompt, str) and isinstance(answer, str) and prompt and _WORD.search(answer)):
        raise _invalid(place, "prompt and answer must be texts, the answer with a letter or a digit")
    return Question(prompt, answer)


def _invalid(place: str, text: str) -> InvalidInput:
    return InvalidInput(
        "FIELD_INVALID",
        f"{place}: {text}",
        hint='a benchmark is a file of lines {"prompt": "...", "answer": "..."}',
        violations=[FieldViolation("benchmark_dir", f"{place}: {text}")],
    )
