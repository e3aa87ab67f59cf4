"""PNG pictures of chosen strategies: who is taken for whom, what is preferred, and when what is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emoagents.evaluation.report.figures import bare, literal, new_figure, save_figure
from emoagents.evaluation.support.export import file_names
from emoagents.evaluation.support.findings import SupportArm, SupportFindings
from emoagents.evaluation.support.numbers import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Drawn", "draw"]

_SHORT = {
    "Restatement or Paraphrasing": "Restatement",
    "Reflection of feelings": "Reflection",
    "Affirmation and Reassurance": "Affirmation",
    "Providing Suggestions": "Suggestions",
}

_COLOURS = ("#0a5ca8", "#7db5ee", "#9a2a78", "#ef8fd0", "#0a6b66", "#a8420a", "#f0a06c", "#b5bcc5")
"""Of the eight strategies: those of one stage are related, and neighbours differ in lightness."""

_INK, _SOFT, _MORE, _LESS = "#1a1e24", "#77818d", "#0a5ca8", "#a8420a"
_ACROSS = 3
_DARK = 0.2
"""Luminance below which white letters have more contrast than dark ones."""


@dataclass(frozen=True)
class Drawn:
    """A picture, with its title and what it shows in words."""

    path: Path
    title: str
    alt: str


def draw(folder: Path, found: SupportFindings) -> list[Drawn]:
    """Write the pictures into folder/figures; one with nothing to show is not written.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    out = folder / "figures"
    out.mkdir(parents=True, exist_ok=True)
    made = [_preferences(out, found), _mixes(out, found)]
    names = file_names(arm.arm for arm in found.arms)
    made += [_confusion(out / f"confusion-{names[arm.arm]}.png", found, arm) for arm in found.arms]
    return [one for one in made if one is not None]


def short(label: str) -> str:
    """Return a strategy's name in one word, where it has one."""
    return _SHORT.get(label, label)


# ---- preferences


def _preferences(out: Path, found: SupportFindings) -> Drawn | None:
    arms = [arm for arm in found.arms if arm.preferences]
    if not arms:
        return None
    figure, places = _grid(len(arms), 2.0)
    most = max(2.0, *(max(arm.preferences.values()) for arm in arms))
    for axes, arm in zip(places, arms, strict=False):
        _bars(axes, found.labels, arm, most)
    figure.supxlabel("preference: 1 is none, more is preferred", fontsize=9)
    alt = "Bars of each arm's preference for each strategy, with a line at 1. " + " ".join(map(_preferred, arms))
    return Drawn(save_figure(figure, out / "preferences.png"), "Preference of each arm for each strategy", alt)


def _bars(axes: Axes, labels: Sequence[str], arm: SupportArm, most: float) -> None:
    values = [arm.preferences[label] for label in labels]
    bare(axes)
    axes.barh(range(len(labels)), values, color=[_MORE if value > 1 else _SOFT for value in values], height=0.72)
    axes.axvline(1, color=_INK, lw=1)
    for place, value in enumerate(values):
        # its white ground keeps the line at 1 out of the number
        ground = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
        axes.text(value + most * 0.03, place, f"{value:.2f}", va="center", fontsize=7.5, color=_INK, bbox=ground)
    axes.set_yticks(range(len(labels)), [short(label) for label in labels])
    axes.set_xlim(0, most * 1.2)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_title(
        f"{literal(arm.arm.removeprefix('support:'), 26)}\nB {number(arm.b.value, 'b')}",
        loc="left",
        fontsize=9,
        weight="bold",
    )


def _preferred(arm: SupportArm) -> str:
    label = max(arm.preferences, key=arm.preferences.__getitem__)
    return f"{arm.arm}: most preferred is {label}, {arm.preferences[label]:.2f}; B {number(arm.b.value, 'b')}."


# ---- when what is said


def _mixes(out: Path, found: SupportFindings) -> Drawn | None:
    rows = [("humans", found.human_mix), *((arm.arm, arm.mix) for arm in found.arms if arm.mix)]
    if not found.human_mix:
        return None
    figure, places = _grid(len(rows), 2.1)
    for axes, (name, mix) in zip(places, rows, strict=False):
        _stack(axes, found, mix)
        axes.set_title(literal(name.removeprefix("support:"), 28), loc="left", fontsize=9, weight="bold")
    _legend(figure, found.labels)
    figure.supxlabel("progress of the conversation, %", fontsize=9)
    figure.supylabel("share of the choices, %", fontsize=9)
    alt = "Stacked bars of the strategies' shares over the conversation, of humans and of each arm. " + " ".join(
        _commonest(name, mix) for name, mix in rows
    )
    return Drawn(save_figure(figure, out / "strategy_mix.png"), "Strategies over the conversation, humans first", alt)


