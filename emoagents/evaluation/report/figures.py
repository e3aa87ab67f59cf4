"""PNG pictures of what a comparison found, for papers and README files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, product
from math import cos, pi, sin
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoagents.errors import MissingExtraError
from emoagents.evaluation.findings import ArmRow, Difference, Findings
from emoagents.evaluation.record import Arm, Plan
from emoagents.evaluation.report.view import View, short_names
from emoagents.evaluation.report.words import level

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["bare", "literal", "new_figure", "save_figure", "write_figures"]

_WIDTH, _DPI = 8.0, 150
"""Inches and dots for each: 1200 pixels."""

_INK, _SOFT, _GAIN, _LOSS = "#1a1e24", "#77818d", "#0a5ca8", "#a8420a"
_TONES = {"emotional": ("o", "#9a2a78"), "neutral": ("s", "#0a6b66"), None: ("D", _INK)}
_TONE_NAMES = {"emotional": "emotional", "neutral": "neutral tone", None: "no tone"}
_MOST_ROWS = 40


def write_figures(folder: Path, plan: Plan, findings: Findings) -> list[Path]:
    """Write the pictures into folder/figures and return their paths; one with nothing to show is not written.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    view, out = View(plan, findings), folder / "figures"
    out.mkdir(parents=True, exist_ok=True)
    made = [(name, draw(view)) for name, draw in _FIGURES.items()]
    return [save_figure(figure, out / f"{name}.png") for name, figure in made if figure is not None]


