"""Rows that are alike, found by their inputs."""

from __future__ import annotations

import itertools
import json
import random
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer_svc.curation import likeness
from trainer_svc.curation.likeness import Link, Relation, cluster, find_links
from trainer_svc.domain.dataset import CheckedRow


def _rows(*pairs: tuple[str, object]) -> list[CheckedRow]:
    return [CheckedRow(i, text, json.dumps(output)) for i, (text, output) in enumerate(pairs, 1)]


class TestFindLinks:
    """How two rows stand to each other."""

    @pytest.mark.parametrize(
        ("first", "second", "relation"),
        [
            (("Book a table for 2", 1), ("book  a TABLE for 2", 1), Relation.SAME),
            (("Book a table for two people tonight", 1), ("Book a tabel for two people tonight", 1), Relation.NEAR),
            (("Which states border Texas?", "q"), ("which state borders Texas", "q"), Relation.NEAR),
            (("what is the weather in Lisbon now", 1), ("now what is the weather in lisbon?", 1), Relation.NEAR),
            (("Book a table for two", 1), ("Book a table for two", 2), Relation.CONTRADICTION),
            (("Book a table for two people tonight", 1), ("Book a tabel for two people tonight", 2),
             Relation.CONTRADICTION),
            (("play Jazz", {"genre": "Jazz"}), ("play jazz", {"genre": "jazz"}), Relation.VARIANT),
            (("A table at Luigis for tonight please", {"at": "Luigis"}),
             ("A table at Luigas for tonight please", {"at": "Luigas"}), Relation.VARIANT),
            (("A table at Luigis for tonight please", {"at": "Luigis", "n": 1}),
             ("A table at Luigas for tonight please", {"at": "Luigas", "n": 2}), Relation.CONTRADICTION),
        ],
    )  # fmt: skip
    def test_names_the_relation(
        self, first: tuple[str, object], second: tuple[str, object], relation: Relation
    ) -> None:
        """The earlier row comes first."""
        assert find_links(_rows(first, second)) == [Link(0, 1, relation)]

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            (("Invoice 4711 of Miller, total 12 euro", 1), ("Invoice 4712 of Miller, total 12 euro", 1)),
            (("A table for two people at Luigi's tonight", 2), ("A table for ten people at Luigi's tonight", 10)),
            (("Alan pays Grace", "A to G"), ("Grace pays Alan", "G to A")),
            (("Send the money to my brother today", 1), ("What is the weather like in Rome", 1)),
        ],
        ids=["numbers", "words", "order", "nothing in common"],
    )  # fmt: skip
    def test_leaves_other_questions_alone(self, first: tuple[str, object], second: tuple[str, object]) -> None:
        """Rows may look alike and ask for different things."""
        assert find_links(_rows(first, second)) == []

    @pytest.mark.parametrize(
        ("first", "second"),
        [("x > 5", "x < 5"), ("\U0001f44d", "\U0001f44e"), ("\u0915\u093e", "\u0915\u0940"), ("-1", "1")],
    )
    def test_signs_of_an_output_count(self, first: str, second: str) -> None:
        """The same input has one answer, to the last sign."""
        (link,) = find_links(_rows(("is it so", first), ("Is it so", second)))

        assert link.relation is Relation.CONTRADICTION

    def test_another_character_is_another_word_where_words_have_one(self) -> None:
        """Beijing and Nanjing differ in one character of a clause without spaces."""
        texts = (
            "\u6211\u60f3\u8ba2\u4e00\u5f20\u53bb\u5317\u4eac\u7684\u706b\u8f66\u7968",
            "\u6211\u60f3\u8ba2\u4e00\u5f20\u53bb\u5357\u4eac\u7684\u706b\u8f66\u7968",
        )

        assert find_links(_rows((texts[0], 1), (texts[1], 2))) == []

    def test_a_word_that_others_use_is_no_slip(self) -> None:
        """What is spelt nearly alike may be two words."""
        others = [(f"{word} {i}", 0) for i in range(9) for word in ("reverted", "rejected")]
        pair = [("the app reverted my top up", 1), ("the app rejected my top up", 2)]

        assert [link.relation for link in find_links(_rows(*pair))] == [Relation.CONTRADICTION]
        assert find_links(_rows(*pair, *others)) == []

    def test_each_output_of_an_input_is_told_once(self) -> None:
        """Copies hang on the first row of their output, and that on the first of all."""
        links = find_links(_rows(("x y", 1), ("x y", 1), ("x y", 2), ("x y", 2)))

        assert links == [
            Link(0, 1, Relation.SAME),
            Link(0, 2, Relation.CONTRADICTION),
            Link(2, 3, Relation.SAME),
        ]

    def test_finds_nearly_all_slips(self) -> None:
        """Hashing misses next to none of the rows that one slip of the pen separates."""
        drawn = random.Random(0)
        texts = ["".join(drawn.choices(string.ascii_lowercase + "   ", k=40)) for _ in range(300)]
        slipped = [text[:20] + "#" + text[21:] for text in texts]

        links = find_links(_rows(*((text, 1) for text in texts + slipped)))

        assert len({(link.first, link.second) for link in links}) >= 297
        assert {link.second - link.first for link in links} == {300}

    def test_names_few_links_where_all_are_alike(self) -> None:
        """A template with many fillings makes no square of links, and all its rows are connected."""
        names = ["".join(letters) for letters in itertools.product("abcdefgh", repeat=3)]
        rows = _rows(*((f"please book a table at the restaurant called {name}", 1) for name in names))

        links = find_links(rows)

        assert len(links) < 2 * len(rows)
        assert len(set(cluster(len(rows), links))) == 1

    def test_looks_for_equal_inputs_only_where_there_are_too_many(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Equal ones cost nothing."""
        monkeypatch.setattr(likeness, "MAX_COMPARED_INPUTS", 2)
        rows = _rows(("one question about it", 1), ("one questien about it", 1), ("another", 1), ("Another", 1))

        assert find_links(rows) == [Link(2, 3, Relation.SAME)]

    def test_an_output_that_no_other_row_of_its_input_has_is_compared_too(self) -> None:
        """A row may repeat the second answer to a question."""
        rows = _rows(("what is the largest city in texas", 1), ("what is the largest city in texas", 2),
                     ("what is the biggest city in texas", 2))  # fmt: skip

        assert find_links(rows) == [Link(0, 1, Relation.CONTRADICTION), Link(1, 2, Relation.NEAR)]

    @pytest.mark.parametrize("text", ["a", "\ud800", "é", "٣", "\x00", "x" * 10_000])
    def test_takes_any_text(self, text: str) -> None:
        """Short, long and ill-formed inputs have shingles, too."""
        assert find_links(_rows((text, 1), (text + "!!", 1), (text, 1)))[0] == Link(0, 2, Relation.SAME)

    @given(st.lists(st.tuples(st.text("ab 1", max_size=12), st.integers(0, 1)), max_size=12))
    @settings(max_examples=200, deadline=None)
    def test_equal_inputs_always_share_a_cluster(self, pairs: list[tuple[str, int]]) -> None:
        """Whatever else is near."""
        rows = _rows(*pairs)
        labels = cluster(len(rows), find_links(rows))
        by_input: dict[str, set[int]] = {}
        for row, label in zip(rows, labels, strict=True):
            by_input.setdefault(" ".join(row.input.casefold().split()), set()).add(label)

        assert all(len(found) == 1 for found in by_input.values())


class TestCluster:
    """Rows that belong together."""

    def test_follows_chains(self) -> None:
        """Who is linked through a third row is in the same cluster; a row without links is alone."""
        labels = cluster(5, [Link(0, 2, Relation.NEAR), Link(2, 4, Relation.SAME)])

        assert labels[0] == labels[2] == labels[4]
        assert len(set(labels)) == 3

    def test_of_nothing_is_nothing(self) -> None:
        """An upload may hold no usable row."""
        assert cluster(0, []) == []
