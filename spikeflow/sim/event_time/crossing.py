"""When a membrane reaches its threshold: by closed form where there is one, else by Newton's steps.

With t from the last event on, w = u - U, delta = s - m:

    v(t) = v e^(-m t) + K w D(t) + q E(t),   D = (e^(-m t) - e^(-s t)) / delta,   E = (1 - e^(-m t)) / m

and q = K U + J. It turns at most once, so the first crossing lies between two times that are known. Newton's
steps stay between them and go on to the last bits of t, also behind a closed form, which may cancel.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, expm1, inf, isfinite, log, log1p, nan, sqrt

from scipy.special import lambertw

MOST_TURNS = 200
FARTHEST = 2.0**40  # steps that are looked ahead


@dataclass(frozen=True, slots=True)
class Membrane:
    """One neuron at a time from which on nothing arrives.

    Parameters
    ----------
    v : the membrane then.
    w : K (u - U), what the synaptic current pushes beyond what flows.
    q : what flows, K U + J.
    leak, fall : m and s.
    """

    v: float
    w: float
    q: float
    leak: float
    fall: float

    def after(self, t: float) -> float:
        """v a time t later."""
        decayed = exp(-self.leak * t)
        delta = self.fall - self.leak
        reach = t * decayed if delta == 0 else -decayed * expm1(-delta * t) / delta
        flown = t if self.leak == 0 else -expm1(-self.leak * t) / self.leak
        return self.v * decayed + self.w * reach + self.q * flown

    def slope(self, t: float) -> float:
        """v' a time t later."""
        return self.q + self.w * exp(-self.fall * t) - self.leak * self.after(t)

    def turn(self) -> float:
        """When v has its peak or its lowest; inf where it has none, or had it before."""
        rise = self.q + self.w - self.leak * self.v
        if self.w == 0 or rise == 0:
            return inf
        y, delta = rise / (self.w * self.fall), self.fall - self.leak
        if y <= 0 or delta * y >= 1:
            return inf
        return y if delta == 0 else -log1p(-delta * y) / delta

    def limit(self) -> float:
        """Where v leads."""
        if self.leak > 0:
            return self.q / self.leak
        if self.q != 0:
            return inf if self.q > 0 else -inf
        return self.v + (self.w / self.fall if self.fall > 0 else 0.0)

    def crossing(self, threshold: float) -> float:
        """The first time at which v, now below the threshold, reaches it; inf where it never does."""
        turn = self.turn()
        rises = self._rises()
        if rises and turn < inf:
            return self._root(threshold, 0.0, turn) if self.after(turn) >= threshold else inf
        if not rises and turn == inf or self.limit() <= threshold:
            return inf
        low = 0.0 if rises else turn
        high = max(2 * low, 1.0)
        while self.after(high) < threshold:
            low, high = high, 2 * high
            if high > FARTHEST:
                return inf
        return self._root(threshold, low, high)

    def _rises(self) -> bool:
        rise = self.q + self.w - self.leak * self.v
        return rise > 0 or (rise == 0 and self.w < 0)

    def _root(self, threshold: float, low: float, high: float) -> float:
        """Between two times of which v is below the threshold at the first and not at the second."""
        t = self._closed(threshold)
        if not low < t <= high:
            t = (low + high) / 2
        for _ in range(MOST_TURNS):
            above, slope = self.after(t) - threshold, self.slope(t)
            low, high = (low, t) if above >= 0 else (t, high)
            new = t - above / slope if slope > 0 else nan
            if not low <= new <= high:
                new = (low + high) / 2
            if new == t or abs(new - t) <= 2.0**-53 * t:
                return new
            t = new
        return t

    def _closed(self, threshold: float) -> float:
        """A closed form's crossing; NaN where there is none."""
        found = self._solved(threshold)
        return found if isfinite(found) else nan

    def _solved(self, threshold: float) -> float:
        m, s = self.leak, self.fall
        try:
            if self.w == 0:  # a leaky membrane alone, or a straight line
                return (threshold - self.v) / self.q if m == 0 else log(self._ratio(threshold)) / m
            if self.q == 0 and m == 0:
                return -log1p(-(threshold - self.v) * s / self.w) / s
            if self.q == 0 and m == s:
                shift = self.v / self.w
                inner = -threshold * s / self.w * exp(-shift * s)
                return -shift - float(lambertw(inner, 0).real) / s
            if m == s:
                return nan
            own = 0.0 if m == 0 else self.v + self.w / (s - m) - self.q / m  # of e^(-m t)
            if m > 0 and s == 2 * m:
                return self._quadratic(-self.w / (s - m), own, threshold) / m
            if m > 0 and m == 2 * s:
                return self._quadratic(own, -self.w / (s - m), threshold) / s
        except (ValueError, ZeroDivisionError, OverflowError):
            pass
        return nan

    def _ratio(self, threshold: float) -> float:
        lead = self.q / self.leak
        return (lead - self.v) / (lead - threshold)

    def _quadratic(self, a: float, b: float, threshold: float) -> float:
        """-log of the largest root up to 1 of a x^2 + b x + q / m - threshold, x the slower exponential."""
        c = self.q / self.leak - threshold
        root = sqrt(b * b - 4 * a * c)
        half = -(b + root) / 2 if b >= 0 else -(b - root) / 2
        found = [x for x in (half / a if a else nan, c / half if half else nan) if 0 < x <= 1]
        return -log(max(found)) if found else nan
