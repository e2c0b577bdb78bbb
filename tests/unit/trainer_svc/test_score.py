"""Row scores: answers against golden outputs."""

from __future__ import annotations

import json
from functools import partial

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.contracts.check import check_output
from shared.contracts.spec import ContractKind, ContractSpec
from trainer_svc.domain.row_score import FieldCount, Generated, RowScore
from trainer_svc.evaluation.rouge import rouge_l
from trainer_svc.evaluation.score import score_rows

JSON = ContractSpec(ContractKind.JSON, json_schema='{"type": "object"}')
SQL = ContractSpec(ContractKind.SQL, ddl="CREATE TABLE city (name TEXT, people INT, state TEXT);")
CHOICE = ContractSpec(ContractKind.CHOICE, choices=("yes", "no", "not sure"))
REGEX = ContractSpec(ContractKind.REGEX, pattern="[A-Z]{2}-[0-9]+")
TEXT = ContractSpec(ContractKind.TEXT)
_WORDS = "SELECT name FROM city ( ) \" ' ; { } [ ] , : 1 e".split()
_GOLDEN = {JSON: '{"a":1}', SQL: "SELECT city.name FROM city", CHOICE: "yes", REGEX: "AB-1", TEXT: "a b"}
_MUTATED = {
    JSON: '{ "a" : [ 1 , { "b" : "x" } , null ] , "c" : -1.5e3 }',
    SQL: (
        "SELECT city.name , COUNT ( * ) FROM city JOIN city AS other ON other.state = city.state WHERE"
        " city.people BETWEEN 1 AND 5 OR city.name LIKE 'a%' AND NOT city.state IN ( 'x' , \"y\" )"
        " OR city.state IS NULL GROUP BY city.name HAVING COUNT ( * ) >= 2 ORDER BY 1 DESC LIMIT 3"
    ),
    CHOICE: "not sure",
}
"""Golden outputs whose parts stand apart."""
_PARTS = st.sampled_from(
    "( ) , . * = <= - ' \" ; 1 1e999 NULL city.* SELECT FROM JOIN ON NOT IN UNION [ ] { } :".split()
)


@st.composite
def _mutations(draw: st.DrawFn, text: str) -> str:
    """A text after some changes of its parts."""
    parts = text.split(" ")
    for _ in range(draw(st.integers(1, 6))):
        begin = draw(st.integers(0, max(len(parts) - 1, 0)))
        end = begin + draw(st.integers(0, 4))
        new = draw(
            st.one_of(st.just(parts[begin:end] * 2), st.lists(_PARTS, max_size=2), st.text(max_size=3).map(list))
        )
        parts[begin:end] = new
    return " ".join(parts)


def _score(spec: ContractSpec, golden: str, generated: str) -> RowScore:
    return score_rows(spec, partial(check_output, spec), [golden], [Generated(generated, 7, ended=False)])[0]


class TestExactMatch:
    """Equal after canonicalisation."""

    @pytest.mark.parametrize(
        ("spec", "golden", "generated", "same"),
        [
            (JSON, '{"a":42,"b":[1,2]}', ' {"b" : [1, 2.0], "a": 42.0}\n', True),
            (JSON, '{"a":"Zo\u00eb"}', '{"a":"Zoe\u0308"}', True),
            (JSON, '{"a":"Zo\u00eb"}', '{"a":"Zo\\u00eb"}', True),
            (JSON, '{"a":[1,2]}', '{"a":[2,1]}', False),
            (JSON, '{"a":1}', '{"a":true}', False),
            (JSON, '{"a":1}', '{"a":"1"}', False),
            (JSON, '{"a":1}', '{"a":1} ', True),
            (JSON, '{"a":1}', '{"a":1}.', False),
            (JSON, '{"a": 1,}', "Sure", False),
            (JSON, '{"a": 1,}', '{"a": 1,}', False),
            (SQL, "SELECT city.name FROM city WHERE city.people > 5",
             "select c.name from city as c where c.people > 5;", True),
            (SQL, "SELECT city.name FROM city WHERE city.people > 5",
             "SELECT city.name FROM city WHERE city.people >= 5", False),
            (SQL, "SELECT city.name || 'x' FROM city", "select  city.name||'x' from city", True),
            (CHOICE, "yes", "yes", True),
            (CHOICE, "yes", "Yes", False),
            (REGEX, "AB-1", "AB-2", False),
            (TEXT, "Zo\u00eb", "Zoe\u0308", True),
        ],
    )  # fmt: skip
    def test_forgets_spelling_alone(self, spec: ContractSpec, golden: str, generated: str, same: bool) -> None:
        """Key order, 42 and 42.0, Unicode's forms and SQL's aliases are spelling; the order of a list is not."""
        assert _score(spec, golden, generated).is_exact is same