def new_figure(height: float) -> Figure:
    """Return an empty figure of its own: nothing is shared with a program that draws with matplotlib itself."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("evaluation", "a figure") from None
    figure = Figure(figsize=(_WIDTH, height), dpi=_DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: Path) -> Path:
    figure.savefig(path, metadata={"Software": "emoagents"})
    return path


def bare(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)


def literal(text: str, most: int = 44) -> str:
    """Return a name as matplotlib shall write it: a dollar sign begins no formula."""
    shown = text if len(text) <= most else f"{text[: most - 1]}…"
    return shown.replace("$", r"\$")


# ---- quality against cost


def _cost_quality(view: View) -> Figure | None:
    found = view.measured()
    if not found:
        return None
    figure = new_figure(5.2 + max(0.0, len(found) - 16) * 0.12)
    axes = figure.add_subplot()
    bare(axes)
    for _, arm, row in found:
        _point(axes, arm, row)
    _frontier(axes, view)
    _scale(axes, [row.tokens for _, _, row in found])
    axes.set_ylabel(f"mean score, with {level(view.findings.alpha)}")
    axes.set_title("Quality against cost", loc="left", fontsize=12, weight="bold")
    _name_points(axes, [(number, arm, row.tokens, row.score or 0.0) for number, arm, row in found])
    return figure


def _point(axes: Axes, arm: Arm, row: ArmRow) -> None:
    shape, colour = _TONES[arm.tone]
    value = row.score or 0.0
    low, high = value if row.low is None else row.low, value if row.high is None else row.high
    axes.plot([row.tokens, row.tokens], [low, high], color=_SOFT, lw=1, alpha=0.6, zorder=2)
    edge, size = (_INK, 8.0) if row.frontier else ("white", 6.5)
    axes.plot([row.tokens], [value], shape, color=colour, ms=size, mec=edge, mew=1.5 if row.frontier else 0.8, zorder=4)


def _frontier(axes: Axes, view: View) -> None:
    on = sorted((row.tokens, row.score or 0.0) for _, _, row in view.measured() if row.frontier)
    if on:
        axes.step(
            [x for x, _ in on],
            list(accumulate((y for _, y in on), max)),
            where="post",
            color=_INK,
            lw=1.2,
            ls=(0, (4, 3)),
            zorder=3,
        )


def _scale(axes: Axes, costs: Sequence[float]) -> None:
    from matplotlib.ticker import NullFormatter, StrMethodFormatter

    logarithmic = min(costs) > 0 and max(costs) / min(costs) > 6
    if logarithmic:
        from matplotlib.ticker import LogLocator

        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlim(min(costs) / 1.25, max(costs) * 1.25)
    else:
        axes.set_xlim(0, max(costs) * 1.08 or 1)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set_xlabel(f"tokens per item{' (logarithmic)' if logarithmic else ''}")


def _name_points(axes: Axes, points: Sequence[tuple[int, Arm, float, float]]) -> None:
    """Put a number at each point where it covers nothing, and the names beside the picture."""
    axes.figure.canvas.draw()
    taken = [tuple(axes.transData.transform((x, y))) for _, _, x, y in points]
    for number, _, x, y in sorted(points, key=lambda point: -point[3]):
        here = tuple(axes.transData.transform((x, y)))
        dx, dy = _free(here, taken)
        taken.append((here[0] + dx, here[1] + dy))
        points_per_dot = 72 / _DPI
        line = {"arrowstyle": "-", "lw": 0.5, "color": _SOFT, "shrinkB": 3} if abs(dx) + abs(dy) > 45 else None
        offset = (dx * points_per_dot, dy * points_per_dot)
        axes.annotate(str(number), (x, y), offset, textcoords="offset points", fontsize=9, ha="center", va="center",
                      arrowprops=line, zorder=5)  # fmt: skip
    _legend(axes, points)


def _free(here: Sequence[float], taken: Sequence[tuple[float, ...]]) -> tuple[float, float]:
    """Return the nearest place, in dots from the point, where a number lies on nothing."""
    places = [
        (far * cos(turn * pi / 6), far * sin(turn * pi / 6)) for far, turn in product(range(24, 200, 14), range(12))
    ]
    for dx, dy in places:
        if all(abs(here[0] + dx - x) > 26 or abs(here[1] + dy - y) > 22 for x, y in taken):
            return dx, dy
    return places[0]


def _legend(axes: Axes, points: Sequence[tuple[int, Arm, float, float]]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], ls="", marker=_TONES[arm.tone][0], color=_TONES[arm.tone][1], ms=5,
               label=literal(f"{number}  {arm.label}", 34))
        for number, arm, _, _ in points
    ]  # fmt: skip
    tones = {arm.tone for _, arm, _, _ in points}
    handles += [
        Line2D([], [], ls="", marker=shape, color=colour, ms=7, label=_TONE_NAMES[tone])
        for tone, (shape, colour) in _TONES.items()
        if tone in tones and len(tones) > 1
    ]
    handles.append(Line2D([], [], color=_INK, lw=1.2, ls=(0, (4, 3)), label="frontier"))
    axes.figure.legend(handles=handles, loc="outside right upper", frameon=False, fontsize=8, labelspacing=0.35)


# ---- differences


def _differences(view: View) -> Figure | None:
    kinds = {"baseline": "Against the baseline", "twin": "Emotional against its neutral twin"}
    parts = [(title, _clearest(view.differences(kind))) for kind, title in kinds.items()]
    parts = [(title, rows) for title, rows in parts if rows]
    if not parts:
        return None
    sizes = [len(rows) + 2.2 for _, rows in parts]
    figure = new_figure(0.28 * sum(sizes) + 0.5)
    places = figure.subplots(len(parts), 1, height_ratios=sizes, sharex=True, squeeze=False)
    for axes, (title, rows) in zip(places[:, 0], parts, strict=True):
        names = [d.arm if "baseline" in title else f"{d.arm} - {d.reference}" for d in rows]
        _forest(axes, names, [_span(d) for d in rows])
        axes.set_title(title, loc="left", fontsize=11, weight="bold")
    said = f"difference of mean scores, with {level(view.findings.alpha)}; filled: significant (Holm)"
    places[-1, 0].set_xlabel(said, fontsize=9)
    return figure


def _clearest(found: list[Difference]) -> list[Difference]:
    """Return at most as many as can be read, those with the smallest p."""
    kept = sorted(found, key=lambda d: d.p)[:_MOST_ROWS]
    return sorted(kept, key=lambda d: d.difference)


def _span(d: Difference) -> tuple[float, float, float, bool]:
    return d.difference, d.low, d.high, d.significant


def _forest(axes: Axes, names: Sequence[str], spans: Sequence[tuple[float, float, float, bool]]) -> None:
    bare(axes)
    axes.axvline(0, color=_SOFT, lw=1)
    axes.grid(axis="x", color="#e3e6ea", lw=0.8)
    axes.set_axisbelow(True)
    for place, (value, low, high, strong) in enumerate(spans):
        colour = _INK if not strong else _GAIN if value > 0 else _LOSS
        axes.plot([low, high], [place, place], color=colour, lw=1.4)
        axes.plot(value, place, "o", color=colour, mfc=colour if strong else "white", ms=6.5)
    axes.set_yticks(range(len(names)), [literal(name) for name in names])
    axes.set_ylim(-0.7, len(names) - 0.3)


# ---- tasks


def _tasks(view: View) -> Figure | None:
    if not view.tasks:
        return None
    arms, names = [arm.label for _, arm, _ in view.measured()], short_names(view.tasks)
    if not arms:
        return None
    # The longer list goes down the side: a picture 1200 pixels wide has room for some sixteen columns.
    down, across = (view.tasks, arms) if len(view.tasks) > len(arms) else (arms, view.tasks)
    figure = new_figure(1.6 + 0.34 * len(down) + 0.06 * max(len(names.get(a, a)) for a in across))
    axes = figure.add_subplot()
    cell: Callable[[str, str], tuple[str, str]] = lambda a, b: (a, b) if down is arms else (b, a)  # noqa: E731
    _heat(axes, view, [[cell(a, b) for b in across] for a in down])
    axes.set_yticks(range(len(down)), [literal(names.get(n, n), 34) for n in down], fontsize=9)
    shown = [literal(names.get(n, n), 24) for n in across]
    axes.set_xticks(range(len(across)), shown, fontsize=8, rotation=45 if len(across) > 4 else 0)
    if len(across) > 4:
        for label in axes.get_xticklabels():
            label.set(ha="left", rotation_mode="anchor")
    axes.set_title("Mean scores; colour: difference to the baseline", loc="left", fontsize=11, weight="bold")
    return figure


def _heat(axes: Axes, view: View, cells: Sequence[Sequence[tuple[str, str]]]) -> None:
    shifts = [[_shift(view, arm, task) for arm, task in line] for line in cells]
    most = max((abs(v) for line in shifts for v in line), default=0.0) or 1.0
    image = axes.imshow(shifts, cmap=_diverging(), vmin=-most, vmax=most, aspect="auto")
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    for y, line in enumerate(cells):
        for x, (arm, task) in enumerate(line):
            axes.text(x, y, _number(view, arm, task), ha="center", va="center", fontsize=8 if len(line) < 14 else 7)
    axes.figure.colorbar(image, ax=axes, shrink=min(1.0, 6 / len(cells) + 0.3), label="difference to the baseline")


def _shift(view: View, arm: str, task: str) -> float:
    found = view.difference("baseline", arm, task)
    return 0.0 if found is None or found.difference != found.difference else found.difference


def _number(view: View, arm: str, task: str) -> str:
    row, found = view.row(arm, task), view.difference("baseline", arm, task)
    if row is None or row.score is None:
        return "-"
    return f"{row.score:.2f}{'*' if found is not None and found.significant else ''}"


def _diverging() -> Any:
    """Return a scale from orange over white to blue, light enough for black numbers on it."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("shift", ["#f0a06c", "#ffffff", "#7db5ee"])


# ---- repairs


def _repairs(view: View) -> Figure | None:
    rows = [row for row in view.findings.repairs if row.tries]
    if not rows:
        return None
    figure = new_figure(0.28 * len(rows) + 1.2)
    axes = figure.add_subplot()
    names = [f"{row.arm}: {row.emotion} ({row.repaired} of {row.tries})" for row in rows]
    spans = [(row.repaired / row.tries, row.low, row.high, False) for row in rows]
    _forest(axes, names[::-1], spans[::-1])
    axes.set_xlim(0, 1)
    axes.set_xlabel(f"share of retries that were then right, with {level(view.findings.alpha)}")
    axes.set_title("Repairs by emotion", loc="left", fontsize=12, weight="bold")
    return figure


_FIGURES: dict[str, Callable[[View], Figure | None]] = {
    "cost_quality": _cost_quality,
    "differences": _differences,
    "tasks": _tasks,
    "repairs": _repairs,
}
