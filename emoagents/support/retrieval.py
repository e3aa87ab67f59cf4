"""Example dialogues for a prompt: drawn at random, or those most like the conversation (TF-IDF).

Kang et al. (ACL 2024) put n = 4 examples before each choice, drawn at random for each instance, of strategies that do
not overlap. Choosing by likeness is ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache, cached_property
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from emoagents.card import cards_dir
from emoagents.errors import DataError, MissingExtraError, ParameterError
from emoagents.support.dialogue import Instance, Turn

__all__ = ["Examples", "read_examples", "shipped_examples"]

_NEAR = 0.9
"""Cosine from which two contexts count as the same text."""

_TELLING = 8
"""Words from which an utterance that two dialogues share shows that they are the same one."""


_WORD = r"(?u)\w+|\S"
"""A word; single characters are words too, so that no text is without any and the vocabulary is never empty."""


class Examples:
    """Instances that examples are taken from.

    Examples of one call have different strategies while there are strategies left (eight at most), then each strategy
    comes once more, and so on. They come from different dialogues as far as that allows. Where there are too few
    instances, all of them come.

    Raises:
        ParameterError: there are no instances.
    """

    def __init__(self, instances: Iterable[Instance]) -> None:
        self.instances = tuple(instances)
        if not self.instances:
            raise ParameterError("there are no examples to draw from")

    def random(self, n: int, key: str, seed: int = 0, *, exclude_dialogue: str | None = None) -> list[Instance]:
        """Return n examples at random: the same for the same key and seed.

        Args:
            key: what the examples are drawn for, as the id of an instance or its text.
            exclude_dialogue: id of a dialogue that none may come from.
        """
        found = [one for one in self.instances if one.dialogue != exclude_dialogue]
        Random(f"{seed}:{key}").shuffle(found)
        return _apart(found, n)

    def similar(self, turns: Sequence[Turn], n: int, *, exclude_dialogue: str | None = None) -> list[Instance]:
        """Return the n examples whose contexts are most like these turns, the most like first.

        Left out are `exclude_dialogue`, dialogues that share a long utterance with the turns, and contexts that are
        almost the same text: they would show what really followed.

        Raises:
            MissingExtraError: scikit-learn is not installed.
        """
        likeness = self._index.likeness(turns)
        same = {exclude_dialogue, *self._sharing(turns)}
        order = sorted(range(len(self.instances)), key=lambda place: (-likeness[place], place))
        fitting = (p for p in order if likeness[p] < _NEAR and self.instances[p].dialogue not in same)
        return _apart([self.instances[place] for place in fitting], n)

    @cached_property
    def _index(self) -> _Index:
        return _Index([one.context for one in self.instances])

    @cached_property
    def _said_in(self) -> dict[str, set[str]]:
        """Ids of the dialogues in which a long utterance was made."""
        found: dict[str, set[str]] = {}
        for one in self.instances:
            for text in _telling([*one.context, one.response]):
                found.setdefault(text, set()).add(one.dialogue)
        return found

    def _sharing(self, turns: Sequence[Turn]) -> set[str]:
        return set().union(*(self._said_in.get(text, ()) for text in _telling(turns)))


class _Index:
    """TF-IDF vectors of contexts."""

    def __init__(self, contexts: Sequence[Sequence[Turn]]) -> None:
        try:
            from sklearn.feature_extraction.text import TfidfVectorizer
        except ImportError:
            raise MissingExtraError("support", "choosing similar examples") from None
        self._vectorizer = TfidfVectorizer(sublinear_tf=True, token_pattern=_WORD)
        self._vectors: Any = self._vectorizer.fit_transform(map(_text, contexts)) if any(map(_text, contexts)) else None
        self._size = len(contexts)

    def likeness(self, turns: Sequence[Turn]) -> list[float]:
        """Return the cosine of these turns with each context."""
        if self._vectors is None:
            return [0.0] * self._size
        found = self._vectors @ self._vectorizer.transform([_text(turns)]).T
        return [float(value) for value in found.toarray().ravel()]


def _text(turns: Sequence[Turn]) -> str:
    return " ".join(turn.text for turn in turns).strip()


def _telling(turns: Iterable[Turn]) -> set[str]:
    words = [re.findall(r"\w+", turn.text.casefold()) for turn in turns]
    return {" ".join(each) for each in words if len(each) >= _TELLING}


def _apart(ranked: Sequence[Instance], n: int) -> list[Instance]:
    """Return the first n that go together, see `Examples`."""
    if n < 0:
        raise ParameterError(f"{n} examples can't be drawn")
    left, chosen = list(ranked), list[Instance]()
    while left and len(chosen) < n:
        taken = _round(left, {one.dialogue for one in chosen})
        chosen += taken
        ids = set(map(id, taken))
        left = [one for one in left if id(one) not in ids]
    return list(islice(chosen, n))


def _round(ranked: Sequence[Instance], dialogues: set[str]) -> list[Instance]:
    """Return one instance of each strategy, as far as possible of dialogues that had none."""
    taken: dict[str, Instance] = {}
    for one in ranked:
        if one.label not in taken and one.dialogue not in dialogues:
            taken[one.label] = one
            dialogues.add(one.dialogue)
    for one in ranked:
        taken.setdefault(one.label, one)
    return list(taken.values())


def read_examples(path: Path) -> Examples:
    """Return every labelled decision of a supporter in a file of dialogues as examples.

    Raises:
        DataError: the file can't be read, or has no supporter's turn with a strategy and five turns before it.
    """
    from emoagents.support.instances import make_instances
    from emoagents.support.load import read_dialogues

    found = make_instances(read_dialogues(path), sampling="all")
    if not found:
        raise DataError(str(path), 0, "no supporter's turn here has a strategy and at least five turns before it")
    return Examples(found)


@cache
def shipped_examples() -> Examples:
    """Return the self-written examples that come with emoagents."""
    return read_examples(cards_dir() / "support" / "miniature.json")
