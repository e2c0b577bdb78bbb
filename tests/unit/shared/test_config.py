"""Settings from flags, environment and file."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.config import load_config
from shared.errors import InvalidInput


@dataclass(frozen=True)
class _Settings:
    data_dir: Path
    count: int = 1
    verbose: bool = False


def _load(*argv: str) -> _Settings:
    return load_config(_Settings, argv, prog="test", description="")


class TestLoadConfig:
    """Order of precedence and errors."""

    def test_flag_beats_environment_beats_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The nearer source wins, field by field."""
        file = tmp_path / "s.toml"
        file.write_text('data_dir = "/file"\ncount = 2\nverbose = true\n')
        monkeypatch.setenv("GOLDSMITH_COUNT", "3")
        monkeypatch.setenv("GOLDSMITH_DATA_DIR", "/environment")

        assert _load("--config", str(file), "--data-dir", "/flag") == _Settings(Path("/flag"), 3, verbose=True)

    def test_all_faults_are_named_at_once(self, tmp_path: Path) -> None:
        """An unknown key (with the nearest known one), a wrong type and a missing value come together."""
        file = tmp_path / "s.toml"
        file.write_text('cuont = 2\nverbose = "perhaps"\n')

        with pytest.raises(InvalidInput) as caught:
            _load("--config", str(file))

        assert {v.path for v in caught.value.violations} == {"cuont", "verbose", "data_dir"}
        assert "did you mean count?" in str(caught.value)
