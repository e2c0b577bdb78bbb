"""Long instruction prompts, as teams write them before they have an adapter: rules, a line for each key, examples."""

from collections.abc import Sequence
from random import Random
from typing import Final

from deploy.base_model.corpus.database import ddl, draw_tables
from deploy.base_model.corpus.domain import DOMAINS
from deploy.base_model.corpus.example import Example, canonical_json
from deploy.base_model.corpus.extraction import compose, made_up_domain, record_of, schema_of, sentence_example
from deploy.base_model.corpus.query import ask

# A copy of the quickstart's wording on purpose: the text a model was trained on must not change with a demo.
_JSON_RULES: Final = (
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
)
_SQL_RULES: Final = (
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
)


def _numbered(rules: Sequence[str]) -> list[str]:
    return [f"{number}. {rule}" for number, rule in enumerate(rules, 1)]


def _shots(shots: Sequence[tuple[str, str]]) -> list[str]:
    lines = ["Examples"]
    for source, target in shots:
        lines += [f"Text: {source}", f"Answer: {target}", ""]
    return [*lines, "Now answer for the following text."]


def _key_line(key: str) -> str:
    words = key.replace("_", " ")
    return (
        f"- {key} (string, optional): the {words} as the text gives it. "
        f"Take the words that name the {words} and nothing around them. "
        f"When several could be meant, take the one that is said to be the {words}."
    )


def _record_example(rng: Random) -> Example:
    domain = rng.choice(DOMAINS) if rng.random() < 0.8 else made_up_domain(rng)
    fields = {
        role: spec._replace(type="string")
        for role, spec in schema_of(rng, domain, canonical=rng.random() < 0.5).items()
    }
    shots = []
    for _ in range(rng.randint(1, 5)):
        shot = sentence_example(rng, domain, fields)
        shots.append((shot.input, shot.output))
    rules = rng.sample(_JSON_RULES, rng.randint(4, len(_JSON_RULES)))
    task = f"You turn {domain.purpose} into a single JSON object."
    lines = [
        task,
        "",
        "Rules",
        *_numbered(rules),
        "",
        "Keys",
        *(_key_line(spec.key) for spec in fields.values()),
        "",
        *_shots(shots),
    ]
    sentence = compose(rng, domain)
    record, copied = record_of(rng, sentence, fields)
    return Example("extract_long", sentence.text, canonical_json(record), "\n".join(lines), copied)


def _query_example(rng: Random) -> Example:
    tables = draw_tables(rng)
    shots = [ask(rng, tables) for _ in range(rng.randint(1, 6))]
    task = "You answer questions by writing one SQLite statement over a database."
    schema = ddl(rng, tables)
    system = "\n".join([task, "", "Rules", *_numbered(_SQL_RULES), "", "Tables", schema, "", *_shots(shots)])
    question, sql = ask(rng, tables)
    return Example("sql_long", question, sql, system, ddl=schema)


def long_example(rng: Random) -> Example:
    """Returns extraction (six in ten) or text-to-SQL under a long instruction prompt with a few solved examples."""
    return _record_example(rng) if rng.random() < 0.6 else _query_example(rng)