class TestFields:
    """Leaves by path."""

    @pytest.mark.parametrize(
        ("golden", "generated", "fields"),
        [
            ({"a": 1}, {"a": 2}, [FieldCount("/a", mismatched=1)]),
            ({"a": 1}, {"b": 1}, [FieldCount("/a", omitted=1), FieldCount("/b", invented=1)]),
            ({"a": {"b": "x"}}, {"a": "x"}, [FieldCount("/a", invented=1), FieldCount("/a/b", omitted=1)]),
            ({"a": ["x", "y"]}, {"a": ["y", "z", "x"]}, [FieldCount("/a/-", matched=2, invented=1)]),
            ({"a": ["x", "y"]}, {"a": ["z"]}, [FieldCount("/a/-", mismatched=1, omitted=1)]),
            ({"a": []}, {"a": ["x"]}, [FieldCount("/a/-", invented=1)]),
            ({"a": None}, {}, [FieldCount("/a", omitted=1)]),
            ({"a/b": 1}, {"a/b": 1}, [FieldCount("/a~1b", matched=1)]),
            (
                {"a": [{"n": "tea", "c": 1}, {"n": "pie", "c": 2}]},
                {"a": [{"n": "pie", "c": 2}, {"n": "tea", "c": 9}]},
                [FieldCount("/a/-/c", matched=1, mismatched=1), FieldCount("/a/-/n", matched=2)],
            ),
        ],
    )
    def test_tells_omission_invention_and_mismatch_apart(
        self, golden: object, generated: object, fields: list[FieldCount]
    ) -> None:
        """A wrong value where both have one is one mismatch; items of lists are compared with those most like them."""
        assert _score(JSON, json.dumps(golden), json.dumps(generated)).fields == tuple(fields)

    @pytest.mark.parametrize("generated", ["Sure!", '{"a":', "", '{"a":1,"a":1}', "[" * 5_000, '{"a":NaN}'])
    def test_text_that_is_no_json_has_none(self, generated: str) -> None:
        """All golden leaves are omitted."""
        assert _score(JSON, '{"a":1,"b":2}', generated).omitted == 2

    @pytest.mark.parametrize(
        ("spec", "golden", "generated", "count"),
        [
            (CHOICE, "yes", "yes", FieldCount("", matched=1)),
            (CHOICE, "yes", "no", FieldCount("", mismatched=1)),
            (REGEX, "AB-1", "", FieldCount("", omitted=1)),
            (TEXT, "as you wish", "as  you like it", FieldCount("", matched=2, omitted=1, invented=2)),
            (SQL, "SELECT city.name FROM city", "SELECT state FROM city",
             FieldCount("", matched=3, omitted=1, invented=1)),
        ],
    )  # fmt: skip
    def test_has_leaves_for_every_kind(
        self, spec: ContractSpec, golden: str, generated: str, count: FieldCount
    ) -> None:
        """A class counts as a whole, a text by its words, a statement by its tokens."""
        assert _score(spec, golden, generated).fields == (count,)

    def test_long_lists_are_compared_in_order(self) -> None:
        """Beyond the limit of pairs nothing is searched, and equal items are still found anywhere."""
        golden = {"a": [{"n": n, "m": 0} for n in range(300)]}
        generated = {"a": [{"n": n, "m": n % 2} for n in reversed(range(300))]}

        score = _score(JSON, json.dumps(golden), json.dumps(generated))

        assert (score.golden, score.generated) == (600, 600)
        assert score.matched >= 300


class TestFiller:
    """Text around an answer."""

    @pytest.mark.parametrize(
        ("spec", "generated", "filler"),
        [
            (JSON, '{"a":1}', False),
            (JSON, '\n {"a":1} ', False),
            (JSON, 'Sure, here is: {"a":1}', True),
            (JSON, '```json\n{"a":1}\n```', True),
            (JSON, '{"a":1}\nI hope this helps.', True),
            (JSON, '{"a":', False),
            (JSON, "", False),
            (JSON, "no idea", True),
            (SQL, "SELECT name FROM city;", False),
            (SQL, "SELECT nothing FROM nowhere", False),
            (SQL, "```sql\nSELECT name FROM city\n```", True),
            (SQL, "SELECT name FROM city; It lists names.", True),
            (SQL, "SELECT name FROM city\n\nThis lists all the names.", True),
            (SQL, "SELECT name FROM", False),
            (SQL, "Sure: SELECT name FROM city", True),
            (CHOICE, "yes", False),
            (CHOICE, "yes.", True),
            (CHOICE, "not sure", False),
            (CHOICE, "yesterday", False),
            (REGEX, "it is AB-1", True),
            (REGEX, "AB-12", False),
            (TEXT, "Sure, here is the summary: a b", True),
            (TEXT, "a c", False),
        ],
    )
    def test_is_what_stands_around_the_first_whole_answer(
        self, spec: ContractSpec, generated: str, filler: bool
    ) -> None:
        """A broken answer with nothing around it has none."""
        assert _score(spec, _GOLDEN[spec], generated).has_filler is filler


