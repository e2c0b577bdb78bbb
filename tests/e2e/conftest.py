"""What tests of training share."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from shared.base_model import BaseModel
    from trainer_svc.domain.dataset import CheckedRow
    from trainer_svc.domain.run import RunFolder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> BaseModel:
    """A tiny Llama with random weights."""
    from tests.e2e.training_sample import tiny_llama  # here: tests of the engine do without its libraries

    return tiny_llama(tmp_path_factory.mktemp("base"))


@pytest.fixture
def prepare(base: BaseModel, tmp_path: Path) -> Callable[..., RunFolder]:
    """Writes a run's folder as the service would."""
    from tests.e2e.training_sample import write_run

    def write(name: str, train: list[CheckedRow] | None = None, **settings: Any) -> RunFolder:
        return write_run(tmp_path / name, base, train, **settings)

    return write


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a quarter of a megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root may mount a disk of its own")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
