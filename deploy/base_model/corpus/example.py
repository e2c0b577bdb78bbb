"""What a generated document is, and how JSON targets are written."""

import json
from dataclasses import dataclass

SYSTEM = "<|system|>"
INPUT = "<|input|>"
OUTPUT = "<|output|>"
END = "<|end|>"
PAD = "<|pad|>"
SPECIAL_TOKENS = (PAD, END, SYSTEM, INPUT, OUTPUT)


@dataclass(frozen=True)
class Example:
    """One training document. `copied` are the values that the output takes from the input letter by letter."""

    task: str
    input: str
    output: str
    system: str = ""
    copied: tuple[str, ...] = ()
    ddl: str = ""

    def prompt(self) -> str:
        """Returns everything before the target."""
        return (SYSTEM + self.system if self.system else "") + INPUT + self.input + OUTPUT

    def target(self) -> str:
        """Returns what the model has to write."""
        return self.output + END


def canonical_json(value: object) -> str:
    """Returns compact JSON with raw UTF-8, keys in the order given."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
