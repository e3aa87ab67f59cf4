"""Instruction Induction's metrics.

Written from the authors' `evaluate.py` (orhonovich/instruction-induction, commit 0aa7ba0), read for this: the order of
the normalisation, the metric of each task, the best score over the references, `set` equality of tokens, and "contains"
as a search for the whole reference between word boundaries. Two things are ours: a reply that is empty after the
normalisation is marked as unparsed, and "contains" escapes the reference (the normalisation leaves nothing in it to
escape).
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterable, Sequence

from emoagents.evaluation.metrics.score import Metric, f1
from emoagents.evaluation.task import Score

__all__ = ["contains", "exact_match", "exact_set", "induction_metric", "normalize_prediction", "token_f1"]

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalize_prediction(prediction: str, lowercase: bool = True) -> str:
    """Return a reply as Instruction Induction compares it: the first sentence of its first line, without punctuation.

    A full stop ends the sentence even within a number or an abbreviation: that is the authors' rule.
    """
    for dropped in (" and ", "Sentence 1:", "Sentence 2:"):
        prediction = prediction.replace(dropped, " ")
    prediction = prediction.strip().split("\n")[0].split(".")[0]
    if lowercase:
        prediction = prediction.lower()
    return prediction.replace("-", " ").translate(_NO_PUNCTUATION)


def exact_match(reply: str, targets: Sequence[str]) -> Score:
    """Return 1 where the normalised reply is one of the normalised references (Instruction Induction's EM)."""
    return _best(reply, targets, lambda said, gold: float(said == gold))


def exact_set(reply: str, targets: Sequence[str]) -> Score:
    """Return 1 where reply and reference have the same set of words (Instruction Induction's exact set)."""
    return _best(reply, targets, lambda said, gold: float(set(said.split()) == set(gold.split())))


def contains(reply: str, targets: Sequence[str]) -> Score:
    """Return 1 where a reference stands in the reply as whole words (Instruction Induction's contains)."""
    return _best(reply, targets, lambda said, gold: float(re.search(rf"\b({re.escape(gold)})\b", said) is not None))


def token_f1(reply: str, targets: Sequence[str]) -> Score:
    """Return the F1 of the words, counted with repetitions (Instruction Induction's F1)."""
    return _best(reply, targets, lambda said, gold: f1(said.split(), gold.split()))


def _best(reply: str, targets: Iterable[str], compare: Callable[[str, str], float]) -> Score:
    said = normalize_prediction(reply)
    value = max((compare(said, normalize_prediction(gold)) for gold in targets), default=0.0)
    return Score(value=value, parsed=said, unparsed=not value and not said.strip())


_INDUCTION: dict[str, tuple[str, Metric]] = {
    "common_concept": ("f1", token_f1),
    "informal_to_formal": ("f1", token_f1),
    "orthography_starts_with": ("exact_set", exact_set),
    "taxonomy_animal": ("exact_set", exact_set),
    "synonyms": ("contains", contains),
}


def induction_metric(task: str) -> tuple[str, Metric]:
    """Return name and function of the metric that the authors use for one of the 24 tasks."""
    return _INDUCTION.get(task, ("exact_match", exact_match))
