"""The forms of question: each turns a scene into words and canonical SQL (no aliases, table.column, explicit joins)."""

from random import Random
from typing import Final, NamedTuple

from deploy.base_model.corpus import name
from deploy.base_model.corpus.database import TEXTS, Table

_COMPARISONS: Final = (
    (">", "more than|over|above|greater than|at the top of"),
    ("<", "less than|under|below|smaller than"),
    (">=", "at least|no less than"),
    ("<=", "at most|up to"),
    ("=", "exactly|equal to|of"),
)
_AGGREGATES: Final = (
    ("AVG", "average|mean"),
    ("SUM", "total|combined|sum of the"),
    ("MAX", "highest|maximum|largest"),
    ("MIN", "lowest|minimum|smallest"),
)


class Scene(NamedTuple):
    """What a question is about: its table, a condition in words and SQL, a column in words and SQL."""

    tables: list[Table]
    table: Table
    said: str
    where: str
    what: str
    column: str


def _value(rng: Random, column: str) -> str:
    draw = TEXTS.get(column.lower())
    text = draw(rng) if draw else rng.choice((name.city, name.title, name.person, name.company))(rng)
    text = text.replace("'", "").replace("\\", "")
    return text.lower() if rng.random() < 0.4 else text


def condition(rng: Random, table: Table) -> tuple[str, str]:
    """Returns a condition in words, to follow the table's noun, and in SQL."""
    if rng.random() < 0.55 or not table.numbers:
        column = rng.choice(table.texts or (table.key,))
        value, said = _value(rng, column), table.say(column)
        words = rng.choice(
            (
                f"with {said} {value}",
                f"whose {said} is {value}",
                f"in {value}",
                f"in the {said} {value}",
                f"of {value}",
                f"where {said} is {value}",
                f"from {value}",
                f"for {value}",
            )
        )
        return words, f"{table.ref(column)} = '{value}'"
    column, limit = (
        rng.choice(table.numbers),
        rng.choice((rng.randint(1, 99), rng.randint(100, 5000), rng.randint(1, 90) * 1000)),
    )
    sign, spellings = rng.choice(_COMPARISONS)
    compared, said = rng.choice(spellings.split("|")), table.say(column)
    return rng.choice(
        (f"with a {said} {compared} {limit}", f"whose {said} is {compared} {limit}", f"with {compared} {limit} {said}")
    ), f"{table.ref(column)} {sign} {limit}"


def target(rng: Random, table: Table) -> tuple[str, str]:
    """Returns a column to ask for, in words and by name; the naming column is the most frequent."""
    column = rng.choice([table.key, table.key, *table.texts, *table.numbers])
    return table.say(column), column


def lookup(rng: Random, scene: Scene) -> tuple[str, str]:
    """Returns a question for one column under one condition."""
    _, table, said, where, what, column = scene
    many, is_key = table.plural, column == table.key
    text = rng.choice(
        (
            f"what is the {what} of the {table.noun} {said}",
            f"show the {what} of {many} {said}",
            f"{what} of all {many} {said}",
            f"list the {what} of every {table.noun} {said}",
            f"give me the {many} {said}" if is_key else f"which {what} do {many} have {said}",
            f"which {many} are there {said}" if is_key else f"find the {what} for {many} {said}",
        )
    )
    return text, f"SELECT {table.ref(column)} FROM {table.sql} WHERE {where}"


def two_conditions(rng: Random, scene: Scene) -> tuple[str, str]:
    """Returns a question under two conditions."""
    _, table, said, where, what, column = scene
    said2, where2 = condition(rng, table)
    joint = rng.choice(("AND", "AND", "OR"))
    lead = rng.choice(("which", "list", "show me", "what are the"))
    text = f"{lead} {what} of {table.plural} {said} {joint.lower()} {said2}"
    return text, f"SELECT {table.ref(column)} FROM {table.sql} WHERE {where} {joint} {where2}"


def count_where(rng: Random, scene: Scene) -> tuple[str, str]:
    """Returns a question for the number of rows under a condition."""
    many, said = scene.table.plural, scene.said
    text = rng.choice(
        (
            f"how many {many} are there {said}",
            f"number of {many} {said}",
            f"count the {many} {said}",
            f"how many {many} {said}",
        )
    )
    return text, f"SELECT COUNT(*) FROM {scene.table.sql} WHERE {scene.where}"


def count_all(rng: Random, scene: Scene) -> tuple[str, str]:
    """Returns a question for the number of all rows."""
    many = scene.table.plural
    return rng.choice(
        (f"how many {many} are there", f"total number of {many}", f"count all {many}")
    ), f"SELECT COUNT(*) FROM {scene.table.sql}"


def aggregate(rng: Random, scene: Scene, column: str) -> tuple[str, str]:
    """Returns a question for a mean, sum, maximum or minimum."""
    table = scene.table
    function, spellings = rng.choice(_AGGREGATES)
    tail, where = (f" {scene.said}", f" WHERE {scene.where}") if rng.random() < 0.6 else ("", "")
    lead = rng.choice(("what is the", "find the", "give the", "the"))
    adjective, many = rng.choice(spellings.split("|")), rng.choice(("all " + table.plural, table.plural))
    text = f"{lead} {adjective} {table.say(column)} of {many}{tail}"
    return text, f"SELECT {function}({table.ref(column)}) FROM {table.sql}{where}"


