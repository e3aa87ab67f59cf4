"""How close replies come to human ones, and how varied they are. Everything is on a scale of 0 to 100.

-   BLEU-2, BLEU-4: sacrebleu's corpus BLEU of at most 2 or 4 words in a row; its own tokenisation ("13a"), letters as
    they are, exponential smoothing.
-   ROUGE-L: the mean of rouge-score's F-measure of each reply, by its own tokenisation (lower case, letters and
    digits), without stemming.
-   METEOR: the mean of nltk's scores (alpha 0.9, beta 3, gamma 0.5), by the words of `words`. It needs WordNet, which
    is taken where nltk finds it on this machine and never fetched.
-   Distinct-1, Distinct-2: different runs of 1 or 2 `words` over all of them in all replies together (Li et al., 2016);
    no run goes over the end of a reply. More replies have fewer different ones: compare equally many.

Published figures rest on other tokenisers; compare numbers that were made the same way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict

from emoagents.errors import MissingExtraError, ParameterError

__all__ = ["TextScores", "bleu", "distinct", "meteor", "rouge_l", "text_scores", "words"]

NO_WORDNET = "METEOR needs WordNet, which nltk does not find on this machine (nothing is downloaded)"

_WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")


class TextScores(BaseModel):
    """All metrics of some replies, 0 to 100. `meteor` is None for the reason that `meteor_reason` gives."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    replies: int
    bleu_2: float
    bleu_4: float
    rouge_l: float
    meteor: float | None
    meteor_reason: str | None = None
    distinct_1: float
    distinct_2: float


def text_scores(replies: Sequence[str], references: Sequence[str]) -> TextScores:
    """Return all metrics of some replies.

    Raises:
        ParameterError: there is no reply, or not as many references as replies.
        MissingExtraError: the extra "support" is not installed.
    """
    found, reason = meteor(replies, references)
    return TextScores(
        replies=len(replies),
        bleu_2=bleu(replies, references, order=2),
        bleu_4=bleu(replies, references, order=4),
        rouge_l=rouge_l(replies, references),
        meteor=found,
        meteor_reason=reason,
        distinct_1=distinct(replies, 1),
        distinct_2=distinct(replies, 2),
    )


def bleu(replies: Sequence[str], references: Sequence[str], *, order: int) -> float:
    """Return the corpus BLEU of some replies, each with one reference. Raises as `text_scores` does."""
    _check(replies, references)
    try:
        from sacrebleu.metrics.bleu import BLEU
    except ImportError:
        raise MissingExtraError("support", "BLEU") from None
    metric = BLEU(max_ngram_order=order, tokenize="13a", smooth_method="exp")
    return float(metric.corpus_score(list(replies), [list(references)]).score)


def rouge_l(replies: Sequence[str], references: Sequence[str]) -> float:
    """Return the mean ROUGE-L of some replies, each with one reference. Raises as `text_scores` does."""
    _check(replies, references)
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError:
        raise MissingExtraError("support", "ROUGE-L") from None
    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    pairs = zip(replies, references, strict=True)
    return 100 * _mean([scorer.score(target, reply)["rougeL"].fmeasure for reply, target in pairs])


def meteor(replies: Sequence[str], references: Sequence[str]) -> tuple[float | None, str | None]:
    """Return the mean METEOR of some replies and None, or None and why there is none. Raises as `text_scores` does."""
    _check(replies, references)
    try:
        from nltk.translate.meteor_score import single_meteor_score
    except ImportError:
        raise MissingExtraError("support", "METEOR") from None
    if (wordnet := _wordnet()) is None:
        return None, NO_WORDNET
    pairs = zip(replies, references, strict=True)
    scores = [single_meteor_score(words(target), words(reply), wordnet=wordnet) for reply, target in pairs]
    return 100 * _mean(scores), None


def distinct(replies: Sequence[str], n: int) -> float:
    """Return the share of different runs of n words among all of them; 0 where no reply has n words.

    Raises:
        ParameterError: there is no reply.
    """
    _check(replies, replies)
    runs = [run for reply in replies for run in _runs(words(reply), n)]
    return 100 * len(set(runs)) / len(runs) if runs else 0.0


def words(text: str) -> list[str]:
    """Return a text's words and marks in lower case; a word may hold apostrophes, as in "don't"."""
    return _WORD.findall(text.casefold())


def _runs(found: Sequence[str], n: int) -> Iterator[tuple[str, ...]]:
    return (tuple(found[start : start + n]) for start in range(len(found) - n + 1))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _check(replies: Sequence[str], references: Sequence[str]) -> None:
    if not replies:
        raise ParameterError("there is no reply to score")
    if len(replies) != len(references):
        raise ParameterError(f"{len(replies)} replies need as many references, not {len(references)}")


@cache
def _wordnet() -> Any:
    """Return nltk's WordNet where its data is on this machine, else None."""
    from nltk.corpus import wordnet

    try:
        wordnet.ensure_loaded()
    except (LookupError, OSError):
        return None
    return wordnet
