"""The fit itself: views of instances, a regression, a correction for labels' shares. Imported where it is used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it comes with scikit-learn

from emoagents.support.dialogue import Instance, Turn
from emoagents.support.labels import STRATEGIES, SupportStrategy
from emoagents.support.planner.encode import Array, Encoder
from emoagents.support.planner.features import blind

__all__ = ["fit"]

_VIEWS = (0.3, 0.3, 0.2, 0.2)
"""What an instance weighs whole, cut short, whole without strategies, and cut short without strategies."""

_SHORTEST, _LONGEST = 4, 14
"""Turns of a context that is cut short."""

_STRENGTH = 0.3
"""C of the regression: the smaller, the nearer the weights stay to 0."""

_EQUALITY = 0.5
"""How much of the labels' shares is taken out of the choice: 0 nothing, 1 all."""


def fit(
    instances: Sequence[Instance], seed: int, shares: Mapping[SupportStrategy, float]
) -> tuple[Encoder, tuple[SupportStrategy, ...], Array, Array]:
    """Return the encoder, the labels that occur, their weights of shape (labels, columns) and their biases."""
    whole = [one.context for one in instances]
    cut = _cut(whole, Random(seed))
    views = [*whole, *cut, *map(blind, whole), *map(blind, cut)]
    encoder = Encoder.fit(whole, views)
    labels = tuple(name for name in STRATEGIES if any(one.label == name for one in instances))
    weights, bias = _regression(encoder.encode(views), [labels.index(one.label) for one in instances])
    return encoder, labels, weights, bias + _correction(instances, labels, shares)


def _cut(contexts: Sequence[tuple[Turn, ...]], random: Random) -> list[tuple[Turn, ...]]:
    return [context[-random.randint(_SHORTEST, _LONGEST) :] for context in contexts]


def _regression(rows: Any, numbers: Sequence[int]) -> tuple[Array, Array]:
    """Fit rows, which hold each view of all instances after another; return weights and biases of each label."""
    model = LogisticRegression(C=_STRENGTH, max_iter=2000, tol=1e-3)
    labels, importance = np.tile(numbers, len(_VIEWS)), np.repeat(_VIEWS, len(numbers))
    with threadpool_limits(1):  # on a busy machine, threads of BLAS that wait for each other take ten times as long
        model.fit(rows, labels, sample_weight=importance)
    weights, bias = np.asarray(model.coef_, np.float64), np.asarray(model.intercept_, np.float64)
    if len(weights) == 1:  # of two labels, scikit-learn has weights of the second only
        return np.vstack([np.zeros_like(weights), weights]), np.append(0.0, bias)
    return weights, bias


def _correction(
    instances: Sequence[Instance], labels: Sequence[SupportStrategy], shares: Mapping[SupportStrategy, float]
) -> Array:
    """Return what makes of log p(label), fitted to the shares in the instances, log of p'(label) / share ** 0.5.

    p' is p for the shares that are expected, by Bayes' rule.
    """
    counts = Counter(one.label for one in instances)
    trained = np.array([counts[label] / len(instances) for label in labels])
    expected = np.array([shares.get(label, own) for label, own in zip(labels, trained, strict=True)])
    return np.asarray((1 - _EQUALITY) * np.log(expected) - np.log(trained))