def superlative(rng: Random, scene: Scene, number: str, said: str, *, is_most: bool) -> tuple[str, str]:
    """Returns a question for the row with the most or least of a number, within a place in half of them."""
    _, table, _, _, what, column = scene
    inner = f"SELECT {'MAX' if is_most else 'MIN'}({table.ref(number)}) FROM {table.sql}"
    head = f"FROM {table.sql} WHERE {table.ref(number)} ="
    if rng.random() < 0.5:
        return (
            f"{rng.choice(('what is', 'which is', 'name', 'tell me'))} {said}",
            f"SELECT {table.ref(table.key)} {head} ({inner})",
        )
    place = rng.choice(table.texts or (table.key,))
    value = _value(rng, place)
    where = f"{table.ref(place)} = '{value}'"
    asked, shown = rng.choice((("", table.key), (f"the {what} of ", column)))
    return f"what is {asked}{said} in {value}", f"SELECT {table.ref(shown)} {head} ({inner} WHERE {where}) AND {where}"


def top(rng: Random, scene: Scene, number: str, *, is_most: bool) -> tuple[str, str]:
    """Returns a question for the first few rows by a number."""
    table = scene.table
    count, many, said = rng.randint(2, 20), table.plural, table.say(number)
    down = " DESC" if is_most else ""
    text = rng.choice(
        (
            f"the {count} {many} with the {'highest' if is_most else 'lowest'} {said}",
            f"{'top' if is_most else 'bottom'} {count} {many} by {said}",
            f"list {count} {many} ordered by {said} {'descending' if is_most else 'ascending'}",
        )
    )
    return (
        text,
        f"SELECT {table.ref(table.key)} FROM {table.sql} ORDER BY {table.ref(number)}{down} LIMIT {count}",
    )


def group(rng: Random, scene: Scene, number: str) -> tuple[str, str]:
    """Returns a question for one value per group."""
    table = scene.table
    group = rng.choice(table.texts or (table.key,))
    said = table.say(number)
    text, value = rng.choice(
        (
            (f"how many {table.plural} are there", "COUNT(*)"),
            (f"what is the average {said}", f"AVG({table.ref(number)})"),
            (f"the total {said}", f"SUM({table.ref(number)})"),
        )
    )
    return (
        f"{text} {rng.choice(('per', 'for each', 'by', 'in each'))} {table.say(group)}",
        f"SELECT {table.ref(group)}, {value} FROM {table.sql} GROUP BY {table.ref(group)}",
    )


def join(rng: Random, scene: Scene, linked: list[Table]) -> tuple[str, str]:
    """Returns a question over a table and the one it points to."""
    child = rng.choice(linked)
    parent = next(table for table in scene.tables if table.name == child.parent)
    source = f"{child.sql} JOIN {parent.sql} ON {child.ref(parent.name + '_id')} = {parent.ref('id')}"
    shown, other = (child, parent) if rng.random() < 0.7 else (parent, child)
    said, where = condition(rng, other)
    if rng.random() < 0.35:
        return (
            f"how many {shown.plural} belong to a {other.noun} {said}",
            f"SELECT COUNT(*) FROM {source} WHERE {where}",
        )
    what, column = target(rng, shown)
    text = rng.choice(
        (
            f"{what} of the {shown.plural} of the {other.noun} {said}",
            f"which {shown.plural} have a {other.noun} {said}, show the {what}",
            f"list the {what} of {shown.plural} for {other.plural} {said}",
        )
    )
    return text, f"SELECT {shown.ref(column)} FROM {source} WHERE {where}"


def nested(rng: Random, scene: Scene) -> tuple[str, str]:
    """Returns a question whose condition is a list from another table."""
    _, table, _, _, what, column = scene
    other = rng.choice(scene.tables)
    said, where = condition(rng, other)
    shared = table.texts[0] if table.texts else table.key
    is_not = rng.random() < 0.3
    text = f"{what} of {table.plural} whose {table.say(shared)} is {'not ' if is_not else ''}a {other.noun} {said}"
    inner = f"SELECT {other.ref(other.key)} FROM {other.sql} WHERE {where}"
    return (
        text,
        f"SELECT {table.ref(column)} FROM {table.sql} WHERE {table.ref(shared)} {'NOT ' if is_not else ''}IN ({inner})",
    )


def between(rng: Random, scene: Scene, number: str) -> tuple[str, str]:
    """Returns a question for a range of a number."""
    table = scene.table
    low = rng.randint(1, 900)
    high = low + rng.randint(1, 900)
    return (
        f"{table.plural} with a {table.say(number)} between {low} and {high}",
        f"SELECT {table.ref(table.key)} FROM {table.sql} WHERE {table.ref(number)} BETWEEN {low} AND {high}",
    )
