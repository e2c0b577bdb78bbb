"""Value lists and join edges: what an owner declares besides the DDL."""

from __future__ import annotations

import dataclasses

import pytest

from shared.contracts.spec import ContractSpec, JoinEdge, ValueList
from shared.contracts.sql import canonicalise_sql, check_sql, lower_sql
from shared.contracts.sql.profile import language_of
from shared.errors import InvalidInput
from tests.unit.contracts.sql.schemas import SALES, flat

FAULTS = [
    ({"value_lists": (ValueList("nothing", "city", ("x",)),)}, "value_lists[0].table", "no table 'nothing'"),
    ({"value_lists": (ValueList("customers", "nothing", ("x",)),)}, "value_lists[0].column", "no column 'nothing'"),
    ({"value_lists": (ValueList("customers", "id", ("1",)),)}, "value_lists[0].column", "holds numbers"),
    ({"value_lists": (ValueList("customers", "city", ()),)}, "value_lists[0].values", "0 values"),
    ({"value_lists": (ValueList("customers", "city", ("a", "a")),)}, "value_lists[0].values", "twice"),
    ({"value_lists": (ValueList("customers", "city", ("a", "b\n")),)}, "value_lists[0].values[1]", "control"),
    ({"value_lists": (ValueList("customers", "city", ("a" * 201,)),)}, "value_lists[0].values[0]", "limit is 200"),
    ({"value_lists": (ValueList("customers", "city", ("a",)),) * 2}, "value_lists[1].column", "already"),
    ({"join_edges": (JoinEdge("nothing", "a", "orders", "id"),)}, "join_edges[0].table", "no table"),
    ({"join_edges": (JoinEdge("orders", "id", "customers", "x"),)}, "join_edges[0].other_column", "no column"),
    ({"join_edges": (JoinEdge("orders", "id", "customers", "city"),)}, "join_edges[0]", "a number and a text"),
    ({"join_edges": (JoinEdge("orders", "id", "ORDERS", "ID"),)}, "join_edges[0]", "joined with itself"),
    ({"join_edges": (JoinEdge("orders", "id", "products", "id"),) * 201}, "join_edges", "limit is 200"),
]


def declared(**fields: object) -> ContractSpec:
    """The sales schema with more declarations."""
    return dataclasses.replace(flat(SALES), **fields)  # type: ignore[arg-type]  # the tests name real fields


class TestFaults:
    """Declarations that do not fit the DDL."""

    @pytest.mark.parametrize(("fields", "path", "reason"), FAULTS)
    def test_each_is_refused_at_its_place(self, fields: dict[str, object], path: str, reason: str) -> None:
        """The violation's path is the field of the spec."""
        with pytest.raises(InvalidInput) as caught:
            lower_sql(declared(**fields))

        assert caught.value.reason == "CONTRACT_UNSUPPORTED"
        assert [path] == [violation.path for violation in caught.value.violations]
        assert reason in caught.value.violations[0].description


class TestValueLists:
    """Columns that hold few values."""

    SPEC = declared(value_lists=(ValueList("Customers", "CITY", ("Oslo", "L'Aquila")),))

    @pytest.mark.parametrize("condition", ["= 'Oslo'", "<> 'L''Aquila'", "NOT IN ('Oslo', 'L''Aquila')", "IS NULL"])
    def test_the_listed_values_are_literals(self, condition: str) -> None:
        """Each listed value may stand beside the column, and the column is else as free as any."""
        text = f"SELECT customers.id FROM customers WHERE customers.city {condition}"

        assert language_of(self.SPEC).pattern.fullmatch(text)
        assert canonicalise_sql(self.SPEC, text) == text
        assert check_sql(self.SPEC, text) == ()

    @pytest.mark.parametrize("condition", ["= 'Rome'", "IN ('Oslo', 'Rome')", "LIKE 'O%'", "BETWEEN 'A' AND 'Oslo'"])
    def test_no_other_text_is(self, condition: str) -> None:
        """A text that the column cannot hold is refused by name, in the language and by the canonicaliser."""
        text = f"SELECT customers.id FROM customers WHERE customers.city {condition}"

        assert language_of(self.SPEC).pattern.fullmatch(text) is None
        with pytest.raises(InvalidInput, match="listed values"):
            canonicalise_sql(self.SPEC, text)

    def test_columns_without_a_list_stay_free(self) -> None:
        """A list says nothing about other columns of the table."""
        text = "SELECT customers.id FROM customers WHERE customers.country = 'anything'"

        assert language_of(self.SPEC).pattern.fullmatch(text)


class TestJoinEdges:
    """Joins that no key declares."""

    def test_a_declared_edge_joins(self) -> None:
        """Tables that no key connects may be joined along the edge, as it was declared."""
        spec = declared(join_edges=(JoinEdge("PRODUCTS", "title", "customers", "Name"),))
        text = "SELECT products.id FROM products JOIN customers ON products.title = customers.name"

        assert canonicalise_sql(spec, "SELECT p.id FROM customers c, products p WHERE c.name = p.title") == text
        assert check_sql(spec, text) == ()
