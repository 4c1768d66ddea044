"""tanh and sigmoid as one fixed formula of correctly rounded + - x /, the same in numpy, torch and C++.

The C library's tanh differs between machines in the last bits; this one cannot. With y = x / 2 clamped to
+-4.5, the continued fraction of tanh cut after the term 13 (the [7/6] Pade approximant) gives t = tanh(y),
and tanh(x) = 2 t / (1 + t t). ``src/engine/functions.hpp`` repeats the operations in this order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

LIMIT = 4.5


def tanh(x: Any, clip: Callable[[Any, float, float], Any]) -> Any:
    """tanh(x) for any array type with + * /; `clip(x, low, high)` is that type's own."""
    y = clip(x * 0.5, -LIMIT, LIMIT)
    s = y * y
    top = y * (((s + 378.0) * s + 17325.0) * s + 135135.0)
    bottom = ((s * 28.0 + 3150.0) * s + 62370.0) * s + 135135.0
    t = top / bottom
    return (t + t) / (t * t + 1.0)


def sigmoid(x: Any, clip: Callable[[Any, float, float], Any]) -> Any:
    """1 / (1 + exp(-x)) as (1 + tanh(x / 2)) / 2."""
    return tanh(x * 0.5, clip) * 0.5 + 0.5


def tanh_table(frac: int) -> tuple[int, ...]:
    """The 257 integers round(tanh(i / 32) 2**frac), i = -128 to 128; entry 128 is exactly 0."""
    values = np.tanh(np.arange(-128, 129) / 32.0)
    return tuple(int(v) for v in np.floor(values * 2.0**frac + 0.5))
