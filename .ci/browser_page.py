"""A page in a headless chromium that is used as a person would: keys, mouse, sizes, and what the page then holds.

Speaks Chrome's DevTools protocol over two pipes; nothing listens on a port.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

LIMIT_S = 60.0


class Page:
    """One page, opened; a context manager. Faults that the page reports are in `faults`."""

    def __init__(self, path: Path) -> None:
        self.path, self.faults = path, []
        there, self._to = os.pipe()
        self._from, back = os.pipe()
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"]
        flags += [f"--user-data-dir={path.parent / 'driven'}", "--host-resolver-rules=MAP * ~NOTFOUND"]
        shell = f'exec chromium --remote-debugging-pipe "$@" 3<&{there} 4>&{back}'
        self._process = subprocess.Popen(
            ["bash", "-c", shell, "chromium", *flags], pass_fds=(there, back), stderr=subprocess.DEVNULL
        )
        os.close(there)
        os.close(back)
        self._held, self._number, self._session = b"", 0, None
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.ask(f"{domain}.enable")
        self.size(1280, 1600)

    def __enter__(self) -> Page:
        self.ask("Page.navigate", url=self.path.as_uri())
        self._until("Page.loadEventFired")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._to)
        self._process.terminate()
        self._process.wait(LIMIT_S)
        os.close(self._from)

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol, and its answer."""
        self._number += 1
        said = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            said["sessionId"] = self._session
        os.write(self._to, json.dumps(said).encode() + b"\0")
        answer = self._until(self._number)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        result: dict[str, Any] = answer["result"]
        return result

    def _until(self, awaited: int | str) -> dict[str, Any]:
        stop = time.monotonic() + LIMIT_S
        while time.monotonic() < stop:
            while b"\0" not in self._held:
                more = os.read(self._from, 1 << 16)
                if not more:
                    raise RuntimeError("chromium ended")
                self._held += more
            text, self._held = self._held.split(b"\0", 1)
            told: dict[str, Any] = json.loads(text)
            if told.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.faults.append(json.dumps(told["params"])[:500])
            if awaited in (told.get("id"), told.get("method")):
                return told
        raise RuntimeError(f"chromium did not answer {awaited}")

    def run(self, script: str) -> Any:
        """The value of an expression; a promise's once it is kept."""
        answer = self.ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{script[:80]}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def settle(self, pictures: int = 3) -> None:
        """Wait until so many pictures of the screen have been drawn."""
        moment = "new Promise(requestAnimationFrame)"
        self.run(f"(async () => {{ for (let k = 0; k < {pictures}; k++) await {moment}; }})()")

    def key(self, element: str, key: str) -> None:
        """Press a key while an element has the focus."""
        self.run(f"document.getElementById({json.dumps(element)}).focus()")
        text = {"text": key} if len(key) == 1 else {}
        self.ask("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self.ask("Input.dispatchKeyEvent", type="keyUp", key=key)
        self.settle()

    def drag(self, selector: str, share: float, by: float = 0.0) -> None:
        """Press the mouse at a share of an element's width, move it by so many pixels, let go."""
        box = self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView({{block: 'center'}});"
            " const b = e.getBoundingClientRect(); return [b.x, b.y, b.width, b.height]; })()"
        )
        x, y = box[0] + share * box[2], box[1] + box[3] / 2
        for kind, at in (("mousePressed", x), ("mouseMoved", x + by), ("mouseReleased", x + by)):
            self.ask("Input.dispatchMouseEvent", type=kind, x=at, y=y, button="left", buttons=1, clickCount=1)
        self.settle()

    def size(self, width: int, height: int, dark: bool = False) -> None:
        """Size of the window in pixels, and whether the person asked for a dark screen."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", features=[scheme])
        self.settle()

    def photograph(self, path: Path) -> None:
        """The whole page as a PNG."""
        shot = self.ask("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))
