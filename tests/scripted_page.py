"""A page in a headless Chromium without a network, driven by a script that is appended to a copy of it."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

_TIMEOUT_SECONDS = 60.0
_VIRTUAL_MILLISECONDS = 20_000
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--host-resolver-rules=MAP * ~NOTFOUND",
    "--enable-logging=stderr", f"--virtual-time-budget={_VIRTUAL_MILLISECONDS}", "--dump-dom",
)  # fmt: skip
_DRIVER = """
addEventListener("securitypolicyviolation", (event) => (window.refused ??= []).push(event.violatedDirective));
(async () => {
  const press = (key, target = document.body) =>
    target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  const text = (id) => document.getElementById(id).textContent;
  const tell = (found) => {
    const requests = performance.getEntriesByType("resource").map((entry) => entry.name);
    const told = document.createElement("pre");
    told.id = "told";
    told.textContent = JSON.stringify({ ...found, requests, refused: window.refused ?? [] });
    document.body.append(told);
  };
  SCRIPT
})();
"""


def drive(page: str, script: str, folder: Path, *, quiet: bool = True) -> dict[str, object]:
    """What the script tells of the page, with the requests that were made and what its policy refused.

    The script may `press` keys, read the `text` of an id, and must `tell` an object at its end. The page is opened from
    a file, with a profile that the folder keeps. A message on the console fails the test unless `quiet` is off; without
    a Chromium the test is skipped.
    """
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium is installed")
    driver = _DRIVER.replace("SCRIPT", script)
    digest = base64.b64encode(hashlib.sha256(driver.encode()).digest()).decode()
    allowed, count = re.subn(r"script-src '", f"script-src 'sha256-{digest}' '", page, count=1)
    assert count == 1, "the page has no policy for scripts"
    file = folder / "page.html"
    file.write_text(allowed.replace("</body>", f"<script>{driver}</script></body>"))
    command = [browser, *_FLAGS, f"--user-data-dir={folder / 'profile'}", file.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=True)
    messages = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
    assert not quiet or messages == []
    told = re.search(r'<pre id="told">(.*?)</pre>', done.stdout, re.DOTALL)
    assert told is not None, done.stdout[-2000:]
    found: dict[str, object] = json.loads(html.unescape(told[1]))
    return found
