"""Metrics of replies: agreement with the packages that define them, and hand-made values."""

from __future__ import annotations

import random
import sys
from typing import Any

import pytest
import sacrebleu
from rouge_score.rouge_scorer import RougeScorer

from emoagents.errors import MissingExtraError, ParameterError
from emoagents.evaluation.metrics import generation
from emoagents.evaluation.metrics.generation import bleu, distinct, meteor, rouge_l, text_scores, words

WORDS = [
    "i",
    "am",
    "so",
    "sorry",
    "to",
    "hear",
    "that",
    "you",
    "feel",
    "this",
    "way",
    "have",
    "tried",
    "talking",
    "about",
    "it",
    "with",
    "them",
    "today",
    "?",
    ".",
    ",",
]


def made(seed: int, number: int = 40) -> tuple[list[str], list[str]]:
    draw = random.Random(seed)

    def text() -> str:
        return " ".join(draw.choices(WORDS, k=draw.randrange(1, 25))).capitalize()

    references = [text() for _ in range(number)]
    replies = [text() if draw.random() < 0.6 else one.replace("hear", "learn") for one in references]
    return replies, references


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("order", [2, 4])
def test_bleu_agrees_with_sacrebleu(seed: int, order: int) -> None:
    replies, references = made(seed)
    theirs = sacrebleu.BLEU(max_ngram_order=order).corpus_score(replies, [references]).score
    assert bleu(replies, references, order=order) == pytest.approx(theirs, abs=1e-6)
    if order == 4:
        assert theirs == pytest.approx(sacrebleu.corpus_bleu(replies, [references]).score, abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_rouge_agrees_with_rouge_score(seed: int) -> None:
    replies, references = made(seed)
    scorer = RougeScorer(["rougeL"])
    each = [scorer.score(target, reply)["rougeL"].fmeasure for reply, target in zip(replies, references, strict=True)]
    assert rouge_l(replies, references) == pytest.approx(100 * sum(each) / len(each), abs=1e-6)


def test_the_same_text_scores_100() -> None:
    same = ["I am sorry to hear that you feel this way."] * 2
    assert bleu(same, same, order=2) == pytest.approx(100)
    assert bleu(same, same, order=4) == pytest.approx(100)
    assert rouge_l(same, same) == pytest.approx(100)


def test_bleu_2_by_hand() -> None:
    """3 of 4 words and 2 of 3 pairs are in the reference, which is as long: sqrt(3/4 * 2/3)."""
    assert bleu(["you feel so sad"], ["you feel so low"], order=2) == pytest.approx(100 * 0.5**0.5)


def test_distinct_by_hand() -> None:
    replies = ["I see. I see.", "I do"]
    assert words(replies[0]) == ["i", "see", ".", "i", "see", "."]
    assert distinct(replies, 1) == pytest.approx(100 * 4 / 8)
    # i-see, see-., .-i, i-see, see-., i-do: four different ones of six, and none from one reply into the next
    assert distinct(replies, 2) == pytest.approx(100 * 4 / 6)
    assert distinct(["hm", ""], 2) == 0


def test_words_keep_apostrophes_and_part_marks() -> None:
    assert words("Don't worry, it’s OK!!") == ["don't", "worry", ",", "it’s", "ok", "!", "!"]


class _Barren:
    """A WordNet without any synonym."""

    @staticmethod
    def synsets(word: str) -> list[Any]:
        return []


def test_meteor_with_a_wordnet_is_nltks(monkeypatch: pytest.MonkeyPatch) -> None:
    from nltk.translate.meteor_score import single_meteor_score

    monkeypatch.setattr(generation, "_wordnet", _Barren)
    reply, target = "I hear that you are feeling low.", "I heard that you feel low."
    theirs = single_meteor_score(words(target), words(reply), wordnet=_Barren())
    found, reason = meteor([reply], [target])
    assert found == pytest.approx(100 * theirs)
    assert 50 < theirs * 100 < 100
    assert reason is None


def test_meteor_without_wordnet_is_none_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generation, "_wordnet", lambda: None)
    found, reason = meteor(["a"], ["a"])
    assert found is None
    assert "WordNet" in str(reason)
    assert text_scores(["a"], ["a"]).meteor_reason == reason


def test_wordnet_is_looked_for_and_never_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    import nltk

    monkeypatch.setattr(nltk.data, "path", [])
    monkeypatch.setattr(nltk, "download", lambda *_, **__: pytest.fail("a download"))
    generation._wordnet.cache_clear()
    assert generation._wordnet() is None
    generation._wordnet.cache_clear()


def test_all_scores_of_some_replies() -> None:
    replies, references = made(9)
    found = text_scores(replies, references)
    assert found.replies == 40
    assert found.bleu_2 > found.bleu_4 > 0
    assert 0 < found.distinct_1 < found.distinct_2 <= 100


def test_no_reply_and_unequal_numbers_are_told() -> None:
    for metric in (rouge_l, meteor, text_scores):
        with pytest.raises(ParameterError, match="no reply"):
            metric([], [])
        with pytest.raises(ParameterError, match="2 replies need as many"):
            metric(["a", "b"], ["a"])
    with pytest.raises(ParameterError, match="no reply"):
        distinct([], 1)


def test_without_the_packages_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("sacrebleu.metrics.bleu", "rouge_score.rouge_scorer", "nltk.translate.meteor_score"):
        monkeypatch.setitem(sys.modules, name, None)
    for metric in (rouge_l, meteor, text_scores):
        with pytest.raises(MissingExtraError, match="support"):
            metric(["a"], ["a"])
    with pytest.raises(MissingExtraError, match="support"):
        bleu(["a"], ["a"], order=2)