def _stack(axes: Axes, found: SupportFindings, mix: Mapping[str, Mapping[str, float]]) -> None:
    bare(axes)
    bottom = [0.0] * len(found.bins)
    for label, colour in zip(found.labels, _COLOURS, strict=True):
        heights = [100 * mix.get(part, {}).get(label, 0.0) for part in found.bins]
        axes.bar(range(len(found.bins)), heights, bottom=bottom, color=colour, width=0.86, edgecolor="white", lw=0.6)
        bottom = [low + height for low, height in zip(bottom, heights, strict=True)]
    parts = [part.replace("%", "").strip().replace("-", "–") for part in found.bins]
    axes.set_xticks(range(len(parts)), parts)
    axes.tick_params(labelsize=7.5)
    axes.set_ylim(0, 100)


def _legend(figure: Figure, labels: Sequence[str]) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=colour, label=short(label)) for label, colour in zip(labels, _COLOURS, strict=True)]
    figure.legend(handles=handles, loc="outside upper center", ncols=4, frameon=False, fontsize=8.5)


def _commonest(name: str, mix: Mapping[str, Mapping[str, float]]) -> str:
    """Say which strategy is the commonest at the beginning and at the end."""
    ends = [mix[part] for part in (next(iter(mix)), list(mix)[-1])]
    first, last = (max(shares, key=shares.__getitem__) for shares in ends)
    return f"{name}: at first mostly {first}, at last mostly {last}."


# ---- who is taken for whom


def _confusion(path: Path, found: SupportFindings, arm: SupportArm) -> Drawn | None:
    if not arm.n:
        return None
    figure = new_figure(5.0)
    axes = figure.add_subplot()
    shares = [[cell / max(1, sum(row)) for cell in row] for row in arm.confusion]
    image = axes.imshow(shares, cmap=_scale(), vmin=0, vmax=max(0.5, *(max(row) for row in shares)), aspect="auto")
    _cells(axes, arm.confusion, image.to_rgba(np.asarray(shares)))
    _sides(axes, found.labels, arm.confusion)
    title = f"{literal(arm.arm)}: Q {number(arm.q.value, 'q')}, B {number(arm.b.value, 'b')}"
    axes.set_title(title, loc="left", fontsize=11, weight="bold")
    return Drawn(
        save_figure(figure, path), f"Human strategy against the strategy that {arm.arm} chose", _confused(found, arm)
    )


def _cells(axes: Axes, counts: Sequence[Sequence[int]], colours: Any) -> None:
    for y, row in enumerate(counts):
        for x, cell in enumerate(row):
            colour = "white" if _luminance(colours[y][x]) < _DARK else _INK
            weight = "bold" if x == y else "normal"
            axes.text(x, y, f"{cell:,}", ha="center", va="center", fontsize=8.5, color=colour, weight=weight)


def _luminance(colour: Sequence[float]) -> float:
    """Return how light a colour is, 0 to 1, as WCAG counts contrast."""
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in colour[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _sides(axes: Axes, labels: Sequence[str], counts: Sequence[Sequence[int]]) -> None:
    names = [short(label) for label in labels]
    axes.set_yticks(range(len(names)), [f"{name} ({sum(row):,})" for name, row in zip(names, counts, strict=True)])
    axes.set_xticks(range(len(names) + 1), [*names, "unparsed"], rotation=30, ha="right", rotation_mode="anchor")
    axes.tick_params(length=0, labelsize=9)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("chosen by the arm (colour: share of the row)", fontsize=9)
    axes.set_ylabel("chosen by the human", fontsize=9)


def _confused(found: SupportFindings, arm: SupportArm) -> str:
    columns = [sum(row[place] for row in arm.confusion) for place in range(len(found.labels) + 1)]
    most = max(range(len(columns)), key=columns.__getitem__)
    hits = sum(row[place] for place, row in enumerate(arm.confusion))
    name = (*found.labels, "no strategy that could be read")[most]
    return (
        f"Confusion matrix of {arm.arm}: of {arm.n} answers {hits} are the human's strategy; "
        f"most often chosen is {name}, {columns[most]} times. All counts stand in support.json."
    )


def _scale() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("shares", ["#ffffff", "#7db5ee", "#0a4a88"])


# ---- several in one


def _grid(number: int, height: float) -> tuple[Figure, list[Axes]]:
    """Return a figure of several small ones that share their axes; those left over are empty."""
    across = min(number, _ACROSS)
    down = -(-number // across)
    figure = new_figure(0.9 + height * down)
    places = list(figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).flat)
    for axes in places[number:]:
        axes.set_axis_off()
    for axes in places[max(0, number - across) : number]:  # the lowest of each column, whatever is left over below
        axes.tick_params(labelbottom=True)
    return figure, places[:number]
