"""The values that an output is made of."""

from __future__ import annotations

import json

from shared.contracts.spec import ContractKind
from trainer_svc.curation.leaf import Leaf, fields_of, leaves


class TestLeaves:
    """In the order of the output."""

    def test_each_has_its_place(self) -> None:
        """As a JSON Pointer, and without places in lists."""
        found = leaves(ContractKind.JSON, '{"a":[1,{"b/c~":"x"}],"d":{},"e":null,"f":[]}')

        assert list(found) == [
            Leaf("/a/0", "/a/*", 1),
            Leaf("/a/1/b~1c~0", "/a/*/b~1c~0", "x"),
            Leaf("/d", "/d", None),
            Leaf("/e", "/e", None),
            Leaf("/f", "/f", None),
        ]

    def test_a_text_is_one(self) -> None:
        """Also where it looks like JSON."""
        assert list(leaves(ContractKind.SQL, "[1]")) == [Leaf("", "", "[1]")]

    def test_no_output_takes_more_than_its_share(self) -> None:
        """Thousands of items, hundreds of levels, names of thousands of characters."""
        deep: object = 1
        for _ in range(300):
            deep = [deep, "x"]

        many, nested, named = (
            list(leaves(ContractKind.JSON, json.dumps(value)))
            for value in (list(range(5000)), deep, {"k" * 5000: [[1] * 100] * 100})
        )

        assert [leaf.value for leaf in many] == list(range(256))
        assert 0 < len(nested) <= 256
        assert max(len(leaf.pointer) for leaf in nested) < 210
        assert named == []


class TestFields:
    """All that an output shows."""

    def test_the_last_item_counts(self) -> None:
        """However many come before it."""
        output = json.dumps({"list": [*range(5000), {"b/c": "x"}], "empty": [], "none": {}, "last": True})

        found = set(fields_of(output))

        assert found >= {("/list/*/b~1c", "x"), ("/empty", None), ("/none", None), ("/last", True), ("/list/*", 4999)}
        assert {field for field, _ in found} == {"/list/*", "/list/*/b~1c", "/empty", "/none", "/last"}

    def test_names_without_end_are_passed_over(self) -> None:
        """With what is within; what is around them is told, and once."""
        output = json.dumps({"o": {"k" * 5000: [1], "l" * 5000: 1}, "a": 2, "d": {"k" * 120: {"k" * 120: "x"}}})

        assert sorted(fields_of(output), key=str) == [("/a", 2), (f"/d/{'k' * 120}", None), ("/o", None)]
