"""Schemas with valid and invalid instances, and the small vocabulary that the tests build automata over."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from shared.contracts.automaton import TokenAutomaton
from shared.contracts.grammar.expression import regex
from shared.contracts.index import build_automaton
from shared.contracts.lower import lower
from shared.contracts.spec import ContractKind, ContractSpec
from shared.contracts.vocabulary import TokenVocabulary

Json = Any  # JSON values


def closed(properties: dict[str, Json], required: list[str] | None = None) -> dict[str, Json]:
    """A closed object; everything is required unless said otherwise."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
        "additionalProperties": False,
    }


def string(**keywords: Json) -> dict[str, Json]:
    """A string schema."""
    return {"type": "string", **keywords}


def number(**keywords: Json) -> dict[str, Json]:
    """A number schema."""
    return {"type": "number", **keywords}


def integer(**keywords: Json) -> dict[str, Json]:
    """An integer schema."""
    return {"type": "integer", **keywords}


_MONEY = closed({"amount": number(minimum=0, multipleOf=0.01), "currency": {"enum": ["EUR", "USD", "GBP"]}})
_CARD = closed({"kind": {"const": "card"}, "last4": string(pattern="^[0-9]{4}$")})
_CASH = closed({"kind": {"const": "cash"}, "amount": integer()})

