"""The real golden dataset, and random walks over several databases: what the benchmark measures, as tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.format_sql import geography_coverage, walk_faults


@pytest.mark.real_data
class TestGeography:
    """GeoQuery under its nested contract."""

    def test_nearly_every_golden_statement_is_inside_and_answers_as_before(self, real_data: Path) -> None:
        """At least 98 of 100 statements have a canonical spelling, and none of them answers otherwise."""
        coverage, changed_answers = geography_coverage(real_data)

        assert coverage.ratio >= 0.98, coverage.reasons()
        assert changed_answers == 0

    def test_a_thousand_random_walks_are_valid(self, real_data: Path) -> None:
        """Eight databases, both profiles: every text parses, qualifies and passes SQLite's EXPLAIN."""
        assert walk_faults(real_data, 1_000) == []
