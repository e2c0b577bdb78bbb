"""Prices as the operator writes them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from shared.errors import InvalidInput
from trainer_svc.config import Settings
from trainer_svc.domain.savings import TokenPrices
from trainer_svc.teacher.book import TeacherBook

_TEACHER = """
[teachers.large]
kind = "openai"
url = "https://teacher.test/v1"
model = "m"
tenants = "*"
"""


class TestSettings:
    """Of the trainer."""

    def test_are_exact(self) -> None:
        """What is written is what is charged: no binary fraction comes in between."""
        settings = Settings(
            Path(), price_per_hour=0.1, price_per_million_prompt_tokens="0.30", price_per_million_output_tokens="1.1",
            instruction_cache_percent=40,
        )  # fmt: skip

        assert settings.training_hour_price == Fraction(1, 10)
        assert settings.token_prices == TokenPrices(Fraction(3, 10), None, Fraction(11, 10), 40)

    def test_are_none_by_default(self) -> None:
        """And not 0."""
        settings = Settings(Path())

        assert settings.training_hour_price is None
        assert settings.token_prices == TokenPrices()

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("price_per_million_prompt_tokens", "free"),
            ("price_per_million_cached_tokens", "-1"),
            ("price_per_million_output_tokens", "1e3"),
            ("instruction_cache_percent", 101),
            ("instruction_cache_percent", -1),
            ("price_per_hour", float("inf")),
            ("price_per_hour", float("nan")),
        ],
    )
    def test_refuse_what_is_none(self, name: str, value: str | float) -> None:
        """Before the service starts, by the setting's name."""
        with pytest.raises(InvalidInput, match=name):
            Settings(Path(), **{name: value})  # type: ignore[arg-type]  # fields by name


class TestTeachers:
    """Of an answer."""

    @pytest.mark.parametrize(("line", "price"), [("price_per_answer = 0.0015", Fraction(3, 2000)), ("", None)])
    def test_are_exact_where_they_are_set(self, tmp_path: Path, line: str, price: Fraction | None) -> None:
        """None says that nobody knows, as it does of a teacher that is gone."""
        path = tmp_path / "teachers.toml"
        path.write_text(_TEACHER + line)
        book = TeacherBook.open(path)

        assert book.price_per_answer("large") == price
        assert book.price_per_answer("gone") is None

    @pytest.mark.parametrize("price", ["-1", "nan", "inf", "0.00000001", '"free"'])
    def test_refuse_what_is_none(self, tmp_path: Path, price: str) -> None:
        """By the place in the file."""
        path = tmp_path / "teachers.toml"
        path.write_text(f"{_TEACHER}price_per_answer = {price}")

        with pytest.raises(InvalidInput, match=r"teachers\.large\.price_per_answer"):
            TeacherBook.open(path)