class TestRow:
    """What else a score holds."""

    @given(
        st.sampled_from(list(_GOLDEN)),
        st.one_of(st.text(), st.lists(st.sampled_from(_WORDS)).map(" ".join)),
    )  # fmt: skip
    def test_never_fails(self, spec: ContractSpec, generated: str) -> None:
        """A free answer may be any text; what is exact is valid, and without filler."""
        score = _score(spec, _GOLDEN[spec], generated)

        assert score.golden == score.matched + score.mismatched + score.omitted
        assert not score.is_exact or (score.is_valid and not score.has_filler)

    @given(st.sampled_from(list(_MUTATED)).flatmap(lambda spec: st.tuples(st.just(spec), _mutations(_MUTATED[spec]))))
    @example((SQL, "SELECT city.name FROM city WHERE city.* = 1"))
    @example((SQL, "SELECT city.name FROM city" + " JOIN city" * 60))
    @settings(max_examples=60)
    def test_never_fails_on_what_is_nearly_right(self, case: tuple[ContractSpec, str]) -> None:
        """Answers with parts lost, repeated, swapped or made up, and the same as golden outputs."""
        spec, text = case

        for golden, generated in ((_MUTATED[spec], text), (text, _MUTATED[spec])):
            score = _score(spec, golden, generated)

            assert score.golden == score.matched + score.mismatched + score.omitted
            assert not score.is_valid or score.is_parsed is not False

    def test_knows_what_its_kind_can_tell(self) -> None:
        """None where a metric means nothing."""
        scores = {spec.kind: _score(spec, golden, golden) for spec, golden in _GOLDEN.items()}

        assert {kind for kind, score in scores.items() if score.is_parsed is not None} == {ContractKind.SQL}
        assert {kind for kind, score in scores.items() if score.executes_alike is not None} == {ContractKind.SQL}
        assert {kind for kind, score in scores.items() if score.rouge_l is not None} == {ContractKind.TEXT}

    def test_keeps_what_the_model_did(self) -> None:
        """Tokens and whether it stopped by itself; validity is the contract's own."""
        score = _score(CHOICE, "yes", "maybe")

        assert (score.token_count, score.ended, score.is_valid) == (7, False, False)

    @pytest.mark.parametrize(
        ("generated", "parsed", "alike"),
        [
            ("SELECT nothing FROM city", True, False),
            ("SELECT name FROM", False, False),
            ("SELECT name FROM city", True, True),
        ],
    )  # fmt: skip
    def test_tells_parsing_from_running(self, generated: str, parsed: bool, alike: bool) -> None:
        """A statement over columns that are not there is SQL all the same."""
        score = _score(SQL, "SELECT city.name FROM city", generated)

        assert (score.is_parsed, score.executes_alike) == (parsed, alike)


class TestRougeL:
    """Longest common subsequence of words."""

    @pytest.mark.parametrize(
        ("golden", "generated", "value"),
        [
            ("the cat sat", "the cat sat on", 6 / 7),
            ("Stra\u00dfe Nr. 5", "stra\u00dfe nr 5", 1.0),
            ("\u0441\u043e\u0431 \u0441\u043f\u0438\u0442", "\u0441\u043e\u0431", 2 / 3),
            ("\u732b\u304c\u5bdd\u308b", "\u732b\u304c\u8d70\u308b", 3 / 4),
            ("\u0939\u093f\u0928\u094d\u0926\u0940", "\u0939\u093f\u0928\u094d\u0926\u0940", 1.0),
            ("", "a", 0.0),
        ],
    )  # fmt: skip
    def test_knows_words_of_other_scripts(self, golden: str, generated: str, value: float) -> None:
        """Where scripts put no spaces each character is a word."""
        assert rouge_l(golden, generated) == pytest.approx(value)
