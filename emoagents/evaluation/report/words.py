"""Numbers as they are written in every report."""

from __future__ import annotations

from math import isfinite, isnan

__all__ = ["cost", "count", "interval", "level", "plural", "probability", "ratio", "score", "share", "signed"]


def score(value: float | None) -> str:
    """Return a score, as "0.712"."""
    return "-" if value is None or isnan(value) else f"{value:.3f}"


def signed(value: float) -> str:
    """Return a difference, as "+0.110"."""
    return "-" if isnan(value) else f"{value:+.3f}"


def interval(low: float | None, high: float | None, *, sign: bool = False) -> str:
    """Return an interval, as "[0.650, 0.770]"."""
    if low is None or high is None or isnan(low) or isnan(high):
        return ""
    return f"[{low:+.3f}, {high:+.3f}]" if sign else f"[{low:.3f}, {high:.3f}]"


def level(alpha: float) -> str:
    """Return how the intervals of an analysis are called, as "95 % interval"."""
    return f"{100 * (1 - alpha):.4g} % interval"


def probability(value: float) -> str:
    """Return a p value, as "0.031" or "<0.001"."""
    return "-" if isnan(value) else "<0.001" if value < 0.001 else f"{value:.3f}"


def cost(usd: float | None) -> str:
    """Return a price, as "$0.0012"; an unknown one is no zero."""
    return "unknown" if usd is None else f"${usd:.3g}" if usd < 1 else f"${usd:,.2f}"


def count(value: float) -> str:
    """Return a mean count, as "312" or "2.4"."""
    return f"{value:,.0f}" if value >= 100 or float(value).is_integer() else f"{value:.1f}"


def share(value: float) -> str:
    """Return a share, as "3 %"; one that is small but not nothing says so."""
    return "<1 %" if 0 < value < 0.005 else f"{value:.0%}".replace("%", " %")


def ratio(value: float | None) -> str:
    """Return a ratio, as "2.1x"."""
    return "unknown" if value is None or not isfinite(value) else f"{value:.2g}x" if value < 10 else f"{value:.0f}x"


def plural(number: int, noun: str, nouns: str = "") -> str:
    """Return a number of things, as "1 arm" or "1,200 arms"."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"
