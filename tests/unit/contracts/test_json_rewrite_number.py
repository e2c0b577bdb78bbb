"""Ranges and multipleOf, rewritten to languages of digits: against the `jsonschema` library and exact fractions."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.contracts.grammar.machine import Machine, TooComplex
from shared.contracts.json_schema.fact import Limit, Multiple, Values
from shared.contracts.json_schema.multiple import multiples
from shared.contracts.json_schema.number import Bound, NumberRange, fraction_text
from shared.contracts.json_schema.scalar import number_shapes
from tests.unit.contracts.json_rewrite import PER_EXAMPLE, Family, FamilyChecks, RewriteCase, case_of

Json = Any  # JSON values
Schema = dict[str, Json]

_DRAFT4 = "http://json-schema.org/draft-04/schema#"
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_MAX = 10**15 - 1  # beyond 15 digits nothing is generated
_INTEGERS = st.one_of(
    st.integers(-12, 12), st.integers(-1100, 1100), st.integers(-(10**9), 10**9), st.integers(-_MAX + 300, _MAX - 300),
    st.integers(1, 14).map(lambda power: 10**power), st.integers(1, 14).map(lambda power: 1 - 10**power),
)  # fmt: skip
# Halves and quarters are exact in a double, so that the library's arithmetic is, too.
_QUARTERS = st.integers(-4000, 4000).map(lambda quarters: quarters / 4)
_DECIMALS = st.one_of(
    _QUARTERS, st.integers(-9, 9), st.decimals(-20, 20, places=3).map(float), st.decimals(-1, 1, places=9).map(float),
    st.decimals(-(10**6), 10**6, places=6).map(float),
)  # fmt: skip


def _range(type_: str, edges: st.SearchStrategy[Json], **more: st.SearchStrategy[Json]) -> st.SearchStrategy[Schema]:
    """One or two bounds, mostly not far from each other."""
    ends = st.tuples(st.sampled_from(_BOUNDS[::2]), st.sampled_from(_BOUNDS[1::2]), edges, st.integers(0, 30))
    both = ends.map(lambda e: {e[0]: e[2], e[1]: e[2] + e[3]})
    one = st.tuples(st.sampled_from(_BOUNDS), edges).map(lambda pair: {pair[0]: pair[1]})
    rest = st.fixed_dictionaries({"type": st.just(type_), **more})
    return st.tuples(st.one_of(both, both, one), rest).map(lambda two: {**two[1], **two[0]})


def _near(schema: Schema) -> tuple[Json, ...]:
    """Integers and fractions at the bounds and at the multiples around them."""
    found: list[Json] = [0, 1, -1, 2.0, 0.5, -0.25, "1", None, 10**6]
    step = schema.get("multipleOf", 1)
    for edge in (schema[bound] for bound in _BOUNDS if not isinstance(schema.get(bound, True), bool)):
        exact = Fraction(str(edge))
        grid = exact // Fraction(str(step)) * Fraction(str(step))
        offsets = (-10, -1, Fraction(-1, 2), Fraction(-1, 100), 0, Fraction(1, 100), Fraction(1, 4), 1, 9, 10)
        near = [exact + offset for offset in offsets] + [grid + Fraction(str(step)) * n for n in (-2, -1, 0, 1, 2, 7)]
        found += [_plain(value) for value in near if fraction_text(value) is not None]
    return tuple(found)


def _plain(value: Fraction) -> Json:
    return int(value) if value.denominator == 1 else float(value)


def _is_told_by_no_digits(schema: Schema) -> bool:
    """Multiples of 3, 7 or 12 are listed in a small range; in an open one they are checked."""
    return schema["multipleOf"] in (3, 7, 12) and sum(bound in schema for bound in _BOUNDS) < 2


FAMILIES = {
    "integer_range": Family(_range("integer", _INTEGERS), _near),
    "integer_range_of_fractions": Family(_range("integer", _DECIMALS), _near),
    "number_range": Family(_range("number", _DECIMALS), _near),
    "number_range_of_integers": Family(_range("number", _INTEGERS), _near),
    "draft_04_exclusive": Family(
        st.fixed_dictionaries({"$schema": st.just(_DRAFT4), "type": st.sampled_from(["integer", "number"]),
                               "minimum": st.integers(-100, 100), "exclusiveMinimum": st.booleans()},
                              optional={"maximum": st.integers(-50, 200), "exclusiveMaximum": st.booleans()})
        .filter(lambda schema: "maximum" in schema or "exclusiveMaximum" not in schema),
        # 2.0 is no integer of draft-04; written as 2, as it is generated, it is one.
        lambda schema: tuple(value for value in _near(schema) if not isinstance(value, float) or value % 1)),
    "multiple_of_integer": Family(
        _range("integer", st.integers(-1500, 1500), multipleOf=st.sampled_from([1, 2, 3, 5, 7, 10, 12, 25, 100])),
        _near, _is_told_by_no_digits),
    "multiple_of_last_digits": Family(
        _range("integer", _INTEGERS, multipleOf=st.sampled_from([2, 4, 5, 8, 20, 50, 125, 1000])), _near),
    "multiple_of_fraction": Family(
        _range("number", _QUARTERS, multipleOf=st.sampled_from([0.5, 0.25, 0.125, 2, 2.5, 10])), _near),
    "multiples_of_both": Family(
        st.lists(st.sampled_from([2, 4, 5, 10, 0.5, 2.5, 25]), min_size=2, max_size=3).map(
            lambda steps: {"allOf": [{"multipleOf": step} for step in steps], "type": "number"}),
        lambda schema: (0, 1, 2, 4, 5, 10, 20, 50, 100, -20, 2.5, 12.5, 0.5, -7.5, 1000, 30, 15)),
    "not_multiple_of_one": Family(
        _range("number", _QUARTERS).map(lambda schema: {**schema, "not": {"type": "integer"}}), _near),
    "not_range": Family(_range("number", _QUARTERS).map(
        lambda schema: {"type": "number", "not": {key: value for key, value in schema.items() if key != "type"}}),
        lambda schema: _near(schema["not"])),
    "range_without_values": Family(
        _range("number", st.integers(-9, 9)).flatmap(lambda schema: st.lists(
            st.integers(-10, 12) | _QUARTERS, min_size=1, max_size=4).map(
                lambda values: {**schema, "not": {"enum": values}})),
        lambda schema: (*_near(schema), *schema["not"]["enum"])),
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
class TestRewriteOfNumbers(FamilyChecks):
    """One family for each rewrite, named after it."""


_STEPS = st.sampled_from([Fraction(n) for n in (1, 2, 3, 5, 7, 12, 25, 100)]) | st.sampled_from(
    [Fraction(1, 100), Fraction(1, 4), Fraction(1, 2), Fraction(5, 2), Fraction(7, 100), Fraction(3, 2)]
)
_ENDS = st.none() | st.builds(Bound, st.integers(-900, 900).map(lambda n: Fraction(n, 4)), st.booleans())


class TestMultiples:
    """`multiples`: the canonical texts of the multiples of a step in a range."""

    @PER_EXAMPLE
    @given(step=_STEPS, low=_ENDS, high=_ENDS, factor=st.integers(-300, 300), off=st.sampled_from([0, 0, 1, -1]))
    def test_spells_exactly_the_multiples_inside(
        self, step: Fraction, low: Bound | None, high: Bound | None, factor: int, off: int
    ) -> None:
        """A number near a multiple is spelled iff it is one and lies in the range; exact, not in doubles."""
        numbers = NumberRange(low, high, next(d for d in range(3) if (step * 10**d).denominator == 1))
        try:
            machine = Machine.of(multiples(step, numbers))
        except TooComplex:
            # Only where the last digits do not tell, over more multiples than are listed.
            assert step.numerator % 3 == 0 or step.numerator % 7 == 0
            assert low is None or high is None or (high.value - low.value) / step > 2000 - 1
            return
        value = step * factor + Fraction(off, 10**numbers.fraction_digits)
        text = fraction_text(value)

        assert text is not None
        assert machine.accepts(text) == ((value / step).denominator == 1 and numbers.holds(value))

    @pytest.mark.parametrize("step", [Fraction(3), Fraction(7), Fraction(3, 2)])
    def test_what_no_last_digits_tell_is_not_written(self, step: Fraction) -> None:
        """An open range of multiples of 3 needs a remainder for every prefix: the caller is told, and checks."""
        with pytest.raises(TooComplex):
            multiples(step, NumberRange(None, None, 1 if step.denominator > 1 else 0))


class TestNumberFacts:
    """`number_shapes`: bounds, steps and excluded values met in one language."""

    @PER_EXAMPLE
    @given(
        limits=st.lists(st.tuples(_ENDS.filter(bool), st.booleans()), max_size=3),
        steps=st.lists(st.sampled_from([1, 2, 5, 10, Fraction(1, 2), Fraction(1, 4)]), max_size=2),
        excluded=st.lists(st.integers(-6, 6), max_size=3),
        value=st.integers(-40, 40).map(lambda n: Fraction(n, 4)),
    )
    def test_a_number_is_spelled_iff_it_meets_every_fact(
        self, limits: list[tuple[Bound, bool]], steps: list[Fraction], excluded: list[int], value: Fraction
    ) -> None:
        """The tightest bounds, the least common multiple of the steps, cut where single values are excluded."""
        facts = [
            *(Limit("", bound, is_lower) for bound, is_lower in limits),
            *(Multiple("", Fraction(step)) for step in steps),
            Values("", tuple(excluded), holds=False),
        ]
        text = fraction_text(value)
        assume(text is not None)

        shapes = number_shapes(facts)

        inside = [value > b.value or (value == b.value and not b.exclusive) for b, lower in limits if lower]
        inside += [value < b.value or (value == b.value and not b.exclusive) for b, lower in limits if not lower]
        expected = all(inside) and all((value / step).denominator == 1 for step in steps) and value not in excluded
        assert [bool(shape.loose) for shape in shapes] == [False] * len(shapes)
        assert any(shape.acceptor.accepts(text) for shape in shapes) == expected


class TestLargestNumbers:
    """Beyond 15 digits a double no longer tells numbers apart."""

    @pytest.mark.parametrize("bounds", [{"minimum": 10**15}, {"maximum": -(10**15)}, {"exclusiveMinimum": _MAX}])
    def test_a_range_beyond_is_refused(self, bounds: dict[str, int]) -> None:
        """It has values, none of which is generated: that is said at registration."""
        assert case_of({"type": "integer", **bounds}, []) is None

    @pytest.mark.parametrize("value", [_MAX, -_MAX, 10**15, -(10**15)])
    def test_the_last_number_inside_is_generated(self, value: int) -> None:
        """Up to 10**15 - 1 on both sides."""
        case = RewriteCase({"type": "integer"})

        assert case.is_generated(value) == (abs(value) <= _MAX)
        assert case.derives(json.dumps(value)) == (abs(value) <= _MAX)

    @PER_EXAMPLE
    @given(value=st.decimals(-1000, 1000, places=6))
    def test_a_multiple_of_a_cent_is_one_in_decimals(self, value: Decimal) -> None:
        """0.07 is a multiple of 0.01, though not in doubles: the library's own answer is not asked here."""
        case = RewriteCase({"type": "number", "multipleOf": 0.01})

        assert case.is_certain
        assert case.is_generated(float(value)) == (value * 100 == int(value * 100))
