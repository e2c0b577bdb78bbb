"""Random relational schemas: tables with a naming column, texts and numbers, linked by ids, and their DDL."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

from deploy.base_model.corpus import name, word

_NUMBERS: Final = tuple(
    """
    population area price age length height rating year salary budget weight quantity capacity score depth elevation
    distance duration stock amount points speed density votes pages floors seats revenue volume cost
    """.split()
)
_TABLES: Final = tuple(
    """
    city state river lake mountain country customer product employee student course book film singer song team
    player match flight airport hotel room order invoice store supplier patient doctor museum road station train
    ship school teacher device ticket project park bridge island stadium concert account branch farm animal recipe
    dish contract sale visit payment
    """.split()
)
TEXTS: Final[dict[str, Callable[[Random], str]]] = {
    "city": name.city,
    "country": lambda rng: rng.choice(word.COUNTRIES),
    "state": lambda rng: rng.choice(word.STATES),
    "category": lambda rng: rng.choice(word.ADJECTIVES + word.NOUNS),
    "color": lambda rng: rng.choice(word.COLORS),
    "title": name.title,
    "owner": name.person,
    "genre": lambda rng: rng.choice(word.GENRES),
    "department": lambda rng: rng.choice(word.DEPARTMENTS),
    "capital": name.city,
    "region": name.city,
    "language": lambda rng: rng.choice(tuple(word.LANGUAGES)),
    "company": name.company,
    "type": lambda rng: rng.choice(word.NOUNS),
    "status": lambda rng: rng.choice(("open", "closed", "active", "sold", "new", "paid", "late", "done")),
    "segment": lambda rng: rng.choice(("retail", "public", "industry", "private")),
    "author": name.person,
    "brand": name.company,
    "code": lambda rng: f"{rng.choice('ABCDEF')}{rng.randint(10, 999)}",
    "border": lambda rng: rng.choice(word.STATES),
}
_RESERVED: Final = frozenset({"order", "match", "group", "index"})


@dataclass(frozen=True)
class Table:
    """One table. `key` is the column that names a row; `parent` the table to which `{parent}_id` points, if any."""

    name: str
    key: str
    texts: tuple[str, ...]
    numbers: tuple[str, ...]
    parent: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of which people speak, ids left out."""
        return (self.key, *self.texts, *self.numbers)

    @property
    def noun(self) -> str:
        """What one row is called in a question."""
        return self.name.lower()

    @property
    def plural(self) -> str:
        """What several rows are called in a question."""
        noun = self.noun
        return noun[:-1] + "ies" if noun.endswith("y") else noun + ("es" if noun.endswith(("s", "ch", "sh")) else "s")

    @property
    def sql(self) -> str:
        """The table's name as it stands in SQL."""
        return identifier(self.name)

    def ref(self, column: str) -> str:
        """Returns table.column."""
        return f"{self.sql}.{column}"

    def say(self, column: str) -> str:
        """Returns the column in words, without the table's name as its prefix."""
        return column.lower().removeprefix(self.noun + "_").replace("_", " ")


def identifier(text: str) -> str:
    """Returns a name for SQL, quoted only where it is a keyword."""
    return f'"{text}"' if text.lower() in _RESERVED else text


def draw_tables(rng: Random) -> list[Table]:
    """Returns one to four tables; most point to an earlier one. One schema in ten is in capitals."""
    tables = []
    names = rng.sample(_TABLES, rng.choice((1, 1, 2, 2, 3, 4)))
    shout = rng.random() < 0.1
    prefixed = rng.random() < 0.35
    for index, table in enumerate(names):
        key = f"{table}_name" if prefixed else rng.choice(("name", "title", "name", "label"))
        texts = tuple(column for column in rng.sample(sorted(TEXTS), rng.randint(1, 3)) if column != key)
        numbers = tuple(rng.sample(_NUMBERS, rng.randint(1, 3)))
        parent = rng.choice(names[:index]) if index and rng.random() < 0.8 else ""
        if shout:
            tables.append(
                Table(
                    table.upper(),
                    key.upper(),
                    tuple(map(str.upper, texts)),
                    tuple(map(str.upper, numbers)),
                    parent.upper(),
                )
            )
        else:
            tables.append(Table(table, key, texts, numbers, parent))
    return tables


def ddl(rng: Random, tables: list[Table]) -> str:
    """Returns one CREATE TABLE statement a line."""
    style = rng.random()
    lines = []
    for table in tables:
        columns = (
            [("id", "INTEGER PRIMARY KEY")]
            if table.parent or any(other.parent == table.name for other in tables)
            else []
        )
        columns += [
            (column, rng.choice(("TEXT", "text", "varchar(40)")) if style < 0.1 else "TEXT")
            for column in (table.key, *table.texts)
        ]
        columns += [(column, "INTEGER") for column in table.numbers]
        if table.parent:
            columns.append((f"{table.parent}_id", f"INTEGER REFERENCES {identifier(table.parent)} (id)"))
        body = ", ".join(f"{column} {kind}" for column, kind in columns)
        lines.append(f"CREATE TABLE {table.sql} ({body});")
    return "\n".join(lines)


def brief(tables: list[Table]) -> str:
    """Returns the schema as table(column, column), without types and links."""
    return "\n".join(f"{table.name}({', '.join(table.columns)})" for table in tables)
