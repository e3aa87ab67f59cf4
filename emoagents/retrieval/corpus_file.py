"""The file of a corpus: SQLite, with vectors in a table of sqlite-vec and words in an FTS5 index.

SQLite comes with apsw, because Python's own `sqlite3` loads no extensions in many builds. A search is exact: sqlite-vec
reads all vectors, a block of them at a time. A connection is opened for each piece of work, so any thread may do it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from emoagents.errors import DataError, MissingExtraError, ParameterError, RunError
from emoagents.retrieval.chunking import Chunk
from emoagents.retrieval.lexical import words_of

if TYPE_CHECKING:
    import apsw
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["MOST_NUMBERS", "CorpusFile", "Hit", "Source"]

_MARK = 0x656D6F43
"""SQLite's application_id of a corpus, "emoC"."""
_SCHEMA = f"""
PRAGMA application_id = {_MARK};
CREATE TABLE setting (name TEXT PRIMARY KEY, value);
CREATE TABLE source (id INTEGER PRIMARY KEY, name TEXT UNIQUE, digest BLOB, complete INTEGER);
CREATE TABLE chunk (id INTEGER PRIMARY KEY, source INTEGER REFERENCES source, start INTEGER, end INTEGER, text TEXT);
CREATE INDEX of_source ON chunk (source);
CREATE VIRTUAL TABLE words USING fts5 (text, content='', tokenize="unicode61 remove_diacritics 0");
"""
"""The table of vectors follows with the first of them, which says how long they are."""
_SETTINGS = {"size", "overlap", "tokenizer", "role"}
_NEAREST = "SELECT rowid, 1 - distance FROM vectors WHERE data MATCH ? AND k = ? ORDER BY distance"
_NEAREST_OF_ALL = """
SELECT rowid, 1 - distance FROM (SELECT rowid, vec_distance_cosine(data, ?) AS distance FROM vectors)
ORDER BY distance, rowid LIMIT ?
"""
_MOST_NEAREST = 4096
"""What sqlite-vec finds in one search; for more, all are read row by row and sorted."""
MOST_NUMBERS = 8192
"""The longest vector that sqlite-vec holds."""
_PATIENCE = 60_000
"""Milliseconds to wait while another process writes."""


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


class Source(NamedTuple):
    """A text that chunks are from: its name, which is its alone, and the hash of what it says."""

    name: str
    digest: bytes

    @classmethod
    def of(cls, name: str, text: str) -> Source:
        return cls(name, hashlib.sha256(text.encode()).digest())


