"""A finder of personal data that the operator plugs in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from shared.contracts.spec import ContractKind
from shared.errors import InvalidInput
from trainer_svc.curation.personal.base import PersonalSpan
from trainer_svc.curation.personal.finder import PATTERNS
from trainer_svc.curation.personal.finding import personal_findings
from trainer_svc.curation.personal.plugin import load_finder
from trainer_svc.domain.dataset import CheckedRow

_PLUGIN = """
from trainer_svc.curation.personal.base import PersonalSpan

class NameFinder:
    kinds = ("a name",)

    def find(self, text):
        begin = text.find("Jane Doe")
        return [PersonalSpan("a name", begin, begin + 8)] if begin >= 0 else []

def make():
    return NameFinder()

def nothing():
    return None
"""


class TestPlugin:
    """A finder of the operator's own."""

    @pytest.fixture(autouse=True)
    def module(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """An installed package."""
        (tmp_path / "name_finder.py").write_text(_PLUGIN)
        monkeypatch.syspath_prepend(tmp_path)

    def test_finds_beside_the_built_in_one(self) -> None:
        """Each its own kinds."""
        finder = load_finder("name_finder:make")
        row = CheckedRow(1, "Jane Doe, jane@example.org", "fine")

        findings = personal_findings(ContractKind.TEXT, [row], finder)

        assert [finding.message for finding in findings] == [
            "holds a name: characters 0-8",
            "holds an e-mail address: characters 10-26",
        ]
        assert list(finder.kinds) == [*PATTERNS.kinds, "a name"]

    @pytest.mark.parametrize("factory", ["name_finder", "name_finder:none", "absent:make", "name_finder:nothing", "1"])
    def test_one_that_is_none_is_refused(self, factory: str) -> None:
        """At the start of the service, not at the first upload."""
        with pytest.raises(InvalidInput, match="personal_data_finder"):
            load_finder(factory)

    def test_without_one_the_built_in_finder_works_alone(self) -> None:
        """And says that it finds no names."""
        assert load_finder("") is PATTERNS
        assert not any("name" in kind for kind in PATTERNS.kinds)

    def test_what_lies_outside_the_text_is_refused(self) -> None:
        """A report must not point to nowhere."""

        class Wrong:
            kinds = ("a name",)

            def find(self, text: str) -> Sequence[PersonalSpan]:
                return [PersonalSpan("a name", 0, len(text) + 1)]

        with pytest.raises(ValueError, match="Wrong found a name"):
            list(personal_findings(ContractKind.TEXT, [CheckedRow(1, "x", "y")], Wrong()))
