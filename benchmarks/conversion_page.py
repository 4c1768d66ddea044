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
    """Rows of one alphabet and method that were each made for its steps, as one; costs are those of the last."""
    found: Parts = {}
    for key, part in rows.items():
        words, at, _ = key.partition(", at ")
        bits = alphabet(words.split(", ")[0]).bits
        name = f"{words.replace(', ', f' ({bits} bit{chr(115) * (bits > 1)}), ')}{', made for each T' if at else ''}"
        old = found.get(name, {"snn": {}, "alike": {}})
        found[name] = {**part, **{k: {**old[k], **part[k]} for k in ("snn", "alike")}}
    return found


def _cell(accuracy: float | None, alike: float | None) -> str:
    return "" if accuracy is None or alike is None else f"{100 * accuracy:.1f}, {100 * alike:.1f}"


def comparisons(parts: Parts) -> Iterator[tuple[str, str, str, Difference]]:
    """Each other converter at each number of steps against our row of the same alphabet that was made for them:
    its name, the steps, our row, and the difference of the shares right on the same images.
    """
    for other, theirs in parts.items():
        if not other.startswith(OTHERS) or "right" not in theirs:
            continue
        ours = "burst:4, percentile" if "any number" in other else "binary, auto"
        for steps, text in theirs["right"].items():
            fitting = [k for k, p in parts.items() if k.startswith(ours) and steps in p.get("right", {})]
            for row in fitting[:1]:
                mine = parts[row]["right"][steps]
                count = min(len(mine), len(text))
                yield other, steps, row, paired(_right(mine[:count]), _right(text[:count]))


def _right(text: str) -> np.ndarray:
    return np.array([c == "1" for c in text])


def _compared(networks: dict[str, Parts]) -> Iterator[str]:
    yield "\n### Against other converters\n"
    yield "| network | converter (its images, conversion CPU s) | T | theirs | ours | ours less theirs, 95 % | |"
    yield "|---|---|---|---|---|---|---|"
    for name, parts in networks.items():
        for other, steps, row, d in comparisons(parts):
            theirs = parts[other]
            share = theirs["snn"][steps]
            yield (
                f"| {name} | {other} ({theirs['images']}, {theirs['convert_cpu_s']:.1f}) | {steps} | "
                f"{100 * share:.1f} % | {100 * (share + d.mean):.1f} % ({row.split(', ')[0]}, "
                f"{parts[row]['convert_cpu_s']:.1f}) | {100 * d.mean:+.1f} ({100 * d.low:+.1f} to "
                f"{100 * d.high:+.1f}) | {'**lost**' if d.lost else ''} |"
            )


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
                cells = f"{part['cores']} | {part['chips']} | {_agreement(part)}"
            else:
                cells = f"refused | | {' '.join((part.get('refused') or part['error']).split())[:300]}"
            yield f"| {name} | {words} | {chip} | {cells} |"


def _agreement(part: dict[str, Any]) -> str:
    if part["agreement"] is None:
        return "not known"
    return f"{100 * part['agreement']:.0f} % of {part['samples']} images"