# name: (schema, valid instances, invalid instances)
SAMPLES: dict[str, tuple[dict[str, Json], list[Json], list[Json]]] = {
    "string": (string(), ["", "a", 'say "hi"', "back\\slash\n\té€😀"], [1, None]),
    "string_bare_max": (string(maxLength=20), ["", "x" * 20, '"' * 20, "😀" * 20], ["x" * 21]),
    "string_min": (string(minLength=3), ["abc", "äöü"], ["ab", "😀😀"]),
    "string_min_max": (string(minLength=2, maxLength=6), ["ab", "\\\\\\\\\\\\"], ["a", "abcdefg"]),
    "string_empty": (string(maxLength=0), [""], ["a"]),
    "string_const": ({"const": 'q"\\é\n'}, ['q"\\é\n'], ["q"]),
    "enum_mixed": (
        {"enum": [1, "1", None, True, [1, {"a": 2.5}], 1e-7]},
        [1, "1", None, True, [1, {"a": 2.5}], 1e-7],
        [2],
    ),
    "enum_typed": ({"type": "string", "enum": ["a.b|c", 3, "é"], "maxLength": 5}, ["a.b|c", "é"], [3, "axb|c"]),
    "enum_prefixes": ({"enum": ["a", "ab", "abc", "b"]}, ["a", "ab", "abc"], ["abcd", "ba"]),
    "pattern_anchored": (string(pattern="^[A-Z]{2}-[0-9]{4}$"), ["AB-1234"], ["AB-123", "xAB-1234"]),
    "pattern_search": (string(pattern="[0-9]{2}"), ["12", "a12b", '"12"'], ["1a2", ""]),
    "pattern_dot": (string(pattern="^.{1,3}$"), ["a", '"\\"', "é€😀"], ["", "abcd", "\n"]),
    "pattern_negated": (string(pattern="^[^a]{1,4}$"), ["bcd", 'q"q\n'], ["a", ""]),
    "pattern_length": (string(pattern="^[a-z]+$", maxLength=5), ["a", "abcde"], ["abcdef", "", "A"]),
    "pattern_both_lengths": (
        string(pattern="^(ab|c)+$", minLength=3, maxLength=6),
        ["abc", "ccc", "ababab"],
        ["ab", "c" * 7],
    ),
    "pattern_search_length": (string(pattern="x", maxLength=6), ["x", '""x""', "axx"], ["", "aaa", "aaaaaax"]),
    "pattern_classes": (string(pattern=r"^\d{2}\s\w+\S$"), ["12 ab!", "00\tz_ü"], ["1 ab", "12ab"]),
    "pattern_alternatives": (string(pattern="^a|b$"), ["abc", "cab", "a", "b"], ["cac", ""]),
    "pattern_escapes": (string(pattern=r'^["\\/\n]{1,2}\u0041\x42$'), ['"AB', "\\\nAB"], ["AB"]),
    "format_date": (
        string(format="date"),
        ["2024-02-29", "2000-02-29", "1999-12-31"],
        ["2023-02-29", "1900-02-29", "0000-01-01"],
    ),
    "format_date_time": (
        string(format="date-time"),
        ["2024-02-28T10:00:00Z", "2024-01-01T00:00:00.25+01:30"],
        ["2024-02-28", "soon"],
    ),
    "format_time": (string(format="time"), ["10:00:00Z", "23:59:59.999-12:00"], ["10:00", "25:00:00Z"]),
    "format_uuid": (
        string(format="uuid"),
        ["123e4567-e89b-12d3-a456-426614174000"],
        ["123e4567e89b12d3a456426614174000"],
    ),
    "format_email": (string(format="email"), ["a.b+c@mail.example.org"], ["x"]),
    "format_length": (string(format="email", maxLength=9), ["a@b.co"], ["abcdef@example.org"]),
    "format_unknown": (string(format="color", maxLength=5), ["red"], ["purple"]),
    "integer": (integer(), [0, -1, 1.0, 999_999_999_999_999], [1.5, "1", True]),
    "integer_range": (integer(minimum=-17, maximum=1234), [-17, 0, 9, 1234], [-18, 1235]),
    "integer_exclusive": (integer(exclusiveMinimum=9.5, exclusiveMaximum=100), [10, 99], [9, 100]),
    "integer_tens": (integer(multipleOf=10, minimum=-55), [-50, 0, 120], [5, -60]),
    "number": (number(), [0, -0.5, 12.25, 1e14, 0.000001], ["1", None]),
    "number_unit": (number(minimum=0, exclusiveMaximum=1), [0, 0.5, 0.999], [1, -0.1]),
    "number_range": (number(exclusiveMinimum=-1.25, maximum=99.5), [-1.249, 0, 99.5], [-1.25, 99.51]),
    "number_cents": (number(minimum=0.07, maximum=1e6, multipleOf=0.01), [0.07, 19.99, 1e6], [0.06, 0.075]),
    "boolean": ({"type": "boolean"}, [True, False], [0, "true"]),
    "null": ({"type": "null"}, [None], [0, False]),
    "nullable": ({"type": ["string", "null"], "maxLength": 4}, [None, "abcd"], ["abcde", 1]),
    "types": ({"type": ["integer", "number", "boolean", "null"], "minimum": 5}, [5, 5.5, True, None], [4, "x"]),
    "array": ({"type": "array", "items": integer(minimum=0)}, [[], [1], [1, 2, 3]], [[-1], [1.5]]),
    "array_bounds": (
        {"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 2, "maxItems": 4},
        [["a", "b"], ["a"] * 4],
        [["a"], ["a"] * 5],
    ),
    "array_exact": (
        {"type": "array", "items": {"type": "null"}, "minItems": 1, "maxItems": 1},
        [[None]],
        [[], [None, None]],
    ),
    "array_empty": ({"type": "array", "items": integer(), "maxItems": 0}, [[]], [[1]]),
    "array_nested": (
        {"type": "array", "items": {"type": "array", "items": {"type": "boolean"}, "maxItems": 2}},
        [[[True], []]],
        [[[1]]],
    ),
    "object_empty": (closed({}), [{}], [{"a": 1}]),
    "object_required": (
        closed({"name": string(maxLength=8), "n": integer()}),
        [{"name": "x", "n": 3}],
        [{"name": "x"}],
    ),
    "object_optional": (
        closed({"a": {"const": 1}, "b": {"const": 2}, "c": {"const": 3}}, []),
        [{}, {"a": 1, "c": 3}, {"b": 2}, {"c": 3}],
        [{"a": 2}],
    ),
    "object_pivot": (
        closed({"a": {"const": 1}, "b": {"const": 2}, "c": {"const": 3}, "d": {"const": 4}}, ["b", "d"]),
        [{"b": 2, "d": 4}, {"a": 1, "b": 2, "c": 3, "d": 4}],
        [{"a": 1, "b": 2}],
    ),
    "object_narrowed": (
        {"type": "object", "properties": {"a": integer()}},
        [{}, {"a": 1}],
        [{"a": "x"}],
    ),
    "object_keys": (
        closed({"a.b": {"const": 1}, 'q"k': {"const": 2}, "ü/~": {"const": 3}}),
        [{"a.b": 1, 'q"k': 2, "ü/~": 3}],
        [{}],
    ),
    "object_nested": (
        closed({"o": closed({"p": closed({"q": string(maxLength=3)})}, [])}),
        [{"o": {}}, {"o": {"p": {"q": "x"}}}],
        [{"o": 1}],
    ),
    "property_false": (closed({"a": {"const": 1}, "b": False}, []), [{}, {"a": 1}], [{"b": 1}]),
    "references": (
        {"$defs": {"money": _MONEY}, **closed({"net": {"$ref": "#/$defs/money"}, "tax": {"$ref": "#/$defs/money"}})},
        [{"net": {"amount": 1.25, "currency": "EUR"}, "tax": {"amount": 0, "currency": "USD"}}],
        [{}],
    ),
    "any_of": (
        {"anyOf": [integer(minimum=3), {"type": "null"}, string(maxLength=2)]},
        [3, None, "ab"],
        [2, "abc", True],
    ),
    "any_of_around": (
        {**closed({"a": {"const": 1}, "b": {"const": 2}}, []), "required": ["a"], "anyOf": [{"title": "only a"}]},
        [{"a": 1}, {"a": 1, "b": 2}],
        [{"b": 2}],
    ),
    "one_of_tagged": (
        {"oneOf": [_CARD, _CASH]},
        [{"kind": "card", "last4": "0042"}, {"kind": "cash", "amount": 3}],
        [{"kind": "cash", "last4": "1234"}],
    ),
    "one_of_types": (
        {"oneOf": [integer(maximum=5), integer(minimum=6), string(), {"type": "boolean"}]},
        [5, 6, "x", True],
        [None],
    ),
    "invoice": (
        closed(
            {
                "vendor": string(minLength=1, maxLength=40),
                "date": string(format="date"),
                "total": _MONEY,
                "lines": {
                    "type": "array",
                    "maxItems": 3,
                    "items": closed({"sku": string(pattern="^[A-Z]{3}$"), "qty": integer(minimum=1, maximum=99)}),
                },
                "paid": {"type": "boolean"},
            },
            ["vendor", "total"],
        ),
        [{"vendor": "Öl & Söhne", "total": {"amount": 19.99, "currency": "EUR"}, "lines": [{"sku": "ABC", "qty": 2}]}],
        [{"vendor": "", "total": {"amount": 1, "currency": "EUR"}}],
    ),
}


@cache
def vocabulary() -> TokenVocabulary:
    """About 380 byte-level tokens: trained on JSON-like text, with all 256 bytes and tokens that cross boundaries."""
    return load_trained_vocabulary()


def load_trained_vocabulary() -> TokenVocabulary:
    """Train a small byte-level BPE and read it back through the tokenizer file, as a service does."""
    import tempfile

    from shared.contracts.vocabulary import load_vocabulary

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.json"
        train_tokenizer(path)
        return load_vocabulary(path, size=400, eos_id=1)


def train_tokenizer(path: Path) -> None:
    """A byte-level BPE of at most 390 tokens whose first ones are special."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    # One pre-token per text, so that merges cross quotes, commas and braces.
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=390,
        special_tokens=["<|pad|>", "<|end|>", "<|user|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = [
        json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        for _, valid, _ in SAMPLES.values()
        for value in valid
    ]
    tokenizer.train_from_iterator(texts * 3, trainer)
    tokenizer.save(str(path))


@cache
def automaton(name: str) -> TokenAutomaton:
    """The automaton of a sample."""
    return build(SAMPLES[name][0])


def build(schema: dict[str, Json]) -> TokenAutomaton:
    """The automaton of a schema over the test vocabulary."""
    return build_contract(ContractSpec(ContractKind.JSON, json.dumps(schema)))


def build_contract(spec: ContractSpec, tokens: TokenVocabulary | None = None) -> TokenAutomaton:
    """The automaton of a contract, over the test vocabulary unless told otherwise."""
    expression = lower(spec).grammar.expression(100_000)
    assert expression is not None, "only regular contracts have an automaton"
    return build_automaton(regex(expression), tokens or vocabulary(), max_states=30_000)


def byte_tokens(text: str) -> list[int]:
    """The text as single-byte tokens: one of its many tokenisations."""
    single = {data: token for token, data in vocabulary().token_bytes.items() if len(data) == 1}
    return [single[bytes([byte])] for byte in text.encode()]


def greedy_tokens(text: str) -> list[int]:
    """The text as its longest tokens from the left: another tokenisation."""
    by_bytes = {data: token for token, data in vocabulary().token_bytes.items()}
    data, tokens = text.encode(), []
    while data:
        piece = next(data[:size] for size in range(min(16, len(data)), 0, -1) if data[:size] in by_bytes)
        tokens.append(by_bytes[piece])
        data = data[len(piece) :]
    return tokens
