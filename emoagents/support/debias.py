"""Dividing a model's own preference out of its choice among the eight strategies. Pure arithmetic on distributions.

Preference bias: Kang et al., ACL 2024. Contextual calibration: Zhao et al., ICML 2021. Their combination with a
strength and with the conversation's stage is ours.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from emoagents.errors import DataError, ParameterError
from emoagents.support.labels import STAGES_OF, STRATEGIES, Stage, SupportStrategy, canonical

__all__ = [
    "LETTERS",
    "Distribution",
    "debiased",
    "distribution_of",
    "from_counts",
    "from_letters",
    "mean",
    "read_preferences",
    "staged",
]

Distribution: TypeAlias = dict[SupportStrategy, float]
"""A probability for each of the eight strategies, in their order; they sum to 1."""

LETTERS = "ABCDEFGH"
"""What stands for the strategies, in their order, where the answer is one token."""

_SMALLEST = 1e-6
"""No probability is below this: it was measured from few tokens or samples, and shall not decide alone."""


def distribution_of(weights: Mapping[Any, float]) -> Distribution:
    """Return weights by strategy (what is missing is 0) as a distribution.

    Raises:
        ParameterError: there is no weight above 0, or one that is no number of at least 0.
    """
    named = {canonical(str(name)): value for name, value in weights.items()} if isinstance(weights, Mapping) else {}
    if None in named or not all(map(_is_weight, named.values())) or not any(named.values()):
        raise ParameterError(f"weights of strategies are numbers of at least 0, and one above 0, not {weights!r:.80}")
    floored = {name: float(named.get(name, 0.0)) for name in STRATEGIES}
    total = sum(floored.values())
    floored = {name: max(value / total, _SMALLEST) for name, value in floored.items()}
    total = sum(floored.values())
    return {name: value / total for name, value in floored.items()}


def from_counts(counts: Mapping[SupportStrategy, int], smoothing: float = 0.5) -> Distribution:
    """Return what samples say, with as much added to each count (0.5: Jeffreys' prior)."""
    return distribution_of({name: counts.get(name, 0) + smoothing for name in STRATEGIES})


def from_letters(top_logprobs: Iterable[Mapping[str, Any]]) -> tuple[Distribution, float]:
    """Return what the alternatives of one token say of the letters, and the probability of all letters together.

    A letter that is not among the alternatives gets what bounds it: the probability of the least likely of them, and
    its part of what they leave.
    """
    found: dict[str, float] = {}
    least, listed = 0.0, 0.0
    for token in top_logprobs:
        logprob = float(token["logprob"])
        least, listed = min(least, logprob), listed + math.exp(logprob)
        letter = str(token["token"]).strip().upper()
        if len(letter) == 1 and letter in LETTERS:
            found[letter] = found.get(letter, 0.0) + math.exp(logprob)
    missing = min(math.exp(least), max(1 - listed, 0.0) / max(len(LETTERS) - len(found), 1))
    weights = {name: found.get(letter, missing) for letter, name in zip(LETTERS, STRATEGIES, strict=True)}
    return distribution_of(weights), sum(found.values())


def mean(distributions: Sequence[Distribution]) -> Distribution:
    """Return the mean of at least one distribution."""
    return distribution_of({name: sum(d[name] for d in distributions) for name in STRATEGIES})


def debiased(chosen: Distribution, preference: Mapping[SupportStrategy, float], strength: float = 1.0) -> Distribution:
    """Return a choice with a preference divided out: p(s) / preference(s) ** strength, scaled to sum 1.

    Args:
        preference: a distribution measured where there is nothing to choose by, or Bradley-Terry preferences.
        strength: 0 leaves the choice as it is, 1 takes the whole preference out.
    """
    weights = {s: chosen[s] / max(preference[s], _SMALLEST) ** strength for s in STRATEGIES}
    return distribution_of(weights)


def staged(chosen: Distribution, stage: Stage | None, strength: float = 0.5) -> Distribution:
    """Return a choice with strategies that are not typical of the stage made less likely, by exp(-strength) (ours)."""
    if stage is None:
        return chosen
    away = math.exp(-strength)
    return distribution_of({s: chosen[s] * (1.0 if stage in STAGES_OF[s] else away) for s in STRATEGIES})


def read_preferences(path: Path) -> Distribution:
    """Return preferences that `emoagents support eval` or `support prior` wrote: {"preferences": {strategy: number}}.

    Raises:
        DataError: the file can't be read, or does not hold a number of at least 0 for each of the eight.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(str(path), 0, f"no preferences: {getattr(error, 'strerror', None) or 'not JSON'}") from None
    raw = found.get("preferences") if isinstance(found, dict) else None
    if not isinstance(raw, dict):
        raise DataError(str(path), 0, 'no preferences: it has no object "preferences"')
    named = {canonical(str(name)) for name in raw}
    for name in STRATEGIES:
        if name not in named:
            raise DataError(str(path), 0, f"no preferences: {name} is missing")
    try:
        return distribution_of(raw)
    except ParameterError as error:
        raise DataError(str(path), 0, f"no preferences: {error}") from None


def _is_weight(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
