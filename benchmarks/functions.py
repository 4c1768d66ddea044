"""How far the fixed formulas of exp, tanh and sigmoid (`spikeflow.ir.functions`) lie from the functions.

    python benchmarks/functions.py [--every 61] [--out benchmarks/records/functions.json]

Of the finite float32 numbers, both signs, every 61st in order is taken (70 million). Results of float32 are compared with
numpy's in float64, those of float64 at the same points with numpy's in long double (80 bits). A unit in the last place
(ulp) is that of float32 at the true value. Where the true value is beyond float32, the result has to be infinite. In
float64 exp is measured where its value lies within 1e-300 and 1e300.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from record import Record

from spikeflow.sim.domains import Float32, Float64

PIECE = 1 << 20
LARGEST = 0x7F7FFFFF  # the bits of the largest float32
TRUE: dict[str, Callable[[Any], Any]] = {
    "exp": np.exp,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}


def errors(name: str, x: np.ndarray) -> dict[str, float]:
    """The largest errors of one function at these points: of exp relative ones, of the others absolute ones."""
    true = TRUE[name](x.astype(np.float64))
    found, rounded = getattr(Float32(), name)(x).astype(np.float64), true.astype(np.float32)
    finite = np.isfinite(rounded)
    assert (found[~finite] == np.inf).all(), "a value that should be infinite is not"
    off, exact = (
        np.abs(found - true, where=finite, out=np.zeros_like(true)),
        TRUE[name](x.astype(np.longdouble)),
    )
    precise = getattr(Float64(), name)(x.astype(np.float64))
    if name != "exp":
        return {"float32": float(off.max()), "float64": float(np.abs(precise - exact).max())}
    ulp = np.spacing(np.abs(rounded[finite])).astype(np.float64)
    whole = (exact > 1e-300) & (exact < 1e300)
    relative = np.abs(precise[whole] / exact[whole] - 1)
    return {
        "float32, ulp": float((off[finite] / ulp).max(initial=0)),
        "float64": float(relative.max(initial=0)),
    }


def measured(name: str, every: int) -> dict[str, float]:
    """The largest errors over all the points."""
    worst: dict[str, float] = {}
    for first in range(0, LARGEST + 1, PIECE * every):
        bits = np.arange(first, min(first + PIECE * every, LARGEST + 1), every, dtype=np.uint32)
        for x in (bits.view(np.float32), -bits.view(np.float32)):
            worst = {key: max(value, worst.get(key, 0.0)) for key, value in errors(name, x).items()}
    return worst


def main() -> None:
    """Measure what the record does not hold yet, and print it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--every", type=int, default=61)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/records/functions.json"))
    options = parser.parse_args()
    record = Record(options.out, {"every": options.every})
    for name in TRUE:
        if name not in record:
            with np.errstate(all="ignore"):
                record.put(name, measured(name, options.every))
        print(name, ", ".join(f"{what}: {value:.3g}" for what, value in record[name].items()))


if __name__ == "__main__":
    main()
