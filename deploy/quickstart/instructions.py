"""The long prompts that teams write today: rules, one paragraph a field, examples. Adapters make them unnecessary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_JSON_RULES = [
    "Answer with exactly one JSON object and nothing else. No greeting, no explanation, no Markdown, no code fence.",
    "Write the keys in the order in which they are listed below and spell them exactly as they are listed.",
    "Copy names, codes and titles letter by letter from the text. Never correct the spelling, never translate.",
    "Leave an optional key out when the text does not mention it. Never write an empty string in its place.",
    "Write numbers without thousands separators, units or currency signs. Use a point before decimals.",
    "Write dates as YYYY-MM-DD. Do not guess a missing part of a date.",
    "Use only the values that are allowed for a key where a list of values is given.",
    "Do not add keys that are not listed, even if the text holds more information.",
    "Write the object on one line, without spaces after commas and colons.",
    "If the text is noisy, ignore greetings, signatures, legal notes and marketing lines.",
]
_SQL_RULES = [
    "Answer with exactly one SQL statement and nothing else. No explanation, no Markdown, no semicolon at the end.",
    "The statement is a SELECT. Never write INSERT, UPDATE, DELETE, DROP, ALTER or CREATE.",
    "Use only the tables and columns that are listed below, spelled exactly as they are listed.",
    "Write every column as table.column. Do not use aliases for tables or columns.",
    "Write keywords in upper case and everything else as in the schema.",
    "Join tables with JOIN ... ON along their keys. Never list several tables after FROM.",
    "Write text in single quotes, exactly as it stands in the question. Write numbers without quotes.",
    "Use COUNT(*) to count rows, and COUNT(DISTINCT column) only when the question asks for different values.",
    "For the largest or smallest, compare with a subquery of MAX or MIN, or order and limit to one row.",
    "Do not add columns, conditions or ordering that the question does not ask for.",
]


def json_instructions(task: str, schema: Mapping[str, Any], examples: Sequence[tuple[str, str]]) -> str:  # Any: JSON
    """The prompt for an extraction task: rules, a paragraph for each key of the schema, examples."""
    required = set(schema.get("required", ()))
    lines = [task, "", "Rules", *_numbered(_JSON_RULES), "", "Keys"]
    for name, rule in schema["properties"].items():
        need = "required" if name in required else "optional"
        lines.append(f"- {name} ({_kind(rule)}, {need}): {_meaning(name)}")
    return "\n".join([*lines, "", *_examples(examples)])


def sql_instructions(task: str, ddl: str, examples: Sequence[tuple[str, str]]) -> str:
    """The prompt for a text-to-SQL task: rules, the tables, examples."""
    return "\n".join([task, "", "Rules", *_numbered(_SQL_RULES), "", "Tables", ddl.strip(), "", *_examples(examples)])


def _numbered(rules: Sequence[str]) -> list[str]:
    return [f"{number}. {rule}" for number, rule in enumerate(rules, 1)]


def _examples(examples: Sequence[tuple[str, str]]) -> list[str]:
    lines = ["Examples"]
    for source, target in examples:
        lines += [f"Text: {source}", f"Answer: {target}", ""]
    return [*lines, "Now answer for the following text."]


def _kind(rule: Mapping[str, Any]) -> str:  # Any: JSON
    if "enum" in rule:
        return "one of " + ", ".join(map(str, rule["enum"]))
    kind = rule.get("type", "value")
    return rule.get("format") or (" or ".join(kind) if isinstance(kind, list) else str(kind))


def _meaning(name: str) -> str:
    words = name.replace("_", " ")
    return (
        f"the {words} as the text gives it. Take the words that name the {words} and nothing around them. "
        f"When several could be meant, take the one that is said to be the {words}."
    )