class CorpusFile:
    """What is read from and written to the file; all of it blocks.

    Raises:
        MissingExtraError: from every method: apsw or sqlite-vec is not installed.
        DataError: from every method: the file is damaged, or no corpus, or can't be read or written.
        RunError: from every method: another process has been writing for a minute.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self, settings: dict[str, Any]) -> None:
        """Make the file; of two who make it at once, one fails."""
        require_store()
        try:
            self.path.open("x").close()
        except FileExistsError:
            raise ParameterError(f"{self.path} exists already: open it with Corpus.open") from None
        except OSError as error:
            raise DataError(str(self.path), 0, f"can't write it: {error.strerror}") from None
        with self._open() as file:
            # a block of vectors is a megabyte and more: from SQLite's small pages, going row by row takes twice as long
            file.execute("PRAGMA page_size = 65536; PRAGMA journal_mode = WAL")
        with self._writing() as file:
            file.execute(_SCHEMA)
            file.executemany("INSERT INTO setting VALUES (?, ?)", settings.items())

    def settings(self) -> dict[str, Any]:
        """Return all settings, after looking whether this is a corpus."""
        if not self.path.is_file():
            raise DataError(str(self.path), 0, "there is no such file: make it with Corpus.create")
        with self._open() as file:
            if file.execute("PRAGMA application_id").get != _MARK:
                raise DataError(str(self.path), 0, "it is no corpus of emoagents")
            found: dict[str, Any] = dict(file.execute("SELECT name, value FROM setting"))
        if not found.keys() >= _SETTINGS:
            raise DataError(str(self.path), 0, "it is damaged (a setting is missing)")
        return found

    def count(self) -> int:
        """Return the number of chunks."""
        with self._open() as file:
            return int(file.execute("SELECT count(*) FROM chunk").get)

    def there(self, source: Source) -> int | None:
        """Return how many chunks of a source are there; None: all.

        Raises:
            ParameterError: another text has its name.
        """
        select = """
            SELECT digest, complete, (SELECT count(*) FROM chunk WHERE source = source.id) FROM source WHERE name = ?
        """
        with self._open() as file:
            digest, complete, count = file.execute(select, (source.name,)).get or (source.digest, 0, 0)
        if digest != source.digest:
            raise ParameterError(f"{self.path} has another text as {source.name!r}: give this one a name of its own")
        return None if complete else count

    def write(
        self,
        batch: Sequence[tuple[Source, Chunk]],
        complete: Sequence[Source],
        vectors: NDArray[np.float32],
        settings: dict[str, Any],
    ) -> None:
        """Add chunks, each with its source, and their vectors, and note complete sources: all or none."""
        with self._writing() as file:
            file.executemany("INSERT OR IGNORE INTO setting VALUES (?, ?)", settings.items())
            first = file.execute("SELECT coalesce(max(id), 0) + 1 FROM chunk").get
            numbers = _numbered(file, dict.fromkeys(source for source, _ in batch))
            rows = [(i, numbers[source], c.start, c.end, c.text) for i, (source, c) in enumerate(batch, start=first)]
            file.executemany("INSERT INTO chunk VALUES (?, ?, ?, ?, ?)", rows)
            words = ((row[0], " ".join(words_of(row[4]))) for row in rows)
            file.executemany("INSERT INTO words (rowid, text) VALUES (?, ?)", words)
            file.execute(
                "CREATE VIRTUAL TABLE IF NOT EXISTS vectors"
                f" USING vec0 (data float[{vectors.shape[1]}] distance_metric=cosine)"
            )
            # what has no direction has no cosine, and a NaN would take the place of others in a search
            data = ((row[0], vector.tobytes()) for row, vector in zip(rows, vectors, strict=True) if vector.any())
            file.executemany("INSERT INTO vectors (rowid, data) VALUES (?, ?)", data)
            file.executemany("UPDATE source SET complete = 1 WHERE id = ?", [(numbers[one],) for one in complete])

    def nearest(self, vector: NDArray[np.float32], keep: int) -> dict[int, float]:
        """Return the chunks with the highest cosine, the best first."""
        if not vector.any():
            return {}
        select = _NEAREST if keep <= _MOST_NEAREST else _NEAREST_OF_ALL
        with self._open() as file:
            return self._scores(file.execute(select, (vector.tobytes(), keep)))

    def matching(self, query: str, keep: int) -> dict[int, float]:
        """Return the chunks with the highest BM25, the best first."""
        wanted = " OR ".join(f'"{word}"' for word in dict.fromkeys(words_of(query)))
        if not wanted:
            return {}
        select = "SELECT rowid, -rank FROM words WHERE words MATCH ? ORDER BY rank, rowid LIMIT ?"
        with self._open() as file:
            return self._scores(file.execute(select, (wanted, keep)))

    def _scores(self, rows: Iterable[tuple[Any, ...]]) -> dict[int, float]:
        found = dict(rows)
        if None in found.values():
            raise DataError(str(self.path), 0, "it is damaged (a chunk has no score)")
        return found

    def hits(self, scores: Sequence[tuple[int, float]]) -> list[Hit]:
        """Return what the chunks of these numbers are."""
        select = "SELECT text, name, start, end FROM chunk JOIN source ON source.id = chunk.source WHERE chunk.id = ?"
        with self._open() as file:
            return [Hit(*self._there(file.execute(select, (chunk,)).get), score) for chunk, score in scores]

    def _there(self, row: Any) -> tuple[str, str, int, int]:
        if row is None:
            raise DataError(str(self.path), 0, "it is damaged (a chunk is missing)")
        text, name, start, end = row
        return text, name, start, end

    @contextmanager
    def _writing(self) -> Iterator[apsw.Connection]:
        """Open a transaction; where it is not ended, nothing of it is written."""
        with self._open() as file:
            file.execute("BEGIN IMMEDIATE")
            yield file
            file.execute("COMMIT")

    @contextmanager
    def _open(self) -> Iterator[apsw.Connection]:
        """Open a connection, and tell its errors as ours."""
        require_store()
        import apsw

        try:
            file = apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READWRITE)
            try:
                file.set_busy_timeout(_PATIENCE)
                _load_extension(file)
                yield file
            finally:
                file.close()
        except (apsw.BusyError, apsw.LockedError):
            raise RunError(f"another process is writing to {self.path}: wait for it to end") from None
        except (apsw.CantOpenError, apsw.FullError, apsw.IOError, apsw.PermissionsError, apsw.ReadOnlyError) as error:
            raise DataError(str(self.path), 0, f"can't read or write it: {error}") from None
        except (apsw.Error, UnicodeDecodeError) as error:
            raise DataError(str(self.path), 0, f"it is damaged, or no corpus of emoagents ({error})") from None


def _numbered(file: apsw.Connection, sources: Iterable[Source]) -> dict[Source, int]:
    """Return the number of each source, a new one if need be."""
    found = {}
    for source in sources:
        file.execute("INSERT OR IGNORE INTO source (name, digest, complete) VALUES (?, ?, 0)", source)
        found[source] = file.execute("SELECT id FROM source WHERE name = ?", (source.name,)).get
    return found


def require_store() -> None:
    """Raise where a corpus could not be read or written, before anything is paid for.

    Raises:
        MissingExtraError: apsw or sqlite-vec is not installed, or apsw is a build that loads no extensions.
    """
    try:
        import apsw
        import sqlite_vec  # type: ignore[import-untyped]  # noqa: F401  # it has no stubs
    except ImportError:
        raise MissingExtraError("store", "a corpus") from None
    if not hasattr(apsw.Connection, "load_extension"):
        raise MissingExtraError("store", "a corpus, with an apsw that loads extensions as its wheels do,")


def _load_extension(file: apsw.Connection) -> None:
    import sqlite_vec

    file.enable_load_extension(True)
    file.load_extension(sqlite_vec.loadable_path())
    file.enable_load_extension(False)
