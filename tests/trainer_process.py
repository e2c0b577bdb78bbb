"""A trainer for tests over a real socket."""

from __future__ import annotations

from pathlib import Path

from deploy.quickstart.service_process import ServiceProcess


def trainer_process(folder: Path, base: Path, **flags: str) -> ServiceProcess:
    """On loopback, where everybody is the operator; its data are in `folder / "data"`, its log is `folder / "log"`.

    Further flags have underscores for dashes.
    """
    own = {
        "data-dir": str(folder / "data"),
        "base-model-dir": str(base),
        "listen": "127.0.0.1:0",
        "insecure-loopback": "true",
    }
    more = {name.replace("_", "-"): value for name, value in flags.items()}
    return ServiceProcess("trainer_svc", own | more, folder / "log")
