"""Which rows reviewers see, and that nothing tells them whose answer is whose."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.trainer_svc.preference_sample import answered
from trainer_svc.domain.preference import PreferencePair
from trainer_svc.domain.preference_draw import common_rows, draw_pairs

COUNT = 40
ROWS = common_rows(answered([f"a{n}" for n in range(COUNT)]), answered([f"b{n}" for n in range(COUNT)]))
SECRETS = st.binary(min_size=32, max_size=32)


def _inputs(pairs: tuple[PreferencePair, ...]) -> set[str]:
    return {pair.input for pair in pairs}


class TestCommonRows:
    """`common_rows`."""

    def test_are_joined_by_what_they_are(self) -> None:
        """Other places in the upload, or other rows beside them, are no matter."""
        first, other = answered(["a1", "a2", "a3"]), answered(["b1", "b2", "b3", "b4"])
        moved = [dataclasses.replace(row, row=row.row + 100) for row in reversed(other)]

        found = common_rows(first[1:], moved)

        assert (found.count, found.equal_count) == (2, 0)
        assert [(one.adapter.text, two.adapter.text) for one, two in found.different] == [("a2", "b2"), ("a3", "b3")]

    def test_leave_out_what_needs_no_reviewer(self) -> None:
        """The same text, and two spellings of the golden output, are alike; two spellings of a mistake are not."""
        same = common_rows(answered(["x", "a"]), answered(["x", "b"]))
        exact = common_rows(answered(["[1]"], is_exact=True), answered(["[ 1 ]"], is_exact=True))
        wrong = common_rows(answered(["[1]"]), answered(["[ 1 ]"], is_exact=True))

        assert (same.count, same.equal_count, len(same.different)) == (2, 1, 1)
        assert (exact.count, exact.equal_count, wrong.equal_count) == (1, 1, 0)

    def test_count_a_row_once_that_was_held_out_twice(self) -> None:
        """Else one input would weigh twice."""
        first, other = answered(["a1"]), answered(["b1"])

        assert common_rows(first * 2, other * 3).count == 1

    def test_may_be_none(self) -> None:
        """Of two datasets that have nothing in common."""
        assert common_rows(answered(["a1"]), answered(["x", "b2"])[1:]).count == 0


class TestDrawPairs:
    """`draw_pairs`."""

    @given(st.integers(1, COUNT + 5), st.integers(-(2**63), 2**63 - 1), SECRETS)
    def test_draws_as_many_as_there_are_at_most(self, limit: int, seed: int, secret: bytes) -> None:
        """Each row once, each side with the answer of the row."""
        pairs = draw_pairs(ROWS, limit, seed, secret)

        assert len(pairs) == len(_inputs(pairs)) == len({pair.id for pair in pairs}) == min(limit, COUNT)
        for pair in pairs:
            assert {pair.left, pair.right} == {pair.answer_a, pair.answer_b}
            assert pair.answer_a[1:] == pair.answer_b[1:] == str(int(pair.input.removeprefix("input ")) - 1)

    @given(st.integers(0, 100), SECRETS, SECRETS)
    def test_draws_rows_by_the_seed_alone(self, seed: int, secret: bytes, other: bytes) -> None:
        """So that a study can be repeated on the same rows; another seed draws others."""
        assert _inputs(draw_pairs(ROWS, 10, seed, secret)) == _inputs(draw_pairs(ROWS, 10, seed, other))
        assert _inputs(draw_pairs(ROWS, 10, seed, secret)) != _inputs(draw_pairs(ROWS, 10, seed + 1, secret))

    def test_sides_and_order_do_not_follow_from_the_seed(self) -> None:
        """Two studies with the same seed differ in sides, order and ids."""
        one, two = (draw_pairs(ROWS, COUNT, 7, bytes([number]) * 32) for number in (1, 2))
        sides = [{pair.input: pair.is_a_left for pair in pairs} for pairs in (one, two)]

        differing = sum(sides[0][name] != sides[1][name] for name in sides[0])
        assert COUNT * 0.2 < differing < COUNT * 0.8
        assert [pair.input for pair in one] != [pair.input for pair in two]
        assert not {pair.id for pair in one} & {pair.id for pair in two}

    @given(st.integers(1, COUNT), SECRETS)
    def test_has_either_revision_on_the_left_as_often(self, limit: int, secret: bytes) -> None:
        """Give or take one: who always says left prefers neither."""
        pairs = draw_pairs(ROWS, limit, 0, secret)

        assert abs(2 * sum(pair.is_a_left for pair in pairs) - len(pairs)) <= 1

    def test_sides_do_not_follow_from_anything_that_is_shown(self) -> None:
        """Over 400 secrets: each row, each place in the order and the last digit of an id have both sides, evenly."""
        studies = [draw_pairs(ROWS, 9, 0, number.to_bytes(32, "big")) for number in range(400)]
        first = [study[0].is_a_left for study in studies]
        row = [pair.is_a_left for study in studies for pair in study if pair.input == studies[0][0].input]
        odd = [pair.is_a_left for study in studies for pair in study if int(pair.id, 16) % 2]
        only = [draw_pairs(ROWS, 1, 0, number.to_bytes(32, "big"))[0].is_a_left for number in range(400)]

        for sides in (first, row, odd, only):
            deviation = 5 * 0.5 / len(sides) ** 0.5  # five standard deviations; the secrets are the same in every run
            assert abs(sum(sides) / len(sides) - 0.5) < deviation
