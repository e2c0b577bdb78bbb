"""The phrases over the columns of one FROM, as rules of the nested language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.contracts.grammar import expression as ex
from shared.contracts.grammar.expression import Expression, Reference, Text
from shared.contracts.sql.identifier import qualified
from shared.contracts.sql.phrase import written
from shared.contracts.sql.rules import RuleBook, listed, one_of, texts, units
from shared.contracts.sql.schema import Column, ColumnKind, Table

_DISTINCT = ex.optional(Text("DISTINCT "))
_DESCENDING = ex.optional(Text(" DESC"))


@dataclass(frozen=True)
class Lexicon:
    """What is spelled alike in every scope."""

    number: Reference
    string: Reference
    limit: Reference
    compare: Reference
    arithmetic: Reference
    joint: Reference


@dataclass(frozen=True)
class ScopeRules:
    """The phrases of one scope."""

    name: str
    column: Reference
    item: Reference
    """What may stand in a SELECT list."""
    items: dict[str, Reference]
    """The same by kind: `N` numbers, `T` texts, each where there are any."""
    measure: Reference
    """What HAVING compares: an aggregate, or arithmetic over them."""
    predicate: Reference
    """A condition without AND, OR and subqueries."""
    end: Reference
    """ORDER BY and LIMIT, or nothing."""
    group_end: Reference
    """The same after GROUP BY."""

    def can_fill(self, shape: str) -> bool:
        """Whether a derived table of these kinds can be read from here."""
        return set(shape) <= set(self.items)

    def filled(self, shape: str) -> Expression:
        """The SELECT list of a derived table."""
        named = [units(self.items[kind], " AS ", f"c_{number}") for number, kind in enumerate(shape, 1)]
        return ex.sequence(part for n, item in enumerate(named) for part in ((Text(", "), item) if n else (item,)))


def scope_rules(book: RuleBook, lexicon: Lexicon, name: str, tables: Sequence[Table]) -> ScopeRules:
    """Adds the rules of a scope; their names end in its own."""
    columns = [(table, column) for table in tables for column in table.columns]
    numbers = _columns(book, f"number.{name}", [c for c in columns if c[1].kind is not ColumnKind.TEXT])
    strings = _columns(book, f"text.{name}", [c for c in columns if c[1].kind is not ColumnKind.NUMBER])
    column = book.add(f"column.{name}", *(Text(qualified(*pair)) for pair in columns))
    value = _row_value(book, lexicon, name, numbers) if numbers else None
    counted = one_of([Text("*"), units(_DISTINCT, column)])
    number_aggregates = [units("COUNT(", counted, ")")]
    if numbers and value:
        inner = one_of([numbers, value])
        number_aggregates.append(units(texts("SUM(", "AVG("), _DISTINCT, inner, ")"))
        number_aggregates.append(units(texts("MAX(", "MIN("), inner, ")"))
    aggregate = book.add(f"aggregate.{name}", *number_aggregates)
    computed = arithmetic(book, lexicon, f"computed.{name}", [aggregate, *([numbers] if numbers else [])])
    items = {"N": book.add(f"item.N.{name}", *([numbers] if numbers else []), aggregate, computed)}
    if strings:
        items["T"] = book.add(f"item.T.{name}", strings, units(texts("MAX(", "MIN("), strings, ")"))
    item = book.add(f"item.{name}", *items.values())
    ordered = one_of([column, *([value] if value else [])])
    limit = ex.optional(units(" LIMIT ", lexicon.limit, ex.optional(units(" OFFSET ", lexicon.limit))))
    return ScopeRules(
        name=name,
        column=column,
        item=item,
        items=items,
        measure=book.add(f"measure.{name}", aggregate, computed),
        predicate=_predicate(book, lexicon, name, columns, value),
        end=book.add(f"end.{name}", units(_ordered(ordered), limit)),
        group_end=book.add(f"end.grouped.{name}", units(_ordered(item), limit)),
    )


def _ordered(item: Expression) -> Expression:
    return ex.optional(units(" ORDER BY ", listed(units(item, _DESCENDING), ", ")))


def _columns(book: RuleBook, name: str, columns: Sequence[tuple[Table, Column]]) -> Reference | None:
    return book.add(name, *(Text(qualified(*pair)) for pair in columns)) if columns else None


def _row_value(book: RuleBook, lexicon: Lexicon, name: str, numbers: Reference) -> Reference:
    """Arithmetic over the columns of one row."""
    return arithmetic(book, lexicon, f"value.{name}", [numbers])


def arithmetic(book: RuleBook, lexicon: Lexicon, name: str, operands: Sequence[Reference]) -> Reference:
    """A rule of two operands, each of which may be two in parentheses: one spelling for every order of evaluation.

    Numbers never stand alone with numbers: what is computed depends on an operand, and says whether it is a total.
    """
    number, operator = lexicon.number, lexicon.arithmetic
    operand = book.add(f"operand.{name}", *operands)
    pair = [units(operand, operator, one_of([operand, number])), units(number, operator, operand)]
    term = book.add(f"term.{name}", operand, units("(", one_of(pair), ")"))
    return book.add(name, units(term, operator, one_of([term, number])), units(number, operator, term))


def _predicate(
    book: RuleBook, lexicon: Lexicon, name: str, columns: Sequence[tuple[Table, Column]], value: Reference | None
) -> Reference:
    number, compare = lexicon.number, lexicon.compare
    branches = [units(Reference(f"column.{name}"), texts(" IS NULL", " IS NOT NULL"))]
    if value:
        numbers = Reference(f"number.{name}")
        branches.append(units(one_of([numbers, value]), compare, one_of([number, numbers, value])))
        branches += literal_predicates(numbers, number)
    if any(column.kind is not ColumnKind.NUMBER for _, column in columns):
        strings = Reference(f"text.{name}")
        branches.append(units(strings, compare, strings))
    free = [c for c in columns if c[1].kind is not ColumnKind.NUMBER and not c[1].values]
    if free:
        unlisted = book.add(f"free.{name}", *(Text(qualified(*pair)) for pair in free))
        branches.append(units(unlisted, compare, lexicon.string))
        branches.append(units(unlisted, texts(" LIKE ", " NOT LIKE "), lexicon.string))
        branches += literal_predicates(unlisted, lexicon.string)
    for table, column in columns:
        if column.values and column.kind is not ColumnKind.NUMBER:
            one = one_of(Text(written(value)) for value in column.values)
            text = Text(qualified(table, column))
            branches += [units(text, compare, one), *literal_predicates(text, one)]
    return book.add(f"literal.{name}", *branches)


def literal_predicates(column: Expression, value: Expression) -> list[Expression]:
    """BETWEEN and IN with values that are spelled out."""
    return [
        units(column, texts(" BETWEEN ", " NOT BETWEEN "), value, " AND ", value),
        units(column, texts(" IN (", " NOT IN ("), listed(value, ", "), ")"),
    ]
