"""Questions over random schemas: which form of question how often, and the training document around it."""

from collections.abc import Callable
from random import Random
from typing import Final

from deploy.base_model.corpus import form
from deploy.base_model.corpus.database import Table, brief, ddl, draw_tables
from deploy.base_model.corpus.example import Example

_MOST: Final = {
    "population": "most populous|biggest|largest",
    "area": "largest|biggest",
    "price": "most expensive|dearest",
    "age": "oldest",
    "length": "longest",
    "height": "highest|tallest",
    "elevation": "highest",
    "depth": "deepest",
    "salary": "best paid",
    "weight": "heaviest",
    "year": "newest|latest",
    "cost": "most expensive",
    "speed": "fastest",
    "density": "densest",
}
_LEAST: Final = {
    "population": "least populous|smallest",
    "area": "smallest",
    "price": "cheapest",
    "age": "youngest",
    "length": "shortest",
    "height": "lowest",
    "elevation": "lowest",
    "depth": "shallowest",
    "weight": "lightest",
    "year": "oldest",
    "cost": "cheapest",
    "speed": "slowest",
}
_LEADS: Final = ("", "", "", "", "please tell me ", "show me ", "can you tell me ", "i want to know ")
_TASKS: Final = (
    "Write one SQLite statement.",
    "Answer with SQL only.",
    "Text to SQL.",
    "Translate the question to SQL.",
    "",
)


_FLAT: Final[tuple[tuple[float, Callable[[Random, form.Scene], tuple[str, str]]], ...]] = (
    (0.16, form.lookup),
    (0.24, form.two_conditions),
    (0.33, form.count_where),
    (0.36, form.count_all),
)


def ask(rng: Random, tables: list[Table]) -> tuple[str, str]:  # noqa: PLR0911 - one return a form
    """Returns a question about the tables and its SQL."""
    table = rng.choice(tables)
    pick = rng.random()
    said, where = form.condition(rng, table)
    scene = form.Scene(tables, table, said, where, *form.target(rng, table))
    for limit, shape in _FLAT:
        if pick < limit:
            return shape(rng, scene)
    number = rng.choice(table.numbers)
    if pick < 0.44:
        return form.aggregate(rng, scene, number)
    is_most = rng.random() < 0.65
    adjective = (
        rng.choice((_MOST if is_most else _LEAST).get(number.lower(), "").split("|"))
        or f"{'highest' if is_most else 'lowest'} {table.say(number)}"
    )
    superlative = (
        f"the {adjective} {table.noun}"
        if " " not in adjective or number.lower() in _MOST
        else f"the {table.noun} with the {adjective}"
    )
    linked = [other for other in tables if other.parent]
    if pick < 0.56:
        return form.superlative(rng, scene, number, superlative, is_most=is_most)
    if pick < 0.65:
        return form.top(rng, scene, number, is_most=is_most)
    if pick < 0.72:
        return form.group(rng, scene, number)
    if pick < 0.9 and linked:
        return form.join(rng, scene, linked)
    return form.nested(rng, scene) if pick < 0.95 else form.between(rng, scene, number)


def query_example(rng: Random) -> Example:
    """Returns a question with the DDL, with a short form of it, or (three in ten) with nothing."""
    tables = draw_tables(rng)
    question, sql = ask(rng, tables)
    text = rng.choice(_LEADS) + question + rng.choice(("", "", "?", "."))
    text = text[0].upper() + text[1:] if rng.random() < 0.4 else text
    style = rng.random()
    if style < 0.3:
        return Example("sql_plain", text, sql)
    schema = ddl(rng, tables) if style < 0.8 else brief(tables)
    return Example(
        "sql_schema", text, sql, system=(rng.choice(_TASKS) + "\n" + schema).strip(), ddl=schema if style < 0.8 else ""
    )
