"""Make reports and pages of recordings with the command line, open them in chromium without a network, and check
what it shows; on a recording's page, its controls are used, too.

python .ci/browser.py build/browser
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import browser_recording
import numpy as np
from browser_page import Page

ROOT = Path(__file__).resolve().parents[1]
SECTIONS = {
    "accuracy": "Accuracy against steps",
    "layers": "Layers",
    "spikes": "Spikes of one sample",
    "conversion": "What became of every operation",
    "cost": "Energy and time of a sample",
    "record": "Run record",
}
MAPPED = {"mapping": "Mapping onto", "traffic": "Traffic on the mesh"}
PICTURES = 4  # a network of few cores has no map of its chip
SIZES = {"desk": (1280, 5200), "phone": (500, 7200)}  # headless chromium takes no window below 500

CUT = """[...document.querySelectorAll("body, body *")].filter((e) => {
  const hidden = getComputedStyle(e).position === "absolute" || e.closest("svg, thead");
  return !hidden && (e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== "inline"
    || e.getBoundingClientRect().right > innerWidth + 1);
}).map((e) => `${e.tagName}.${e.className}: ${e.textContent.trim().slice(0, 60)}`)"""


def main(out: Path) -> None:
    check_the_check(out)
    samples(out)
    files = networks(out)
    for name, arguments in files.items():
        page = out / f"{name}.html"
        command("report", *arguments, "--data", str(out / "test.npz"), "--limit", "100", "--out", str(page))
        wanted = SECTIONS | (MAPPED if "--map" in arguments else {})
        check(page, opened(page, out / name), wanted)
        fits(page)
        print(f"browser: {page.name} shows {', '.join(wanted)}; no request, no error")
    for name, arguments in browser_recording.files(out).items():
        page = out / f"{name}.html"
        command("data", "show", *arguments, "--out", str(page))
        opened(page, out / name)
        told = browser_recording.used(page, out / name)
        print(f"browser: {page.name} is drawn and obeys: {told}; no request, no error")


def command(*arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-c", "from spikeflow.cli import main; main()", *arguments],
        check=True,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )


def samples(out: Path) -> None:
    """Train on the digits of scikit-learn, as the demo does, for one epoch."""
    subprocess.run(
        [sys.executable, "examples/train_ann.py", "--out", str(out), "--epochs", "4"],
        check=True,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )
    with np.load(out / "calib.npz") as calibration:
        np.savez(out / "calib.npz", x=calibration["x"][:200], y=calibration["y"][:200])


def networks(out: Path) -> dict[str, list[str]]:
    """A converted network, and the same with its mapping: the arguments of a report on each."""
    net, mapped, ann = (str(out / name) for name in ("net.h5", "net.map.h5", "ann.pt"))
    command("convert", ann, "--data", str(out / "calib.npz"), "--steps", "32", "--out", net)
    command("map", net, "--chip", "loihi2", "--data", str(out / "calib.npz"), "--out", mapped)
    return {"plain": [net], "mapped": [net, "--map", mapped, "--ann", ann]}


def opened(page: Path, stem: Path) -> str:
    """Photograph a page in both sizes; the DOM as the browser holds it at the end. Any request is an error."""
    for size, (width, height) in SIZES.items():
        chromium(page, f"--window-size={width},{height}", f"--screenshot={stem}.{size}.png")
    # without its security policy too the page must ask for nothing: then the policy has nothing to block
    bare = stem.with_suffix(".bare.html")
    bare.write_text(re.sub(r"<meta http-equiv=.Content-Security-Policy[^>]*>", "", page.read_text()))
    for asked in (requests(bare), requests(page)):
        if asked:
            sys.exit(f"browser: {page.name} asked for {asked[:5]}")
    return chromium(page, "--dump-dom")


def fits(page: Path) -> None:
    """On a small phone nothing is cut off: neither the page nor a part of it is wider than it shows."""
    with Page(page) as shown:
        shown.size(360, 800)
        cut = shown.run(CUT)
    if cut:
        sys.exit(f"browser: on a phone {page.name} cuts off {cut[:5]}")


def requests(page: Path) -> list[str]:
    """The addresses that a page asked for, by the browser's own log of its network."""
    log = page.with_suffix(".netlog.json")
    chromium(page, "--dump-dom", f"--log-net-log={log}")
    text = log.read_text().rstrip()
    events = json.loads(text if text.endswith("}") else text.rstrip(",") + "]}")["events"]
    asked = [e["params"] for e in events if "initiator" in e.get("params", {})]
    # what the browser asks for itself carries another key
    return sorted(
        {p["url"] for p in asked if "file:" in p.get("network_isolation_key", "") or p["initiator"] == "null"}
    )


def check_the_check(out: Path) -> None:
    """A page that does ask for something must be seen to ask."""
    page = out / "asks.html"
    page.write_text('<!doctype html><img src="http://asked.invalid/picture.png">')
    if requests(page) != ["http://asked.invalid/picture.png"]:
        sys.exit(f"browser: chromium's log does not show what a page asks for: {requests(page)}")


def chromium(page: Path, *options: str) -> str:
    """Run it headless with every name unresolvable; what it prints. Complaints about the page end the check."""
    done = subprocess.run(
        [
            "chromium",
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--enable-logging=stderr",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            f"--user-data-dir={page.parent / 'profile'}",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            *options,
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        sys.exit(f"browser: chromium ended with {done.returncode}\n{done.stderr[-2000:]}")
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    if said:
        sys.exit("browser: the page made chromium complain\n" + "\n".join(said))
    return done.stdout


def check(page: Path, dom: str, sections: dict[str, str]) -> None:
    """The expected sections with their titles, pictures, and nothing that would reach outside."""
    for name, title in sections.items():
        found = re.search(rf'<section id="{name}">(.*?)</section>', dom, re.DOTALL)
        if not found or title not in found[1]:
            sys.exit(f"browser: {page.name} has no section {name} titled {title!r}")
    pictures = dom.count("<svg")
    if pictures < PICTURES:
        sys.exit(f"browser: {page.name} shows {pictures} pictures, expected at least {PICTURES}")
    outside = re.findall(
        r"<(?:script|iframe|object|embed|link[^>]*stylesheet|img)\b|(?:src|href)=\"(?:https?:)?//", dom
    )
    if outside:
        sys.exit(f"browser: {page.name} would load {sorted(set(outside))}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
