"""What each arm chose, as rows of plain data."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan

import numpy as np
import numpy.typing as npt

from emoagents.errors import MissingExtraError
from emoagents.evaluation.metrics.classification import Array, label_f1
from emoagents.evaluation.metrics.generation import TextScores, text_scores
from emoagents.evaluation.metrics.preference import preferences
from emoagents.evaluation.support.choices import FAILED, UNPARSED, Attempt, Choices, Codes
from emoagents.evaluation.support.findings import METRICS, Estimate, SupportArm
from emoagents.evaluation.support.measures import SHAPE, measure, tabulate
from emoagents.evaluation.support.resampling import bootstrap, percentiles
from emoagents.support.labels import STAGES, STRATEGIES

__all__ = ["arm_row", "mix"]


def arm_row(choices: Choices, arm: int, times: Array | None, alpha: float) -> SupportArm:
    """Return what one arm chose.

    Args:
        arm: its number. times: the resamples' dialogues; None: too few for intervals.
    """
    answered = choices.answered[arm]
    said, table = choices.said[arm][answered], tabulate(choices, arm, answered)
    counts = table.sum(axis=0).reshape(SHAPE)
    found = _estimates(measure(counts), None if times is None else bootstrap(table, times), alpha)
    whole = counts.sum(axis=0)
    return SupportArm(
        arm=choices.arms[arm],
        n=len(said),
        dialogues=len(set(choices.dialogue[answered].tolist())),
        **{name: found[name] for name in ("q", "b", "accuracy")},
        stages={stage: found[stage] for stage in STAGES if found[stage].value is not None},
        label_f1=_named(label_f1(whole)),
        preferences=_named(preferences(whole[:, :-1])) if whole[:, :-1].any() else {},
        **_shares(choices.said[arm]),
        **_costs([one for one in choices.attempts[arm].values() if one.code != FAILED]),
        text=_text(choices, arm),
        confusion=tuple(tuple(map(int, row)) for row in whole),
        mix=mix(choices, choices.said[arm], answered),
    )


def mix(choices: Choices, said: Codes, where: npt.NDArray[np.bool_]) -> dict[str, dict[str, float]]:
    """Return the share of each strategy among the choices that name one, in each part of the conversations."""
    named = where & (said < UNPARSED)
    found: dict[str, dict[str, float]] = {}
    for place, name in enumerate(choices.bins):
        here = np.bincount(said[named & (choices.progress == place)], minlength=len(STRATEGIES))
        if name and here.sum():
            found[name] = _named(here / here.sum())
    return found


def _estimates(values: Array, resampled: Array | None, alpha: float) -> dict[str, Estimate]:
    empty = np.full(len(values), np.nan)
    low, high = (empty, empty) if resampled is None else percentiles(resampled, alpha)
    ends = zip(METRICS, values, low, high, strict=True)
    return {metric: Estimate(value=_known(v), low=_known(a), high=_known(b)) for metric, v, a, b in ends}


def _known(value: float) -> float | None:
    return None if isnan(value) else float(value)


def _named(values: Array) -> dict[str, float]:
    return dict(zip(STRATEGIES, map(float, values), strict=True))


def _shares(said: Codes) -> dict[str, float]:
    unparsed, failed = int((said == UNPARSED).sum()), int((said == FAILED).sum())
    attempts = max(1, int((said <= FAILED).sum()))
    shares = {"unparsed_share": unparsed / attempts, "failed_share": failed / attempts}
    return {"unparsed": unparsed, "failed": failed, **shares}


def _costs(attempts: Sequence[Attempt]) -> dict[str, float | None]:
    n = max(1, len(attempts))
    prices = [one.usd for one in attempts if one.usd is not None]
    return {
        "answers": sum(one.answers for one in attempts) / n,
        "tokens": sum(one.tokens for one in attempts) / n,
        "usd": sum(prices) / n if prices and len(prices) == len(attempts) else None,
        "seconds": sum(one.seconds for one in attempts) / n,
    }


def _text(choices: Choices, arm: int) -> TextScores | None:
    """Return the metrics of the replies that have a human one; None without any, or without the extra."""
    own = sorted((place, one.reply) for place, one in choices.attempts[arm].items() if one.reply)
    pairs = [(reply, choices.references[place]) for place, reply in own if choices.references[place]]
    try:
        return text_scores([reply for reply, _ in pairs], [target for _, target in pairs]) if pairs else None
    except MissingExtraError:
        return None
