"""The interval of a share: what so many samples can say of it."""

from __future__ import annotations

from math import sqrt

NORMAL_95 = 1.959963984540054  # the two-sided 95 % point of the normal distribution


def wilson(share: float, count: int) -> tuple[float, float]:
    """Wilson's two-sided 95 % interval of a share of so many trials; (0, 1) for none.

    With z the normal point, p the share and n the trials
    ``(p + z^2 / 2n +- z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)`` (E. B. Wilson, JASA 22, 1927).
    """
    if count == 0:
        return 0.0, 1.0
    z2 = NORMAL_95**2 / count
    middle = (share + z2 / 2) / (1 + z2)
    half = NORMAL_95 / (1 + z2) * sqrt(share * (1 - share) / count + z2 / (4 * count))
    # exact at the ends, where rounding would leave 1 - 1e-16
    return (0.0 if share == 0 else max(0.0, middle - half)), (1.0 if share == 1 else min(1.0, middle + half))


def shown(share: float, interval: tuple[float, float]) -> str:
    """A share with its interval: ``97.50 % (95 % interval 93.1 to 99.2 %)``; alone where the two ends are
    one.
    """
    low, high = interval
    text = "" if low == high else f" (95 % interval {100 * low:.1f} to {100 * high:.1f} %)"
    return f"{100 * share:.2f} %{text}"


def of_samples(share: float, count: int) -> str:
    """A share of so many samples: ``100.00 % of 1 sample (95 % interval 20.7 to 100.0 %)``."""
    low, high = wilson(share, count)
    many = f"{count:,} sample{'' if count == 1 else 's'}"
    return f"{100 * share:.2f} % of {many} (95 % interval {100 * low:.1f} to {100 * high:.1f} %)"
