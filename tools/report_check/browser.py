"""A headless Chromium, told what to do through pipes, without a library: its DevTools protocol, JSON between NULs."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def find_chromium() -> str | None:
    """The browser's path; None where there is none."""
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


class Page:
    """One page, its size and how it is shown."""

    def __init__(self, to: BinaryIO, out: BinaryIO):
        self._to, self._out = to, out
        self._last = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []  # that came since the page was opened
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def _call(self, method: str, **arguments: Any) -> dict[str, Any]:
        self._last += 1
        told: dict[str, Any] = {"id": self._last, "method": method, "params": arguments}
        if self._session is not None:
            told["sessionId"] = self._session
        self._to.write(json.dumps(told).encode() + b"\0")
        self._to.flush()
        while (said := self._next()).get("id") != self._last:
            self.events.append(said)
        if "error" in said:
            raise RuntimeError(f"{method}: {said['error']['message']}")
        return said["result"]

    def _next(self) -> dict[str, Any]:
        content = bytearray()
        while (byte := self._out.read(1)) != b"\0":
            if not byte:
                raise RuntimeError("the browser has ended")
            content += byte
        return json.loads(content)

    def show(self, width: int, height: int, scheme: str = "light") -> None:
        """Set the window's size and the preferred colours, "light" or "dark"."""
        phone = width < 500
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._call("Emulation.setEmulatedMedia", features=features)

    def open(self, path: Path) -> None:
        """Load a file, to its end."""
        self.events.clear()
        self._call("Page.navigate", url=path.resolve().as_uri())
        while not any(one.get("method") == "Page.loadEventFired" for one in self.events):
            self.events.append(self._next())

    def ask(self, expression: str) -> Any:
        """The value of an expression in the page."""
        said = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in said:
            raise RuntimeError(f"{expression}: {said['exceptionDetails']}")
        return said["result"].get("value")

    def press(self, key: str) -> None:
        """Press and release a key, such as "Tab"."""
        for kind in ("keyDown", "keyUp"):
            self._call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=9)

    def save_picture(self, path: Path) -> None:
        """The whole page as png."""
        said = self._call("Page.captureScreenshot", captureBeyondViewport=True, format="png")
        path.write_bytes(base64.b64decode(said["data"]))

    def save_print(self, path: Path) -> None:
        """The page as it is printed, as pdf."""
        said = self._call("Page.printToPDF", printBackground=False, preferCSSPageSize=True)
        path.write_bytes(base64.b64decode(said["data"]))


@contextmanager
def browsing(chromium: str) -> Iterator[Page]:
    """A page in a browser of its own, which ends with the block."""
    to_read, to_write = os.pipe()
    out_read, out_write = os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        # It reads commands from descriptor 3 and answers on descriptor 4.
        pipes = f"exec {chromium} --headless=new --remote-debugging-pipe --no-sandbox --disable-gpu --no-first-run"
        command = ["sh", "-c", f"{pipes} --user-data-dir={profile} 3<&{to_read} 4>&{out_write}"]
        process = subprocess.Popen(command, pass_fds=(to_read, out_write), stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(out_write)
        with open(to_write, "wb") as to, open(out_read, "rb") as out:
            try:
                yield Page(to, out)
            finally:
                process.terminate()
                process.wait()
