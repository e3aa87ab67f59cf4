"""The F1 of words that question answering is scored by, as in LongEmotion's QA (Liu et al., arXiv 2509.07403)."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

from emoagents.evaluation.metrics.score import f1
from emoagents.evaluation.task import Score
from emoagents.model.structured import without_thoughts

__all__ = ["answer_words", "qa_f1"]

_ARTICLES = frozenset({"a", "an", "the"})
_PUNCTUATION = re.compile(f"[{re.escape(string.punctuation)}]")


def answer_words(text: str) -> list[str]:
    """Return the words that are compared: lower case, punctuation (of ASCII) as blanks, without a, an, the."""
    return [word for word in _PUNCTUATION.sub(" ", text.lower()).split() if word not in _ARTICLES]


def qa_f1(reply: str, targets: Sequence[str]) -> Score:
    """Return the best F1 of the words of reply and reference, counted with repetitions; unparsed without any word.

    What stands before a last `</think>` is the model's reasoning and no part of its answer.
    """
    said = answer_words(without_thoughts(reply))
    value = max((f1(said, answer_words(gold)) for gold in targets), default=0.0)
    return Score(value=value, parsed=" ".join(said), unparsed=not said)
