"""The key that a trainer signs with."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.quickstart.service_process import ServiceProcess
from shared.base_model import BaseModel
from tests.integration.signing.house import ONE

pytestmark = pytest.mark.timeout(120)


class TestSigningKey:
    """`--signing-key-file` of the trainer."""

    def test_that_others_can_read_stops_the_start(self, tiny_base: BaseModel, tmp_path: Path) -> None:
        """With the setting's name, and without the key."""
        path = ONE.write_private(tmp_path / "signing.pem")
        path.chmod(0o644)
        flags = {
            "data-dir": str(tmp_path / "data"),
            "base-model-dir": str(tiny_base.folder),
            "insecure-loopback": "true",
            "signing-key-file": str(path),
        }

        with ServiceProcess("trainer_svc", flags, tmp_path / "log") as process, pytest.raises(RuntimeError):
            process.wait_ready(60)

        log = (tmp_path / "log").read_text()
        assert "signing_key_file" in log
        assert "Traceback" not in log
        assert ONE.private_pem.splitlines()[1].decode() not in log
