"""The phrases over the columns of one FROM where types and grouping are strict: PostgreSQL, MySQL and DuckDB."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.contracts.grammar import expression as ex
from shared.contracts.grammar.expression import Expression, Reference, Text
from shared.contracts.sql.identifier import qualified
from shared.contracts.sql.phrase import written
from shared.contracts.sql.rules import RuleBook, listed, one_of, texts, units
from shared.contracts.sql.schema import Column, ColumnKind, Table
from shared.contracts.sql.scoped import Lexicon, arithmetic, literal_predicates

KINDS = {"N": ColumnKind.NUMBER, "T": ColumnKind.TEXT, "D": ColumnKind.DATE}
"""Kinds that are compared, and what rules call them."""
_DISTINCT = ex.optional(Text("DISTINCT "))


@dataclass(frozen=True)
class StrictScope:
    """The phrases of one scope. `plain` are values of one row, `total` of a group, each by kind."""

    name: str
    groupable: Expression
    """Columns that GROUP BY takes; `NOTHING` where all are of other types."""
    columns: dict[str, Reference]
    """Columns by kind."""
    plain: dict[str, Expression]
    total: dict[str, Expression]
    any_plain: Expression
    """Values that DISTINCT, ORDER BY and GROUP BY take."""
    any_value: Reference
    """Those, and columns of other types (JSON has no equality), which a list of plain values may hold."""
    any_total: Reference
    predicate: Reference

    def can_fill(self, form: str, kinds: Sequence[str]) -> bool:
        """Whether a SELECT list of these kinds, plain (`p`) or total (`t`) each, can be read from here."""
        return all(
            kind in (self.plain if place == "p" else self.total) for place, kind in zip(form, kinds, strict=True)
        )

    def filled(self, form: str, kinds: Sequence[str]) -> list[Expression]:
        """The items of that list."""
        return [(self.plain if place == "p" else self.total)[kind] for place, kind in zip(form, kinds, strict=True)]


def strict_scope(book: RuleBook, lexicon: Lexicon, date: Reference, name: str, tables: Sequence[Table]) -> StrictScope:
    """Adds the rules of a scope; their names end in its own."""
    columns = [(table, column) for table in tables for column in table.columns]
    column = book.add(f"column.{name}", *(Text(qualified(*pair)) for pair in columns))
    typed = {
        letter: book.add(f"column.{letter}.{name}", *(Text(qualified(*pair)) for pair in chosen))
        for letter, kind in KINDS.items()
        if (chosen := [pair for pair in columns if pair[1].kind is kind])
    }
    compared: dict[str, Expression] = dict(typed)
    flags = [Text(qualified(*pair)) for pair in columns if pair[1].kind is ColumnKind.BOOLEAN]
    groupable = one_of([*typed.values(), *flags])
    counted = [Text("*"), column, *([units("DISTINCT ", groupable)] if groupable != ex.NOTHING else [])]
    aggregates = [units("COUNT(", one_of(counted), ")")]
    if "N" in typed:
        value = arithmetic(book, lexicon, f"value.{name}", [typed["N"]])
        compared["N"] = one_of([typed["N"], value])
        aggregates.append(units(texts("SUM(", "AVG("), _DISTINCT, compared["N"], ")"))
        aggregates.append(units(texts("MAX(", "MIN("), compared["N"], ")"))
    aggregate = book.add(f"aggregate.{name}", *aggregates)
    computed = arithmetic(book, lexicon, f"computed.{name}", [aggregate])
    total: dict[str, Expression] = {"N": book.add(f"total.N.{name}", aggregate, computed)}
    for letter in ("T", "D"):
        if letter in typed:
            total[letter] = book.add(f"total.{letter}.{name}", units(texts("MAX(", "MIN("), typed[letter], ")"))
    return StrictScope(
        name=name,
        groupable=groupable,
        columns=typed,
        plain=compared,
        total=total,
        any_plain=one_of([*compared.values(), *flags]),
        any_value=book.add(f"value.any.{name}", column, *([compared["N"]] if "N" in compared else [])),
        any_total=book.add(f"total.{name}", *total.values()),
        predicate=_predicate(book, lexicon, date, name, columns, compared),
    )


def _predicate(
    book: RuleBook,
    lexicon: Lexicon,
    date: Reference,
    name: str,
    columns: Sequence[tuple[Table, Column]],
    compared: dict[str, Expression],
) -> Reference:
    compare = lexicon.compare
    branches = [units(Reference(f"column.{name}"), texts(" IS NULL", " IS NOT NULL"))]
    if "N" in compared:
        branches.append(units(compared["N"], compare, one_of([lexicon.number, compared["N"]])))
        branches += literal_predicates(Reference(f"column.N.{name}"), lexicon.number)
    if "D" in compared:
        branches.append(units(compared["D"], compare, one_of([date, compared["D"]])))
        branches += literal_predicates(compared["D"], date)
    if "T" in compared:
        branches.append(units(compared["T"], compare, compared["T"]))
    free = [Text(qualified(*pair)) for pair in columns if pair[1].kind is ColumnKind.TEXT and not pair[1].values]
    if free:
        unlisted = book.add(f"free.{name}", *free)
        branches.append(units(unlisted, compare, lexicon.string))
        branches.append(units(unlisted, texts(" LIKE ", " NOT LIKE "), lexicon.string))
        branches += literal_predicates(unlisted, lexicon.string)
    for table, column in columns:
        text = Text(qualified(table, column))
        if column.kind is ColumnKind.BOOLEAN:
            branches.append(units(text, texts(" = ", " <> "), texts("TRUE", "FALSE")))
        elif column.values:
            one = one_of(Text(written(value)) for value in column.values)
            branches += [units(text, compare, one), *literal_predicates(text, one)]
    return book.add(f"literal.{name}", *branches)


def keys(positions: Sequence[int]) -> Expression:
    """GROUP BY the items at these places of the SELECT list."""
    return units(" GROUP BY ", *_separated([str(position) for position in positions]))


def order_by(*choices: Expression) -> Expression:
    """ORDER BY any of these, or nothing."""
    kept = [choice for choice in choices if choice != ex.NOTHING]
    if not kept:
        return ex.EMPTY
    item = units(one_of(kept), ex.optional(Text(" DESC")))
    return ex.optional(units(" ORDER BY ", listed(item, ", ")))


def _separated(words: Sequence[str]) -> list[str]:
    return [part for number, word in enumerate(words) for part in ((", ", word) if number else (word,))]
