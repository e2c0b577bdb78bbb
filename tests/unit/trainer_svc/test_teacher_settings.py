"""The operator's file of teachers."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.errors import InvalidInput, NotFound
from trainer_svc.teacher.book import TeacherBook
from trainer_svc.teacher.settings import load_teachers

OPENAI = '[teachers.large]\nkind = "openai"\nurl = "https://host/v1"\nmodel = "m"\ntenants = ["acme"]\n'
GOLDSMITH = '[teachers.ours]\nkind = "goldsmith"\nurl = "127.0.0.1:50052"\ntenants = "*"\n'


def _file(folder: Path, text: str) -> Path:
    (folder / "key").write_text("sk-secret\n")
    (folder / "two-lines").write_text("sk-secret\nmore")
    (folder / "teachers.toml").write_text(text.replace("FOLDER", str(folder)))
    return folder / "teachers.toml"


class TestFile:
    """What it may say."""

    def test_names_teachers_of_both_kinds(self, tmp_path: Path) -> None:
        """The rest has defaults."""
        found = load_teachers(_file(tmp_path, OPENAI + 'api_key_file = "FOLDER/key"\n' + GOLDSMITH))

        assert list(found) == ["large", "ours"]
        assert (found["large"].max_rows, found["large"].parallel_requests) == (5000, 4)
        assert (found["large"].is_secured, found["ours"].is_secured) == (True, False)

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            (OPENAI.replace("https", "ftp"), "must look like https://host/v1"),
            (OPENAI.replace("https", "http"), "without TLS"),
            (OPENAI.replace("host", "user:sk-secret@host"), "holds a user"),
            (OPENAI.replace("/v1", "/v1?key=sk-secret"), "a key belongs into the file"),
            (OPENAI.replace('model = "m"\n', ""), "model: is required"),
            (OPENAI.replace('["acme"]', '["Acme!"]'), "'Acme!' is no id of a tenant"),
            (OPENAI.replace('["acme"]', '"acme"'), "teachers.large.tenants"),
            (OPENAI.replace("openai", "gemini"), "teachers.large.kind"),
            (OPENAI.replace("large", "Large"), "teachers.Large: is no valid id"),
            (OPENAI + 'api_key = "sk-secret"\n', "teachers.large.api_key: Extra inputs"),
            (OPENAI + 'api_key_file = "FOLDER/none"\n', "api_key_file: .*none cannot be read: No such file"),
            (OPENAI + 'api_key_file = "FOLDER/two-lines"\n', "holds no key"),
            (OPENAI + 'ca_file = "FOLDER/none"\n', "ca_file: .*cannot be read"),
            (OPENAI + "attempts = 0\n", "teachers.large.attempts"),
            (OPENAI + "timeout_seconds = -1\nmax_rows = 0\n", "timeout_seconds.*max_rows"),
            (GOLDSMITH.replace("127.0.0.1", "host") + "plaintext = true\nca_file = 'FOLDER/key'\n", "over TLS only"),
            (GOLDSMITH + "api_key_file = 'FOLDER/key'\n", "over TLS only"),
            (GOLDSMITH.replace(":50052", ""), "must look like host:port"),
            (GOLDSMITH.replace("127", "http://127"), "must look like host:port"),
            ("teachers = sk-secret", "is not TOML"),
            ("[other]\n", "other: Extra inputs"),
        ],
    )
    def test_is_refused_with_what_is_wrong(self, tmp_path: Path, text: str, told: str) -> None:
        """At the start of the service, and without repeating what may be a key."""
        with pytest.raises(InvalidInput, match=told) as caught:
            load_teachers(_file(tmp_path, text))

        assert "sk-secret" not in repr(caught.value)

    def test_that_is_not_there_is_said(self, tmp_path: Path) -> None:
        """By its path."""
        with pytest.raises(InvalidInput, match=r"none\.toml cannot be read: No such file"):
            load_teachers(tmp_path / "none.toml")


class TestTeacherBook:
    """Who may ask whom."""

    def test_a_teacher_of_others_is_like_none(self, tmp_path: Path) -> None:
        """Nobody learns which there are."""
        book = TeacherBook.open(_file(tmp_path, OPENAI + GOLDSMITH))

        assert book.find("large", "acme").card.model == "m"
        assert book.find("ours", "anyone").card.model == ""
        messages = []
        for name in ("large", "absent"):
            with pytest.raises(NotFound) as caught:
                book.find(name, "globex")
            messages.append(str(caught.value).replace(name, "NAME"))
        assert messages[0] == messages[1]

    def test_without_a_file_there_is_none(self) -> None:
        """No row leaves the house unless the operator says so."""
        with pytest.raises(NotFound):
            TeacherBook.open(None).find("large", "acme")
