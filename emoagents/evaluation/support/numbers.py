"""Numbers of support findings as they are written: Q, F1 and accuracy times 100, B as it is."""

from __future__ import annotations

from emoagents.evaluation.support.findings import SupportDifference

__all__ = ["number", "shifted", "spread", "spread_shift", "units"]


def units(value: float | None) -> str:
    """Return a number from 0 to 100, as "13.5"."""
    return "-" if value is None else f"{value:.1f}"


def number(value: float | None, metric: str, *, sign: bool = False) -> str:
    """Return a metric's value, as "13.5", or "1.38" for B."""
    if value is None:
        return "-"
    digits, shown = (2, value) if metric == "b" else (1, 100 * value)
    shown = round(shown, digits) + 0.0  # no minus before a zero
    return f"{shown:+.{digits}f}" if sign else f"{shown:.{digits}f}"


def spread(low: float | None, high: float | None, metric: str, *, sign: bool = False) -> str:
    """Return an interval, as "[11.0, 16.2]"; "" without one."""
    if low is None or high is None:
        return ""
    return f"[{number(low, metric, sign=sign)}, {number(high, metric, sign=sign)}]"


def shifted(found: SupportDifference | None) -> str:
    """Return a difference with its star, as "+3.1*"; "" without one."""
    return (
        "" if found is None else number(found.difference, found.metric, sign=True) + ("*" if found.significant else " ")
    )


def spread_shift(found: SupportDifference | None) -> str:
    """Return a difference's interval; "" without one."""
    return "" if found is None else spread(found.low, found.high, found.metric, sign=True)
