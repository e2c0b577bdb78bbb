"""Faults that are planted in real rows, each with what the gate must say of it."""

from __future__ import annotations

import json
import random
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from shared.contracts.spec import ContractKind
from tests.bench.gate_personal import MAKERS
from tests.bench.gate_set import GoldenSet, Row, with_split

EACH = 50
_FOREIGN = "Šárka Ångström naïve Müller façade Łukasz İstanbul São Ærø crème señor piñata Zürich — “quoted”".split()


@dataclass(frozen=True)
class Planted:
    """A fault in a row: `reasons` are findings of which the gate must give one, with `words` in it.

    `source` is the row that a copy was made of, and `value` the personal data that was put in.
    """

    fault: str
    row: int
    reasons: frozenset[str]
    words: str = ""
    path: str = ""
    source: int = 0
    value: str = ""


def plant(golden: GoldenSet, seed: int) -> tuple[list[Row], list[Planted]]:
    """The set with 50 rows of each fault: copies are put in between, other faults change rows of the set."""
    rng = random.Random(f"{seed} {golden.name}")
    rows = list(golden.rows)
    sound = [place for place, row in enumerate(rows) if golden.keeps_contract(row.output) and len(row.input) > 12]
    hosts = iter(rng.sample([place for place in sound if rows[place].split == "train"], 9 * EACH))
    changed: dict[int, tuple[Row, Planted]] = {}
    for fault in ("breach", *MAKERS, "encoding"):
        for turn in range(EACH):
            place = next(hosts)
            row, told = _changed(fault, golden, rows[place], rng, turn)
            changed[place] = row, replace(told, row=place)
    copies: list[tuple[int, Row, Planted]] = []
    for fault in ("duplicate", "near-duplicate", "contradiction", "leak"):
        for turn in range(EACH):
            place = next(hosts)
            row, told = _copied(fault, golden, [rows[other] for other in sound], rows[place], rng, turn)
            told = replace(told, source=place)
            copies.append((rng.randrange(place, len(rows)), row, told))  # of two that are alike the later is told
    copies.sort(key=lambda copy: copy[0])
    result: list[Row] = []
    planted: list[Planted] = []
    numbers: dict[int, int] = {}  # of the set's rows, now
    for place, row in enumerate(rows):
        own, own_told = changed.get(place, (row, None))
        result.append(own)
        numbers[place] = len(result)
        if own_told is not None:
            planted.append(replace(own_told, row=len(result)))
        while copies and copies[0][0] == place:
            _, copy, told = copies.pop(0)
            result.append(copy)
            planted.append(replace(told, row=len(result), source=numbers[told.source]))
    return result, planted


