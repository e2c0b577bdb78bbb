"""$ref, rewritten to rules of a grammar: recursion to any depth, against the `jsonschema` library."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.grammar.tracker import MAX_LEVEL
from shared.contracts.json_schema.dialect import dialect_of
from shared.contracts.json_schema.document import Document
from shared.contracts.json_schema.follower import Follower
from shared.contracts.json_schema.ledger import Ledger
from shared.contracts.json_schema.loop import endless
from shared.contracts.report import KeywordFate
from shared.contracts.spec import UndeclaredProperties
from shared.errors import InvalidInput
from tests.unit.contracts.json_oracle import SchemaCase
from tests.unit.contracts.json_rewrite import PER_EXAMPLE, Family, FamilyChecks, RewriteCase, case_of

Json = Any  # JSON values
Schema = dict[str, Json]

_LEAF: st.SearchStrategy[Json] = st.sampled_from(
    [{"type": "integer"}, {"const": "x"}, {"type": "null"}, {"type": "number", "minimum": 2}]
)
_TO = st.sampled_from(["#/$defs/a", "#/$defs/b"]).map(lambda place: {"$ref": place})
_NODE: st.SearchStrategy[Json] = st.one_of(
    st.fixed_dictionaries({"type": st.just("array"), "items": _TO}, optional={"maxItems": st.just(2)}),
    st.fixed_dictionaries({"type": st.just("object"), "properties": st.fixed_dictionaries({"n": _TO}),
                           "additionalProperties": st.just(False)}, optional={"required": st.just(["n"])}),
    st.tuples(_LEAF, st.sampled_from(["items", "contains"]), _TO).map(
        lambda three: {"anyOf": [three[0], {"type": "array", three[1]: three[2]}]}),
    st.tuples(_LEAF, _TO).map(lambda two: {"oneOf": [two[0], {"type": "object", "additionalProperties": two[1]}]}),
    st.tuples(_LEAF, _TO).map(lambda two: {"allOf": [{"not": two[0]}, {"type": "array", "items": two[1]}]}),
    _LEAF,
)  # fmt: skip


def _nested() -> tuple[Json, ...]:
    found: list[Json] = [1, 2, "x", None, 0.5, True]
    for _ in range(2):
        some = found[::3] if len(found) > 10 else found
        found = [*found, *([one] for one in some), *({"n": one} for one in some), *([1, one] for one in some[:5])]
    return (*found, [], {}, [[[[]]]], {"n": {"n": {"n": {"n": 1}}}}, {"m": 1}, {"n": 1, "m": [1]}, [[], [[1]], "x"])


_NESTED = _nested()
RECURSION = Family(
    st.fixed_dictionaries({"$defs": st.fixed_dictionaries({"a": _NODE, "b": _NODE}), "$ref": st.just("#/$defs/a")}),
    lambda schema: _NESTED,
)


class TestRewriteOfRecursion(FamilyChecks):
    """Two schemas that refer to each other and to themselves from inside of values."""

    @pytest.fixture
    def family(self) -> Family:
        """The schemas of this class."""
        return RECURSION

    @PER_EXAMPLE
    @given(node=_NODE)
    def test_a_reference_says_what_its_target_says(self, node: Json) -> None:
        """The schema in the place of the reference: the same values."""
        definitions = {"$defs": {"a": node, "b": {"type": "integer"}}}
        referring, inlined = case_of({**definitions, "$ref": "#/$defs/a"}, []), case_of({**definitions, **node}, [])

        assert (referring is None) == (inlined is None)
        for value in _NESTED[::4] if referring and inlined else ():
            assert referring.is_generated(value) == inlined.is_generated(value)

    @PER_EXAMPLE
    @given(depth=st.integers(0, 60), leaf=st.sampled_from([1, "x", None]))
    def test_goes_to_the_depth_that_the_report_states(self, depth: int, leaf: Json) -> None:
        """The grammar has no limit of its own; the engine's is stated beside the reference."""
        case = RewriteCase({"anyOf": [{"type": "integer"}, {"type": "array", "items": {"$ref": "#"}, "maxItems": 1}]})
        value = leaf
        for _ in range(depth):
            value = [value]
        notes = {verdict.pointer: (verdict.fate, verdict.note) for verdict in case.lowered.verdicts}

        case.check(value)
        fate, note = notes["/anyOf/1/items/$ref"]
        assert fate is KeywordFate.ENFORCED
        assert str(MAX_LEVEL) in note


_NAMES = "abcd"
_EDGES = st.tuples(
    st.sampled_from(["$ref", "allOf", "anyOf", "not", "items", "properties", "dependentSchemas"]),
    st.sampled_from(_NAMES),
)
_GRAPHS = st.fixed_dictionaries({name: st.lists(_EDGES, max_size=2, unique_by=lambda edge: edge[0]) for name in _NAMES})


def _written(edges: list[tuple[str, str]]) -> Schema:
    """A schema whose keywords lead to others."""
    found: Schema = {}
    for keyword, target in edges:
        there = {"$ref": f"#/$defs/{target}"}
        shapes = {"$ref": there["$ref"], "allOf": [there], "anyOf": [there, {"const": keyword}], "not": there,
                  "items": there, "properties": {"n": there}, "dependentSchemas": {"n": there}}  # fmt: skip
        found[keyword] = shapes[keyword]
    return found


class TestEndless:
    """`endless`: references that lead back without going into a value."""

    @PER_EXAMPLE
    @given(graph=_GRAPHS)
    def test_finds_a_circle_that_stays_in_place_wherever_the_root_leads(
        self, graph: dict[str, list[tuple[str, str]]]
    ) -> None:
        """By the transitive closure of what is reached in place, over all that is reached at all."""
        schema = {"$defs": {name: _written(edges) for name, edges in graph.items()}, "$ref": "#/$defs/a"}
        document = Document(schema, dialect_of(schema))
        reached, in_place = {"a"}, {(name, t) for name, edges in graph.items() for k, t in edges if k not in _INSIDE}
        for _ in _NAMES:
            reached |= {target for name in tuple(reached) for _, target in graph[name]}
            in_place |= {(a, d) for a, b in in_place for c, d in in_place if b == c}

        expected = any((name, name) in in_place for name in reached)

        assert (endless(document, Follower(document, Ledger())) is not None) == expected

    @PER_EXAMPLE
    @given(graph=_GRAPHS)
    def test_of_what_is_accepted_validation_ends(self, graph: dict[str, list[tuple[str, str]]]) -> None:
        """No schema is accepted under which the library recurses for ever; a loop is refused as one."""
        schema = {"$defs": {name: _written(edges) for name, edges in graph.items()}, "$ref": "#/$defs/a"}
        case = _accepted(schema)

        for value in ({"n": {"n": 1}}, [[1], {"n": []}], None) if case else ():
            assert case.is_valid(value) in (True, False)  # and no RecursionError


def _accepted(schema: Schema) -> SchemaCase | None:
    try:
        return SchemaCase(schema, UndeclaredProperties.AS_WRITTEN)
    except InvalidInput:
        return None


_INSIDE = ("items", "properties")


class TestUnfollowed:
    """References out of the document."""

    @pytest.mark.parametrize("reference", ["https://example.org/x", "other.json#/a", "#/$defs/nowhere", "#nowhere"])
    def test_are_refused_by_place(self, reference: str) -> None:
        """Nothing is fetched, and nothing is taken for granted."""
        with pytest.raises(InvalidInput, match="not the place of a schema") as refusal:
            RewriteCase({"items": {"$ref": reference}})

        assert json.dumps([fault.path for fault in refusal.value.violations]) == '["json_schema#/items/$ref"]'
