"""A headless Chromium, spoken to by its DevTools protocol (https://chromedevtools.github.io/devtools-protocol)."""

from __future__ import annotations

import base64
import itertools
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

_NAMES = ("chromium", "google-chrome", "chromium-browser")
_START_SECONDS = 60.0
_MAX_MESSAGE_BYTES = 64 << 20
"""A screenshot of a long page is one message."""
_QUIET_SECONDS = 1.0
"""Without a message: the page has come to rest."""
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-extensions", "--disable-sync", "--disable-dev-shm-usage",
    "--hide-scrollbars", "--remote-debugging-port=0", "--remote-allow-origins=*",
)  # fmt: skip


@contextmanager
def open_browser(profile: Path) -> Iterator[Chromium]:
    """A browser with an empty page and no network; skips the test where none is installed."""
    binary = next(filter(None, map(shutil.which, _NAMES)), None)
    if binary is None:
        pytest.skip(f"no browser is installed: none of {', '.join(_NAMES)}")
    command = [binary, *_FLAGS, f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        port, path = _port(process, profile / "DevToolsActivePort")
        with connect(f"ws://127.0.0.1:{port}{path}", max_size=_MAX_MESSAGE_BYTES) as connection:
            yield Chromium(connection)
    finally:
        process.terminate()
        process.wait(30)


def _port(process: subprocess.Popen[bytes], file: Path) -> list[str]:
    deadline = time.monotonic() + _START_SECONDS
    while not file.is_file() or len(file.read_text().split()) < 2:
        assert process.poll() is None, "the browser ended"
        assert time.monotonic() < deadline, "the browser did not start"
        time.sleep(0.05)
    return file.read_text().split()


class Chromium:
    """One page. `events` are what it told since it was opened, by kind."""

    def __init__(self, connection: ClientConnection) -> None:
        self._browser, self._ids, self._session = connection, itertools.count(1), ""
        self.events: list[tuple[str, dict[str, Any]]] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.ask(f"{domain}.enable")
        self.ask("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=0, uploadThroughput=0)

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command and its result; what the page tells meanwhile is kept."""
        number = next(self._ids)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._browser.send(json.dumps(message))
        while True:
            answer = json.loads(self._browser.recv(60))
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return dict(answer["result"])
            self._keep(answer)

    def open(self, url: str, *, width: int, height: int = 900, is_dark: bool = False) -> None:
        """Loads a page in a window of this size, and returns when it says no more."""
        self.events.clear()
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}]
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.ask("Emulation.setEmulatedMedia", features=scheme)
        self.ask("Page.navigate", url=url)
        while True:
            try:
                self._keep(json.loads(self._browser.recv(_QUIET_SECONDS)))
            except TimeoutError:
                return

    def value(self, expression: str) -> Any:
        """What an expression gives in the page; None for nothing."""
        return self.ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def told(self, kind: str) -> list[dict[str, Any]]:
        """Events of a kind."""
        return [parameters for name, parameters in self.events if name == kind]

    def screenshot(self) -> bytes:
        """The whole page as PNG."""
        answer = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return base64.b64decode(answer["data"])

    def _keep(self, message: dict[str, Any]) -> None:
        if message.get("sessionId") == self._session and "method" in message:
            self.events.append((message["method"], message["params"]))
