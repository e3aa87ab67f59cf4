"""The file of a corpus: SQLite, with vectors in blobs and words in an FTS5 index.

Vectors are read block by block, so a search holds one block of them and not all: it is exact, and takes about a tenth
of a second for 100,000 vectors of 384 numbers. Connections are opened for each piece of work, so any thread may do it.
"""

from __future__ import annotations

import hashlib
import heapq
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoagents.errors import DataError, ParameterError
from emoagents.retrieval.chunking import Chunk
from emoagents.retrieval.lexical import words_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["CorpusFile", "Hit"]

_MARK = 0x656D6F43
"""SQLite's application_id of a corpus, "emoC"."""
_SCHEMA = f"""
PRAGMA page_size = 65536;
PRAGMA journal_mode = WAL;
PRAGMA application_id = {_MARK};
CREATE TABLE setting (name TEXT PRIMARY KEY, value);
CREATE TABLE source (id INTEGER PRIMARY KEY, name TEXT UNIQUE, digest BLOB, complete INTEGER);
CREATE TABLE chunk (id INTEGER PRIMARY KEY, source INTEGER REFERENCES source, start INTEGER, end INTEGER, text TEXT);
CREATE INDEX of_source ON chunk (source);
CREATE TABLE vectors (first INTEGER PRIMARY KEY, data BLOB);
CREATE VIRTUAL TABLE words USING fts5 (text, content='', tokenize="unicode61 remove_diacritics 0");
"""
"""Large pages make the reading of blobs ten times as fast as SQLite's own do."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that a search found.

    Attributes:
        text: the chunk. source: name of the text it is from. start, end: its place there, in characters.
        score: higher is nearer; the cosine, BM25 (as SQLite's FTS5 counts it), or the sum of reciprocal ranks.
    """

    text: str
    source: str
    start: int
    end: int
    score: float


class CorpusFile:
    """What is read from and written to the file; all of it blocks.

    Raises:
        DataError: from every method: the file is damaged, or no corpus.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self, settings: dict[str, Any]) -> None:
        """Make the file; of two who make it at once, one fails."""
        try:
            self.path.open("x").close()
        except FileExistsError:
            raise ParameterError(f"{self.path} exists already: open it with Corpus.open") from None
        except OSError as error:
            raise DataError(str(self.path), 0, f"can't write it: {error.strerror}") from None
        with self._open() as file:
            file.executescript(_SCHEMA)
            file.executemany("INSERT INTO setting VALUES (?, ?)", settings.items())

    def settings(self) -> dict[str, Any]:
        """Return all settings, after looking whether this is a corpus."""
        if not self.path.is_file():
            raise DataError(str(self.path), 0, "there is no such file: make it with Corpus.create")
        with self._open() as file:
            if file.execute("PRAGMA application_id").fetchone() != (_MARK,):
                raise DataError(str(self.path), 0, "it is no corpus of emoagents")
            return dict(file.execute("SELECT name, value FROM setting"))

    def count(self) -> int:
        """Return the number of chunks."""
        with self._open() as file:
            return int(file.execute("SELECT count(*) FROM chunk").fetchone()[0])

    def source(self, name: str, text: str) -> tuple[int, int | None]:
        """Return the number of a source, a new one if need be, and how many of its chunks are there; None: all.

        Raises:
            ParameterError: another text has this name.
        """
        digest = hashlib.sha256(text.encode()).digest()
        with self._open() as file:
            file.execute("INSERT OR IGNORE INTO source (name, digest, complete) VALUES (?, ?, 0)", (name, digest))
            found = file.execute("SELECT id, digest, complete FROM source WHERE name = ?", (name,)).fetchone()
            if found[1] != digest:
                raise ParameterError(f"{self.path} has another text as {name!r}: give this one a name of its own")
            there = file.execute("SELECT count(*) FROM chunk WHERE source = ?", found[:1]).fetchone()[0]
            return found[0], None if found[2] else there

    def write(
        self,
        batch: Sequence[tuple[int, Chunk]],
        complete: Sequence[int],
        vectors: NDArray[np.float32],
        settings: dict[str, Any],
    ) -> None:
        """Add chunks, each with the number of its source, and their vectors, and note complete sources: all or none."""
        with self._open() as file:
            file.execute("BEGIN IMMEDIATE")
            file.executemany("INSERT OR IGNORE INTO setting VALUES (?, ?)", settings.items())
            first = file.execute("SELECT coalesce(max(id), 0) + 1 FROM chunk").fetchone()[0]
            rows = [(i, source, c.start, c.end, c.text) for i, (source, c) in enumerate(batch, start=first)]
            file.executemany("INSERT INTO chunk VALUES (?, ?, ?, ?, ?)", rows)
            words = ((row[0], " ".join(words_of(row[4]))) for row in rows)
            file.executemany("INSERT INTO words (rowid, text) VALUES (?, ?)", words)
            file.execute("INSERT INTO vectors VALUES (?, ?)", (first, vectors.tobytes()))
            file.executemany("UPDATE source SET complete = 1 WHERE id = ?", [(one,) for one in complete])

    def nearest(self, vector: NDArray[np.float32], keep: int) -> dict[int, float]:
        """Return the chunks with the highest cosine, the best first."""
        import numpy as np

        found: list[tuple[float, int]] = []
        with self._open() as file:
            for first, data in file.execute("SELECT first, data FROM vectors"):
                scores = np.frombuffer(data, dtype=np.float32).reshape(-1, len(vector)) @ vector
                top = np.argpartition(-scores, keep)[:keep] if keep < len(scores) else range(len(scores))
                found = heapq.nsmallest(keep, [*found, *((-float(scores[i]), first + int(i)) for i in top)])
        return {chunk: -score for score, chunk in found}

    def matching(self, query: str, keep: int) -> dict[int, float]:
        """Return the chunks with the highest BM25, the best first."""
        wanted = " OR ".join(f'"{word}"' for word in dict.fromkeys(words_of(query)))
        if not wanted:
            return {}
        select = "SELECT rowid, -rank FROM words WHERE words MATCH ? ORDER BY rank, rowid LIMIT ?"
        with self._open() as file:
            return dict(file.execute(select, (wanted, keep)))

    def hits(self, scores: Sequence[tuple[int, float]]) -> list[Hit]:
        """Return what the chunks of these numbers are."""
        select = "SELECT text, name, start, end FROM chunk JOIN source ON source.id = chunk.source WHERE chunk.id = ?"
        with self._open() as file:
            rows = [(*file.execute(select, (chunk,)).fetchone(), score) for chunk, score in scores]
        return [Hit(*row) for row in rows]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Open a transaction."""
        try:
            with closing(sqlite3.connect(self.path, timeout=60)) as file, file:
                yield file
        except (sqlite3.DatabaseError, ValueError, TypeError) as error:
            if isinstance(error, ParameterError | DataError):
                raise
            raise DataError(str(self.path), 0, f"it is damaged, or no corpus of emoagents ({error})") from None
