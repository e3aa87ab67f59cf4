"""How good planners are on dialogues that they have not seen. Imported where it is used."""

from __future__ import annotations

from collections.abc import Sequence

from emoagents.evaluation.metrics.classification import accuracy, confusion, macro_f1
from emoagents.evaluation.metrics.preference import bradley_terry, preference_bias
from emoagents.support.dialogue import Instance
from emoagents.support.labels import STRATEGIES, SupportStrategy
from emoagents.support.planner.baselines import MajorityPlanner, UniformPlanner
from emoagents.support.planner.facts import Scores, Validation
from emoagents.support.planner.features import blind
from emoagents.support.planner.folds import split_dialogues
from emoagents.support.planner.protocol import choice
from emoagents.support.planner.train import enough, train

__all__ = ["score", "validate"]


def validate(instances: Sequence[Instance], seed: int = 0, folds: int = 2) -> Validation | None:
    """Return the scores of cross-validation over dialogues; None where the data are too few for it.

    What is said of all held-out instances is pooled and scored once.
    """
    if len({one.dialogue for one in instances}) < folds:
        return None
    fold_of = split_dialogues(instances, folds, seed)
    said: dict[str, list[SupportStrategy]] = {"planner": [], "unknown": [], "uniform": []}
    truth: list[SupportStrategy] = []
    for fold in range(folds):
        known = [one for one in instances if fold_of[one.dialogue] != fold]
        if not enough(known):
            return None
        held_out = [one for one in instances if fold_of[one.dialogue] == fold]
        truth += [one.label for one in held_out]
        for name, choices in _said(known, held_out, seed).items():
            said[name] += choices
    said["majority"] = [MajorityPlanner.of(instances).strategy] * len(truth)
    scores = {name: score(truth, choices) for name, choices in said.items()}
    return Validation(instances=len(instances), dialogues=len(fold_of), folds=folds, **scores)


def _said(known: Sequence[Instance], held_out: Sequence[Instance], seed: int) -> dict[str, list[SupportStrategy]]:
    """Return what a planner trained on some instances says of others, and what chance says."""
    planner = train(known, seed=seed, validated=False)
    uniform = UniformPlanner(seed)
    contexts = [one.context for one in held_out]
    return {
        "planner": [choice(found) for found in planner.distributions(contexts)],
        "unknown": [choice(found) for found in planner.distributions([blind(turns) for turns in contexts])],
        "uniform": [choice(uniform.distribution(turns)) for turns in contexts],
    }


def score(truth: Sequence[SupportStrategy], said: Sequence[SupportStrategy]) -> Scores:
    """Return the scores of what was said where something else, or the same, was true; at least one of each."""
    counts = confusion(truth, said, STRATEGIES)
    preferences = bradley_terry(truth, said, STRATEGIES)
    return Scores(
        macro_f1=float(macro_f1(counts)),
        accuracy=float(accuracy(counts)),
        bias=preference_bias(list(preferences.values())),
    )