def _copied(
    fault: str, golden: GoldenSet, sound: list[Row], row: Row, rng: random.Random, turn: int
) -> tuple[Row, Planted]:
    if fault == "duplicate":
        return row, Planted(fault, 0, frozenset({"ROW_DUPLICATED"}))
    if fault == "near-duplicate":
        near = replace(row, input=_near(row.input, rng, turn))
        return near, Planted(fault, 0, frozenset({"ROW_NEARLY_DUPLICATED", "ROW_DUPLICATED"}))
    if fault == "leak":
        text = row.input if turn % 2 else _near(row.input, rng, turn // 2)
        return replace(with_split(row, "holdout"), input=text), Planted(fault, 0, frozenset({"HOLDOUT_LEAKED"}))
    text = (
        row.input if turn % 2 else _near(row.input, rng, turn // 2 % 2)
    )  # words in another order may mean another thing
    other = replace(row, input=text, output=_other_output(golden, sound, row, rng))
    return other, Planted(fault, 0, frozenset({"ROWS_CONTRADICT"}))


def _near(text: str, rng: random.Random, turn: int) -> str:
    """A slip of the pen, other case and punctuation, or two words that changed places."""
    words = [found.span() for found in re.finditer(r"[^\W\d_]{4,}", text)]
    if turn % 3 == 0 and words:
        begin, end = rng.choice(words)
        at = rng.randrange(begin + 1, end - 1)
        slips = (
            text[:at] + text[at + 1 :],
            text[:at] + text[at] + text[at:],
            text[:at] + text[at + 1] + text[at] + text[at + 2 :],
            text[:at] + rng.choice("aeiounrst") + text[at + 1 :],
        )
        return next((slip for slip in rng.sample(slips, 4) if slip != text), slips[1])
    parts = text.split(" ")
    if turn % 3 == 2 and len(parts) > 2:
        at = rng.randrange(len(parts) - 1)
        parts[at], parts[at + 1] = parts[at + 1], parts[at]
        if (swapped := " ".join(parts)) != text:
            return swapped
    return rng.choice((text.upper() + "!", text.title() + " ...", "  " + text.lower().rstrip("?.!"), text + " ?!"))


def _other_output(golden: GoldenSet, sound: list[Row], row: Row, rng: random.Random) -> str:
    """Of another row, or the same but for one field."""
    if golden.spec.kind is ContractKind.JSON and rng.random() < 0.5:
        value = json.loads(row.output)
        for name in rng.sample(sorted(value), len(value)):
            less = json.dumps({key: inner for key, inner in value.items() if key != name})
            if len(value) > 1 and golden.keeps_contract(less):
                return less
    while True:
        other = rng.choice(sound).output
        if re.sub(r"\W", "", other.casefold()) != re.sub(r"\W", "", row.output.casefold()):
            return other


def _changed(fault: str, golden: GoldenSet, row: Row, rng: random.Random, turn: int) -> tuple[Row, Planted]:
    if fault == "breach":
        output = _breach(golden, row.output, rng, turn)
        assert not golden.keeps_contract(output), f"no breach: {output}"
        return replace(row, output=output), Planted(fault, 0, frozenset({"CONTRACT_VIOLATED"}))
    if fault == "encoding":
        damage, words = _ENCODINGS[turn % len(_ENCODINGS)], " ".join(rng.sample(_FOREIGN, 2))
        text = f"{row.input} {damage(words)}" if turn % 2 else f"{damage(words)} {row.input}"
        reasons = frozenset({"TEXT_DAMAGED", "TEXT_HAS_HIDDEN_SIGNS", "TEXT_NOT_NORMALISED"})
        return replace(row, input=text), Planted(fault, 0, reasons)
    kind, make = MAKERS[fault]
    told = Planted(fault, 0, frozenset({"PERSONAL_DATA"}), kind)
    for value in (make(rng) for _ in range(3 * (turn % 2))):
        for output in _outputs_with(golden, row.output, value, rng):
            if golden.keeps_contract(output):
                return replace(row, output=output), replace(told, path="output", value=value)
    value = make(rng)
    return replace(row, input=_inserted(row.input, value, rng)), replace(told, path="input", value=value)


def _inserted(text: str, value: str, rng: random.Random) -> str:
    """Between two words, or at an end."""
    at = rng.choice([0, len(text), *(found.start() for found in re.finditer(" ", text))])
    frame = rng.choice(("{}", "{}", "({})", "{},", '"{}"', "<{}>"))
    return f"{text[:at].rstrip(' ')} {frame.format(value)} {text[at:].lstrip(' ')}".strip(" ")


def _outputs_with(golden: GoldenSet, output: str, value: str, rng: random.Random) -> Iterator[str]:
    """A text of the output replaced or lengthened by the value; none may keep the contract."""
    if golden.spec.kind is not ContractKind.JSON:
        literals = list(re.finditer('"([^"]+)"', output))
        for found in rng.sample(literals, len(literals)):
            yield output[: found.start(1)] + value + output[found.end(1) :]
        return
    body = json.loads(output)
    names = [name for name, inner in body.items() if isinstance(inner, str)]
    for name in rng.sample(names, len(names)):
        yield json.dumps({**body, name: rng.choice((value, f"{body[name]} {value}"))})


def _breach(golden: GoldenSet, output: str, rng: random.Random, turn: int) -> str:
    if golden.spec.kind is not ContractKind.JSON:
        return (
            output.replace("SELECT", "SELEKT", 1), output.replace(" FROM ", " FROM no_such_table, ", 1),
            output + " ;; DROP", output[: len(output) // 2] + " WHERE (", "The query is: " + output,
        )[turn % 5]  # fmt: skip
    body = json.loads(output)
    name = rng.choice(sorted(body)) if body else "x"
    return (
        json.dumps({**body, "not_declared": 1}), json.dumps({**body, name: {"nested": [1]}}), output[:-1],
        json.dumps([body]), "Answer: " + output, json.dumps({**body, name: "x" * 5_000}),
    )[turn % 6]  # fmt: skip


_ENCODINGS: tuple[Callable[[str], str], ...] = (
    lambda text: text.encode().decode("latin-1"),
    lambda text: text.encode().decode("cp1252", errors="replace"),
    lambda text: text.encode("ascii", errors="replace").decode().replace("?", "\ufffd"),
    lambda text: unicodedata.normalize("NFD", text + " é"),
    lambda text: text.replace(" ", "\u200b "),
    lambda text: "\ufeff" + text,
    lambda text: text + "\x07",
    lambda text: text.replace(" ", " &amp; &eacute;"),
    lambda text: text.replace(" ", "\u00ad "),
    lambda text: text.encode().decode("latin-1").encode().decode("latin-1"),
)
