"""Proving a run before it may take a worker."""

from __future__ import annotations

import subprocess
import sys


class TestPreparation:
    """The validation of a job."""

    def test_loads_no_torch(self) -> None:
        """It goes on beside a training, and must take neither its seconds nor its memory."""
        code = "import sys, trainer_svc.worker, trainer_svc.engine.preparation; print('torch' in sys.modules)"

        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

        assert done.stdout.strip() == "False"
