"""Training a planner: seconds on one core, from a file of the user's own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib.metadata import version

from emoagents.errors import MissingExtraError, ParameterError
from emoagents.support.dialogue import Instance
from emoagents.support.labels import STRATEGIES, SupportStrategy
from emoagents.support.planner.facts import PlannerFacts
from emoagents.support.planner.trained import TrainedPlanner

__all__ = ["enough", "train"]

_INSTANCES, _DIALOGUES, _LABELS = 16, 2, 2
"""The least that a planner is trained on."""


def train(
    instances: Sequence[Instance],
    *,
    seed: int = 0,
    shares: Mapping[SupportStrategy, float] | None = None,
    validated: bool = True,
) -> TrainedPlanner:
    """Return a planner trained on instances: the same one for the same instances and seed.

    It reads words (TF-IDF) and structure, see `features`; the model is a multinomial logistic regression. Each instance
    is shown four times: whole and cut to its last 4 to 14 turns, both with the earlier strategies and without. So the
    planner holds for short conversations, and where strategies are not known.

    Its choice is the argmax of p(strategy) / share(strategy) ** 0.5. That lies between the most likely strategy (best
    accuracy, but rare strategies are hardly ever chosen) and the most likely one if all were equally frequent; in
    cross-validation it was near the best for macro-F1 and for preference bias.

    Args:
        seed: of the cuts, and of the folds of the validation.
        shares: how often each label is expected (above 0) where the planner will be used, if other than in the
            instances: at most 5 % are `Others` in the paper's sampling, 18 % in whole dialogues. Those that are left
            out keep their share.
        validated: also measure it in cross-validation over dialogues, which takes as long again; nothing is measured
            where half of the dialogues are too few to train on.

    Raises:
        ParameterError: there are fewer than 16 instances, 2 dialogues or 2 different labels, or a share is not above
            0. A label that no instance has is no error: its probability is 0.
        MissingExtraError: scikit-learn is not installed.
    """
    if not enough(instances):
        raise ParameterError(_too_few(instances))
    _check(shares or {})
    try:
        from emoagents.support.planner.fit import fit
    except ImportError:
        raise MissingExtraError("support", "a planner") from None
    from emoagents.support.planner.validate import validate

    encoder, labels, weights, bias = fit(instances, seed, shares or {})
    facts = PlannerFacts(
        emoagents=version("emoagents"),
        sklearn=version("scikit-learn"),
        seed=seed,
        instances=len(instances),
        dialogues=len(_dialogues(instances)),
        labels=labels,
        validation=validate(instances, seed) if validated else None,
    )
    return TrainedPlanner(facts, encoder, weights, bias)


def enough(instances: Sequence[Instance]) -> bool:
    """Return whether a planner can be trained on these instances."""
    labels = {one.label for one in instances}
    return len(instances) >= _INSTANCES and len(_dialogues(instances)) >= _DIALOGUES and len(labels) >= _LABELS


def _dialogues(instances: Sequence[Instance]) -> set[str]:
    return {one.dialogue for one in instances}


def _too_few(instances: Sequence[Instance]) -> str:
    labels = {one.label for one in instances}
    return (
        f"a planner needs at least {_INSTANCES} instances of {_DIALOGUES} dialogues with {_LABELS} different "
        f"strategies; there are {len(instances)} of {len(_dialogues(instances))} with {len(labels)}"
    )


def _check(shares: Mapping[SupportStrategy, float]) -> None:
    for label, share in shares.items():
        if label not in STRATEGIES or not (0 < share < math.inf):
            raise ParameterError(f"a share is a number above 0 of one of the eight strategies, not {label}: {share}")
