"""Which labels of several a reply names. The reading is ours."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence

from emoagents.evaluation.metrics.score import f1
from emoagents.evaluation.task import Score

__all__ = ["label_f1", "label_sets_equal", "read_labels"]

_LABEL_MARK = re.compile(r"\b(?:answer|emotion|label)(?:s|\(s\))?[\"'*_`\s]*(?:is|are|:|=)", re.I)


def read_labels(reply: str, labels: Sequence[str]) -> tuple[str, ...]:
    """Return the labels that the reply names as whole words, in the order of `labels`; () where it names none.

    After a mark such as "Answer:" or "Emotions:" only what follows the last one counts, if there is a label in it.
    """
    text = unicodedata.normalize("NFKC", reply).casefold()
    return _labels_in(_LABEL_MARK.split(text)[-1], labels) or _labels_in(text, labels)


def _labels_in(text: str, labels: Sequence[str]) -> tuple[str, ...]:
    return tuple(label for label in labels if re.search(rf"(?<![\w-]){re.escape(label.casefold())}(?![\w-])", text))


def label_f1(said: Collection[str], gold: Collection[str]) -> Score:
    """Return the F1 of two sets of labels, of one example (example-based F1); unparsed where nothing was said."""
    value = f1(set(said), set(gold))
    return Score(value=value, parsed=", ".join(said), unparsed=not said)


def label_sets_equal(said: Collection[str], gold: Collection[str]) -> Score:
    """Return 1 where two sets of labels are the same; unparsed where nothing was said."""
    return Score(value=float(bool(said) and set(said) == set(gold)), parsed=", ".join(said), unparsed=not said)
