"""Definitions of contracts as their owners keep them in files."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.cli.definition import Options, read_spec
from shared.contracts.spec import ContractKind, ContractSpec, JoinEdge, SqlProfile, UndeclaredProperties, ValueList
from shared.errors import InvalidInput

DDL = "CREATE TABLE city (name TEXT, state TEXT);"


def write(folder: Path, name: str, data: str | bytes) -> Path:
    """A file of these bytes."""
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


class TestKind:
    """Which kind a file defines."""

    @pytest.mark.parametrize(
        ("name", "kind"),
        [("a.json", ContractKind.JSON), ("a.schema.json", ContractKind.JSON), ("a.sql", ContractKind.SQL),
         ("a.ddl", ContractKind.SQL)],
    )  # fmt: skip
    def test_is_told_by_the_ending(self, tmp_path: Path, name: str, kind: ContractKind) -> None:
        """Schemas and tables have endings of their own."""
        assert read_spec(write(tmp_path, name, "{}"), None, Options()).kind is kind

    def test_is_asked_for_otherwise(self, tmp_path: Path) -> None:
        """A list and a pattern look alike."""
        with pytest.raises(InvalidInput) as caught:
            read_spec(write(tmp_path, "a.txt", "x"), None, Options())

        assert caught.value.violations[0].path == "--kind"

    def test_wins_over_the_ending(self, tmp_path: Path) -> None:
        """A list of choices may be JSON."""
        file = write(tmp_path, "a.json", '["two\\nlines", "b"]')

        assert read_spec(file, ContractKind.CHOICE, Options()).choices == ("two\nlines", "b")


class TestReadSpec:
    """What is read, by kind."""

    def test_json_is_the_schema_as_it_stands(self, tmp_path: Path) -> None:
        """Byte for byte, with the option for objects."""
        spec = read_spec(
            write(tmp_path, "a.json", '{"a": "é"}'), None, Options(undeclared=UndeclaredProperties.AS_WRITTEN)
        )

        assert spec == ContractSpec(
            ContractKind.JSON, json_schema='{"a": "é"}', undeclared_properties=UndeclaredProperties.AS_WRITTEN
        )

    def test_sql_takes_values_and_joins(self, tmp_path: Path) -> None:
        """Values from a file, joins from the option."""
        states = write(tmp_path, "states.txt", "texas\nnew york\n")
        options = Options("postgres", SqlProfile.NESTED, values=[f"city.state={states}"], joins=["city.name=zoo.city"])

        assert read_spec(write(tmp_path, "a.sql", DDL), None, options) == ContractSpec(
            ContractKind.SQL,
            ddl=DDL,
            dialect="postgres",
            profile=SqlProfile.NESTED,
            value_lists=(ValueList("city", "state", ("texas", "new york")),),
            join_edges=(JoinEdge("city", "name", "zoo", "city"),),
        )

    @pytest.mark.parametrize("text", ["a\nb", "a\nb\n", "a\r\nb\r\n"])
    def test_choices_are_lines(self, tmp_path: Path, text: str) -> None:
        """The last line may end or not, with any system's line breaks."""
        assert read_spec(write(tmp_path, "a.txt", text), ContractKind.CHOICE, Options()).choices == ("a", "b")

    def test_a_blank_line_is_kept_for_the_compiler_to_refuse(self, tmp_path: Path) -> None:
        """Nothing is dropped in silence."""
        assert read_spec(write(tmp_path, "a.txt", "a\n\nb"), ContractKind.CHOICE, Options()).choices == ("a", "", "b")

    def test_a_pattern_is_the_file_without_its_last_line_break(self, tmp_path: Path) -> None:
        """Editors add one."""
        assert read_spec(write(tmp_path, "p", "[a-z ]+\n"), ContractKind.REGEX, Options()).pattern == "[a-z ]+"

    def test_text_needs_no_file(self) -> None:
        """Its length says everything."""
        assert read_spec(None, ContractKind.TEXT, Options(max_chars=9)) == ContractSpec(ContractKind.TEXT, max_chars=9)

    @pytest.mark.parametrize(
        ("name", "data", "kind", "options", "path"),
        [
            ("a.txt", "x", ContractKind.TEXT, Options(), "FILE"),
            (None, "", ContractKind.CHOICE, Options(), "FILE"),
            ("a.json", b"\xff\xfe", None, Options(), "FILE"),
            ("gone.json", None, None, Options(), "FILE"),
            ("a.json", "{", ContractKind.CHOICE, Options(), "FILE"),
            ("a.json", '["a", 1]', ContractKind.CHOICE, Options(), "FILE"),
            ("a.json", '{"a": 1}', ContractKind.CHOICE, Options(), "FILE"),
            ("a.sql", DDL, None, Options(values=["city=x"]), "--values"),
            ("a.sql", DDL, None, Options(values=["city.state"]), "--values"),
            ("a.sql", DDL, None, Options(values=["city.state=/no/such/file"]), "--values"),
            ("a.sql", DDL, None, Options(joins=["city.name"]), "--join"),
            ("a.sql", DDL, None, Options(joins=["city.name=zoo"]), "--join"),
        ],
    )
    def test_names_the_argument_that_is_wrong(
        self,
        tmp_path: Path,
        name: str | None,
        data: str | bytes | None,
        kind: ContractKind,
        options: Options,
        path: str,
    ) -> None:
        """Before anything is sent or compiled."""
        file = None if name is None else (tmp_path / name if data is None else write(tmp_path, name, data))

        with pytest.raises(InvalidInput) as caught:
            read_spec(file, kind, options)

        assert caught.value.violations[0].path == path
