"""The page of Markdown that a record of `conversion.py` makes: networks, other converters, chips."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from conversion import CEILING, CHIPS, TIMES
from paired import Difference, paired

from spikeflow.ir.alphabet import alphabet
from spikeflow.ir.interval import wilson

Parts = dict[str, dict[str, Any]]
OTHERS = ("SpikingJelly", "sinabs")


def conversion_report(record: dict[str, Any]) -> Iterator[str]:
    """Each network's rows, then every comparison with another converter, then what each chip says."""
    names = list(dict.fromkeys(part.split(": ")[0] for part in record["parts"]))
    networks = {name: _of(record["parts"], name) for name in names}
    for name, parts in networks.items():
        yield from _network(name, parts)
    yield from _compared(networks)
    yield from _mapped(networks)


def _of(parts: Parts, network: str) -> Parts:
    head = f"{network}: "
    return {key.removeprefix(head): value for key, value in parts.items() if key.startswith(head)}


def _network(name: str, parts: Parts) -> Iterator[str]:
    rows = {key: part for key, part in parts.items() if "operations_an_image" in part}
    if not rows:
        return
    one = next(iter(rows.values()))
    low, high = wilson(one["ann"], one["images"])
    yield (
        f"\n### {name}\n\n{one['images']:,} test images, {one['calibration']} for calibration, "
        f"{one['neurons']:,} neurons; ANN {100 * one['ann']:.1f} % (95 % interval {100 * low:.1f} to "
        f"{100 * high:.1f} %). A cell: accuracy, answers as the ANN.\n"
    )
    steps = [str(t) for t in TIMES if any(str(t) in part["snn"] for part in rows.values())]
    yield f"| alphabet, method | {' | '.join(steps)} | conversion, CPU s | CPU ms an image | operations an image |"
    yield "|---" * (len(steps) + 4) + "|"
    for key, part in _joined(rows).items():
        cells = [_cell(part["snn"].get(t), part["alike"].get(t)) for t in steps]
        yield (
            f"| {key} | {' | '.join(cells)} | {part['convert_cpu_s']:.0f} | {part['cpu_ms_an_image']:.1f} | "
            f"{part['operations_an_image'] / 1e6:,.1f} M |"
        )
    most = parts.get(CEILING, {}).get("steps", {})
    if most:
        cells = [_cell(most[t]["accuracy"], most[t]["alike"]) if t in most else "" for t in steps]
        yield f"| ceiling: the ANN with T + 1 levels | {' | '.join(cells)} | | | |"
    for key, part in parts.items():
        if "error" in part:
            yield f"\n{key}: {part['error']}"


def _joined(rows: Parts) -> Parts:
    """Rows of one alphabet and method as one; costs are those of the most steps."""
    found: Parts = {}
    for key, part in sorted(rows.items(), key=lambda row: max(map(int, row[1]["snn"]))):
        words, at, _ = key.rpartition(", at ") if ", at " in key else key.rpartition(", up to ")
        coded, method = words.split(", ")
        bits = alphabet(coded).bits
        name = f"{coded} ({bits} bit{'s' if bits > 1 else ''}), {method}"
        name += ", made for each T" if at == ", at " else ""
        old = found.get(name, {"snn": {}, "alike": {}})
        found[name] = {**part, **{k: {**old[k], **part[k]} for k in ("snn", "alike")}}
    return found


def _cell(accuracy: float | None, alike: float | None) -> str:
    return "" if accuracy is None or alike is None else f"{100 * accuracy:.1f}, {100 * alike:.1f}"


def comparisons(parts: Parts) -> Iterator[tuple[str, str, str, Difference]]:
    """Each other converter after each number of steps against our row of the same alphabet: its name, the steps,
    our row, and the difference of the shares right on the same images.

    Of binary rows the one that ``auto`` made for these steps where there is one, else the percentile's.
    """
    for other, theirs in parts.items():
        if not other.startswith(OTHERS) or "right" not in theirs:
            continue
        ours = ("burst:4, percentile",) if "any number" in other else ("binary, auto", "binary, percentile")
        for steps, text in theirs["right"].items():
            rows = [
                k for words in ours for k, p in parts.items() if k.startswith(words) and steps in p["snn"]
            ]
            for row in rows[:1]:
                mine = parts[row]["right"][steps]
                count = min(len(mine), len(text))
                yield other, steps, row, paired(_right(mine[:count]), _right(text[:count]))


def _right(text: str) -> np.ndarray:
    return np.array([c == "1" for c in text])


def _compared(networks: dict[str, Parts]) -> Iterator[str]:
    steps = [str(t) for t in TIMES if t <= 64]
    yield (
        "\n### Against other converters\n\nA cell: their accuracy, ours on the same images, and the 95 % interval of "
        "ours less theirs, in points; **lost** where it lies below 0.\n"
    )
    yield f"| network, converter | images | {' | '.join(steps)} | conversion, CPU s: theirs, ours |"
    yield "|---" * (len(steps) + 3) + "|"
    for name, parts in networks.items():
        rows: dict[str, dict[str, tuple[str, Difference]]] = {}
        for other, at, row, difference in comparisons(parts):
            rows.setdefault(other, {})[at] = row, difference
        for other, found in rows.items():
            theirs = parts[other]
            cells = [_against(theirs["snn"][t], found[t][1]) if t in found else "" for t in steps]
            last = found[max(found, key=int)][0]
            cost = f"{theirs['convert_cpu_s']:.1f}, {parts[last]['convert_cpu_s']:.1f}"
            yield f"| {name}, {other} | {theirs['images']} | {' | '.join(cells)} | {cost} |"


def _against(share: float, d: Difference) -> str:
    lost = " **lost**" if d.lost else ""
    ends = f"{100 * d.low:+.1f} to {100 * d.high:+.1f}"
    return f"{100 * share:.1f}, {100 * (share + d.mean):.1f} ({ends}){lost}"


def _mapped(networks: dict[str, Parts]) -> Iterator[str]:
    yield "\n### On chips\n"
    yield "| network | alphabet | chip | cores | chips | answers as the float network |"
    yield "|---|---|---|---|---|---|"
    for name, parts in networks.items():
        for key, part in parts.items():
            words, _, chip = key.rpartition(" on ")
            if chip not in CHIPS:
                continue
            if "cores" in part:
                cells = f"{part['cores']:,} | {part['chips']} | {_agreement(part)}"
            else:
                cells = f"refused | | {_reason(part)}"
            yield f"| {name} | {words} | {chip} | {cells} |"


def _reason(part: dict[str, Any]) -> str:
    """The first of the reasons, without what to try."""
    lines = (part.get("refused") or part["error"]).splitlines()
    return lines[min(1, len(lines) - 1)].split(" Try: ")[0].strip()


def _agreement(part: dict[str, Any]) -> str:
    if part["agreement"] is None:
        return "not known"
    return f"{100 * part['agreement']:.0f} % of {part['samples']} images"
