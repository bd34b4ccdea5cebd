"""A real browser, asked by the WebDriver protocol (https://www.w3.org/TR/webdriver2/): no library between."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")

SWITCHES = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
KEYS = {
    "Tab": "\ue004",
    "Down": "\ue015",
    "Up": "\ue013",
    "Left": "\ue012",
    "Right": "\ue014",
    "Home": "\ue011",
    "End": "\ue010",
}
KEYS["Enter"] = "\ue007"


class Browser:
    """One window."""

    def __init__(self, session: str) -> None:
        self._session = session

    def ask(self, method: str, path: str, **body: Any) -> Any:
        return _ask(method, f"{self._session}/{path}", body)

    def open(self, file: Path, place: str = "") -> None:
        # From another page: a link into the same one would load nothing.
        self.ask("POST", "url", url="about:blank")
        self.ask("POST", "url", url=file.as_uri() + place)

    def run(self, script: str, *arguments: Any) -> Any:
        return self.ask("POST", "execute/sync", script=script, args=list(arguments))

    def until(self, script: str, *arguments: Any) -> None:
        """Wait for a script to give something true."""
        for _ in range(100):
            if self.run(script, *arguments):
                return
            time.sleep(0.05)
        raise AssertionError(script)

    def devtools(self, command: str, **parameters: Any) -> Any:
        return self.ask("POST", "goog/cdp/execute", cmd=command, params=parameters)

    def scheme(self, name: str) -> None:
        """``light`` or ``dark``."""
        features = [{"name": "prefers-color-scheme", "value": name}]
        self.devtools("Emulation.setEmulatedMedia", media="", features=features)

    def press(self, *keys: str) -> None:
        actions = [
            {"type": kind, "value": KEYS.get(key, key)} for key in keys for kind in ("keyDown", "keyUp")
        ]
        self.ask("POST", "actions", actions=[{"type": "key", "id": "keyboard", "actions": actions}])

    def log(self) -> list[str]:
        """What the console said since this was asked for."""
        return [entry["message"] for entry in self.ask("POST", "se/log", type="browser")]

    def size(self, width: int, height: int) -> None:
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def screenshot(self) -> bytes:
        return base64.b64decode(self.ask("GET", "screenshot"))


def _ask(method: str, url: str, body: dict[str, Any]) -> Any:
    data = json.dumps(body).encode() if method == "POST" else None
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    # No proxy: it is this machine that is asked.
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=120) as answer:
        return json.load(answer)["value"]


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A browser of its own, with a new profile."""
    assert BROWSER is not None
    assert DRIVER is not None
    with subprocess.Popen(
        [DRIVER, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as driver:
        try:
            assert driver.stdout is not None
            told = next(line for line in driver.stdout if "started successfully on port" in line)
            port = told.strip().rstrip(".").rpartition(" ")[2]
            address = f"http://127.0.0.1:{port}"
            options = {
                "goog:chromeOptions": {"binary": BROWSER, "args": [*SWITCHES, f"--user-data-dir={profile}"]},
                "goog:loggingPrefs": {"browser": "ALL"},
            }
            wanted = {"capabilities": {"alwaysMatch": options}}
            session = f"{address}/session/{_ask('POST', f'{address}/session', wanted)['sessionId']}"
            try:
                yield Browser(session)
            finally:
                _ask("DELETE", session, {})
        finally:
            driver.terminate()
