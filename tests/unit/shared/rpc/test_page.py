"""Page tokens and request ids: texts that callers bring back."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidInput
from shared.rpc.page import DEFAULT_SIZE, MAX_SIZE, Page, next_token
from shared.rpc.request_id import check_request_id


class TestPage:
    """Which part of a list is wanted."""

    @given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
    def test_goes_on_after_the_key_of_its_token(self, key: str) -> None:
        """Whatever id or name it is."""
        assert Page.parse(7, next_token(key)) == Page(7, key)

    @pytest.mark.parametrize(("asked", "size"), [(0, DEFAULT_SIZE), (1, 1), (MAX_SIZE + 1, MAX_SIZE)])
    def test_has_a_size_within_bounds(self, asked: int, size: int) -> None:
        """None means the usual one, too large a one the largest."""
        assert Page.parse(asked, "").size == size

    @pytest.mark.parametrize(
        "token", ["!", "a", "\u0661", "_w==", next_token("\x00"), next_token("\u0661"), next_token("a\nb")]
    )
    def test_of_a_token_that_is_not_ours_is_refused(self, token: str) -> None:
        """Not base64, not text, or no text that any key has: a database may not even compare with it."""
        with pytest.raises(InvalidInput) as caught:
            Page.parse(0, token)

        assert [violation.path for violation in caught.value.violations] == ["page_token"]

    @pytest.mark.parametrize("key", ["answer", "-1", " 1", "1_0", "9" * 19, "9" * 5000])
    def test_of_another_lists_token_has_no_number(self, key: str) -> None:
        """Nor one that no database can compare with, or that Python does not read."""
        with pytest.raises(InvalidInput):
            Page.parse(0, next_token(key)).number()

    @given(st.integers(0, 10**18 - 1))
    def test_has_the_number_of_its_token(self, number: int) -> None:
        """Lists by number begin before or after it."""
        assert Page.parse(0, Page.numbered_token(number)).number() == number


class TestRequestId:
    """What makes a creation idempotent."""

    @given(st.uuids())
    def test_is_a_uuid(self, value: uuid.UUID) -> None:
        """In either case, and known by its lower one."""
        assert check_request_id(str(value).upper()) == str(value)

    def test_may_be_left_out(self) -> None:
        """Then the creation is not repeatable."""
        assert check_request_id("") == ""

    @pytest.mark.parametrize(
        "text", ["x", "\x00", str(uuid.UUID(int=1)) + "\n", "{" + str(uuid.UUID(int=1)) + "}", "0" * 32]
    )
    def test_is_nothing_else(self, text: str) -> None:
        """It is kept for ever, so its length is bounded."""
        with pytest.raises(InvalidInput) as caught:
            check_request_id(text)

        assert [violation.path for violation in caught.value.violations] == ["request_id"]
