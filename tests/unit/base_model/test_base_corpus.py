"""The generated text: deterministic, honest about what it copies, valid JSON and SQL."""

import json
import sqlite3
from collections import Counter
from random import Random

import pytest

from deploy.base_model.corpus.example import Example
from deploy.base_model.corpus.mixture import TASKS, draw
from deploy.base_model.corpus.number import ordinal, ordinal_word, spelled
from deploy.base_model.corpus.template import expand


def _documents(seed: int, count: int, copying: float = 0.0) -> list[Example]:
    rng = Random(seed)
    return [draw(rng, copying) for _ in range(count)]


@pytest.fixture(scope="module")
def documents() -> list[Example]:
    """Three thousand documents of the final mixture."""
    return _documents(7, 3000)


class TestMixture:
    """Which documents a seed gives."""

    def test_same_seed_gives_same_documents(self) -> None:
        """The text is a function of the seed."""
        assert _documents(3, 300, 0.5) == _documents(3, 300, 0.5)

    def test_other_seed_gives_other_documents(self) -> None:
        """Two seeds share no run of documents."""
        assert _documents(3, 20) != _documents(4, 20)

    def test_every_task_occurs(self, documents: list[Example]) -> None:
        """The mixture holds every task that is measured, and no other."""
        assert set(TASKS) == {document.task for document in documents}

    def test_curriculum_begins_with_copying(self) -> None:
        """A copying share of 0.7 shows in the documents."""
        counts = Counter(document.task for document in _documents(5, 1000, 0.7))

        assert 0.65 < counts["copy"] / 1000 < 0.8


class TestExample:
    """What holds for every document."""

    def test_copied_values_occur_in_the_input(self, documents: list[Example]) -> None:
        """Whatever a target is said to copy stands in the input letter by letter."""
        missing = [
            (document.task, value) for document in documents for value in document.copied if value not in document.input
        ]

        assert missing == []

    def test_some_values_are_copied_in_every_extraction_task(self, documents: list[Example]) -> None:
        """The rule above is not empty."""
        assert {"copy", "extract_plain", "extract_schema", "extract_long", "document"} <= {
            document.task for document in documents if document.copied
        }

    def test_json_targets_are_canonical(self, documents: list[Example]) -> None:
        """A JSON target parses, is an object, and is written compactly with raw UTF-8."""
        targets = [document.output for document in documents if document.task.startswith(("extract", "document"))]
        values = [json.loads(target) for target in targets]

        assert all(isinstance(value, dict) for value in values)
        assert targets == [json.dumps(value, ensure_ascii=False, separators=(",", ":")) for value in values]

    def test_sql_targets_run_on_their_schema(self, documents: list[Example]) -> None:
        """SQLite accepts each query on an empty database built from the document's DDL."""
        asked = [document for document in documents if document.ddl]
        faults = []
        for document in asked:
            database = sqlite3.connect(":memory:")
            try:
                database.executescript(document.ddl)
                database.execute(document.output)
            except sqlite3.Error as error:
                faults.append((str(error), document.output))
            finally:
                database.close()

        assert len(asked) > 300
        assert faults == []

    def test_sql_targets_are_canonical(self, documents: list[Example]) -> None:
        """Queries are one SELECT without alias, semicolon, doubled space or double-quoted text."""
        queries = [document.output for document in documents if document.task.startswith("sql")]

        assert all(query.startswith("SELECT ") for query in queries)
        assert [query for query in queries if " AS " in query or query.endswith(";") or "\n" in query] == []

    def test_system_is_absent_in_most_short_documents(self, documents: list[Example]) -> None:
        """Plain tasks carry no instructions, as adapters are trained and served."""
        assert all(not document.system for document in documents if document.task.endswith("_plain"))
        assert all(document.system for document in documents if document.task.endswith(("_schema", "_long")))

    def test_long_prompts_are_long(self, documents: list[Example]) -> None:
        """Instruction prompts have the length of those that teams write."""
        lengths = [len(document.system) for document in documents if document.task.endswith("_long")]

        assert min(lengths) > 900
        assert max(lengths) > 2500


class TestTemplate:
    """The notation of sentence patterns."""

    @pytest.mark.parametrize(
        ("template", "allowed"),
        [
            ("a (b|c) d", {"a b d", "a c d"}),
            ("a [b ]c", {"a c", "a b c"}),
            ("<a;b>", {"a b", "b a"}),
            ("x {slot}", {"x filled"}),
            ("(a [b]|<c;d>)", {"a", "a b", "c d", "d c"}),
        ],
    )
    def test_brackets_mean_choice_option_and_order(self, template: str, allowed: set[str]) -> None:
        """Every expansion is one of those the notation allows, and all of them occur."""
        rng = Random(1)

        found = {expand(template, rng, lambda slot: "filled") for _ in range(200)}

        assert found == allowed


class TestNumber:
    """Numbers in words."""

    @pytest.mark.parametrize(
        ("number", "words"),
        [
            (0, "zero"),
            (19, "nineteen"),
            (40, "forty"),
            (86, "eighty six"),
            (333, "three hundred thirty three"),
            (4001, "four thousand one"),
        ],
    )
    def test_numbers_are_spelled(self, number: int, words: str) -> None:
        """Words of a number are those of English."""
        assert spelled(number) == words

    def test_ordinals_are_spelled(self) -> None:
        """Days of a month have their English ordinals."""
        assert [
            ordinal(number) for number in (1, 2, 3, 4, 11, 12, 13, 21, 22, 31)
        ] == "1st 2nd 3rd 4th 11th 12th 13th 21st 22nd 31st".split()
        assert [ordinal_word(number) for number in (1, 20, 21, 30, 31)] == [
            "first",
            "twentieth",
            "twenty first",
            "thirtieth",
            "thirty first",
        ]
