"""From conversations to numbers: TF-IDF of texts beside the features of structure. Imported only where it is used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from emoagents.support.dialogue import Turn
from emoagents.support.planner.features import BLOCKS, structure, texts

__all__ = ["Array", "Encoder", "Vocabulary"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Vocabulary:
    """The terms of one text, and how much each weighs.

    Attributes:
        terms: in the order of the columns. idf: shape (terms,).
    """

    terms: tuple[str, ...]
    idf: Array


@dataclass(frozen=True)
class Encoder:
    """Turns conversations into rows of a matrix.

    It is made of plain strings and arrays, and builds scikit-learn's objects from them, the same ones after training as
    after loading: so a file of it needs none of scikit-learn's own classes, and fits any version.

    Attributes:
        vocabularies: of each text in `BLOCKS`. names: of the features of structure.
    """

    vocabularies: Mapping[str, Vocabulary]
    names: tuple[str, ...]

    @classmethod
    def fit(cls, conversations: Sequence[Sequence[Turn]], more: Iterable[Sequence[Turn]]) -> Encoder:
        """Return an encoder of the words of conversations, and of the structure of both them and `more`."""
        said = [texts(turns) for turns in conversations]
        names = sorted({name for turns in (*conversations, *more) for name in structure(turns)})
        return cls({name: _vocabulary([each[name] for each in said], name) for name in BLOCKS}, tuple(names))

    @property
    def width(self) -> int:
        """Columns of the matrix."""
        return sum(len(each.terms) for each in self.vocabularies.values()) + len(self.names)

    def encode(self, conversations: Sequence[Sequence[Turn]]) -> Any:
        """Return a sparse matrix (CSR) of shape (conversations, width)."""
        said = [texts(turns) for turns in conversations]
        blocks = [each.transform([one[name] for one in said]) for name, each in self._vectorizers.items()]
        return sparse.hstack([*blocks, sparse.csr_matrix(self._structures(conversations))]).tocsr()

    def _structures(self, conversations: Sequence[Sequence[Turn]]) -> Array:
        places = {name: place for place, name in enumerate(self.names)}
        found = np.zeros((len(conversations), len(self.names)))
        for row, turns in enumerate(conversations):
            for name, value in structure(turns).items():
                if name in places:
                    found[row, places[name]] = value
        return found

    @cached_property
    def _vectorizers(self) -> dict[str, Any]:
        return {name: _vectorizer(name, each) for name, each in self.vocabularies.items() if each.terms}


def _settings(block: str) -> dict[str, Any]:
    return {"sublinear_tf": True, "ngram_range": BLOCKS[block]}


def _vocabulary(said: Sequence[str], block: str) -> Vocabulary:
    try:
        vectorizer = TfidfVectorizer(min_df=2, **_settings(block)).fit(said)
    except ValueError:  # no term is in two texts
        return Vocabulary((), np.zeros(0))
    return Vocabulary(tuple(map(str, vectorizer.get_feature_names_out())), np.asarray(vectorizer.idf_, np.float64))


def _vectorizer(block: str, vocabulary: Vocabulary) -> Any:
    vectorizer = TfidfVectorizer(vocabulary=list(vocabulary.terms), **_settings(block))
    vectorizer.idf_ = vocabulary.idf
    return vectorizer
