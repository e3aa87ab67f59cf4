"""Retrieval: texts cut into chunks, ranked against a query, kept in order. Heavy parts load when used."""

from __future__ import annotations

from emoagents.retrieval.chunking import Chunk, chunk_texts
from emoagents.retrieval.corpus import By, Corpus, Hit
from emoagents.retrieval.lexical import Bm25, Bm25Index
from emoagents.retrieval.rankers import Dense, Hybrid, Ranker, best, make_ranker

__all__ = [
    "Bm25",
    "Bm25Index",
    "By",
    "Chunk",
    "Corpus",
    "Dense",
    "Hit",
    "Hybrid",
    "Ranker",
    "best",
    "chunk_texts",
    "make_ranker",
]
