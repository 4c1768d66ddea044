"""The page of a recording in a real browser: drawn, turned, played, stepped, sought; on a desk, in the dark, on a phone."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from browser_page import Page

from spikeflow.datasets import write
from spikeflow.events import Events

PHOTOGRAPHS = {"desk": (1280, 1500, False), "dark": (1280, 1500, True), "phone": (390, 2400, False)}
PHOTOGRAPHS["phone-dark"] = (390, 2400, True)
LOOK = """
const scratch = document.createElement("canvas"), pen = scratch.getContext("2d", { willReadFrequently: true });
window.pixels = (id) => {
  const drawn = document.getElementById(id);
  [scratch.width, scratch.height] = [drawn.width, drawn.height];
  pen.drawImage(drawn, 0, 0);
  return new Uint32Array(pen.getImageData(0, 0, drawn.width, drawn.height).data.buffer);
};
window.inked = (id) => pixels(id).filter((p, _, all) => p !== all[0]).length;
window.print = (id) => pixels(id).reduce((sum, p, k) => (sum * 31 + p + k) % 4294967291, 7);
"""


def files(out: Path) -> dict[str, list[str]]:
    """A disc that goes round before a camera, and a chirp in a cochlea, as files: the arguments that show each."""
    draw, count = np.random.default_rng(0), 60_000
    t = np.sort(draw.integers(0, 1_000_000, count))
    turn, edge = t / 1e6 * 6 * np.pi, draw.uniform(0, 2 * np.pi, count)
    x = 64 + 34 * np.cos(turn) + 14 * np.cos(edge) + draw.normal(0, 0.7, count)
    y = 64 + 34 * np.sin(turn) + 14 * np.sin(edge) + draw.normal(0, 0.7, count)
    ahead = (np.sin(edge - turn) > 0).astype(np.uint8)
    write(out / "disc.bin", Events(t, x.astype(int), y.astype(int), ahead, 128, 128))
    channel = np.clip(20 + 200 * (t / 1e6) ** 2 + draw.normal(0, 9, count), 0, 255).astype(int)
    write(out / "chirp.bin", Events(t[::8], channel[::8], np.zeros(len(t[::8]), int), ahead[::8], 256, 1))
    return {
        "disc": [str(out / "disc.bin"), "--sensor", "128x128"],
        "chirp": [str(out / "chirp.bin"), "--sensor", "256x1"],
    }


def used(path: Path, stem: Path) -> dict[str, Any]:
    """Photographs of a page, and what became of every control; an end with a word where one does not obey."""
    with Page(path) as page:
        for name, (width, height, dark) in PHOTOGRAPHS.items():
            page.size(width, height, dark)
            page.photograph(stem.parent / f"{stem.name}.{name}.png")
            wide = page.run("document.documentElement.scrollWidth")
            if wide > width:
                sys.exit(f"browser: {path.name} is {wide} pixels wide on a screen of {width}")
        page.size(1280, 1500)
        page.run(f"(() => {{ {LOOK} }})()")
        names = page.run('[...document.querySelectorAll("canvas")].map((c) => c.id)')
        told = {name: page.run(f"inked({name!r})") for name in names}
        wrong = {name: count for name, count in told.items() if count < 200}
        if "frame-canvas" in names:
            found = _player(page) | _cloud(page)
            wrong |= {name: value for name, (value, right) in found.items() if not right}
            told |= {name: value for name, (value, _) in found.items()}
        if wrong or page.faults:
            sys.exit(f"browser: {path.name} does not obey: {wrong or page.faults}")
    return told


def _player(page: Page) -> dict[str, tuple[Any, bool]]:
    """What each control of the player did, and whether that is right."""

    def step() -> int:
        return int(page.run('+document.getElementById("frame-canvas").dataset.step'))

    found: dict[str, tuple[Any, bool]] = {}
    page.key("frame-canvas", "Home")
    found["home"] = (step(), step() == 0)
    page.key("frame-canvas", "ArrowRight")
    page.key("frame-canvas", "ArrowRight")
    found["right"] = (step(), step() == 2)
    page.drag("#back", 0.5)
    found["back"] = (step(), step() == 1)
    page.drag("#forward", 0.5)
    found["forward"] = (step(), step() == 2)
    page.key("position", "ArrowRight")
    found["slider"] = (step(), step() == 3)
    before = page.run('print("frame-canvas")')
    page.run('document.getElementById("window").value = 5')
    page.run('document.getElementById("window").dispatchEvent(new Event("change"))')
    page.settle()
    found["window"] = (5, page.run('print("frame-canvas")') != before)
    page.run('document.getElementById("speed").value = 1')
    page.key("frame-canvas", " ")
    page.settle(20)
    playing = page.run('document.getElementById("play").textContent')
    page.drag("#play", 0.5)
    here = step()
    page.settle(10)
    found["played"] = (here, here > 3 and playing == "Pause" and step() == here)
    page.drag("#rate-canvas", 0.9)
    share = step() / page.run("+document.getElementById('position').max")
    found["sought"] = (round(share, 2), 0.85 < share < 0.95)
    return found


def _cloud(page: Page) -> dict[str, tuple[Any, bool]]:
    """Whether the cloud turns by keys and mouse, and comes closer."""
    found: dict[str, tuple[Any, bool]] = {}
    actions = {
        "turned": lambda: page.key("cloud-canvas", "ArrowLeft"),
        "dragged": lambda: page.drag("#cloud-canvas", 0.5, 60),
        "closer": lambda: page.drag("[data-zoom='1.25']", 0.5),
        "front": lambda: page.drag("[data-view='front']", 0.5),
    }
    for name, act in actions.items():
        before = page.run('print("cloud-canvas")')
        act()
        changed = page.run('print("cloud-canvas")') != before
        found[name] = (changed, changed)
    return found
