"""A corpus larger than memory: texts chunked and embedded once into a file, and searched there."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from filelock import FileLock, Timeout

from emoagents.errors import ParameterError, RunError
from emoagents.retrieval.chunking import Chunk, check_sizes, chunk_texts, without_surrogates
from emoagents.retrieval.corpus_file import MOST_NUMBERS, CorpusFile, Hit, Source
from emoagents.retrieval.fusion import reciprocal_ranks
from emoagents.retrieval.splitter import Splitter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from emoagents.step import Run

__all__ = ["By", "Corpus", "Hit"]

By: TypeAlias = Literal["hybrid", "dense", "bm25"]

_POOL = 100
"""Chunks of each ranker that a hybrid search fuses, at least."""


class Corpus:
    """A file of chunks with their vectors, made by `create` or found by `open`; see docs/retrieval.md.

    It belongs to one embedding model, that of the first `add`. Searches may run while texts are added, and from several
    processes.
    """

    def __init__(self, file: CorpusFile, settings: dict[str, Any]) -> None:
        self._file = file
        self._settings = settings

    @property
    def roles(self) -> tuple[str, ...]:
        """The role whose model embeds."""
        return (self._settings["role"],)

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        *,
        size: int = 128,
        overlap: int = 50,
        tokenizer: str = "cl100k_base",
        role: str = "rank",
    ) -> Corpus:
        """Make a new file.

        Args:
            size, overlap, tokenizer: as for `chunk_texts`. role: whose model embeds, as for `Dense`.

        Raises:
            MissingExtraError: apsw or sqlite-vec is not installed.
            ParameterError: there is such a file, or a value is wrong.
            DataError: the file can't be written.
        """
        check_sizes(size, overlap)
        Splitter(tokenizer, size, overlap)
        file = CorpusFile(Path(path))
        file.create({"size": size, "overlap": overlap, "tokenizer": tokenizer, "role": role})
        return cls(file, file.settings())

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Corpus:
        """Open a file that `create` made.

        Raises:
            MissingExtraError: apsw or sqlite-vec is not installed.
            DataError: there is none, it is damaged, or it is no corpus.
        """
        file = CorpusFile(Path(path))
        return cls(file, file.settings())

    async def add(
        self, texts: Iterable[str], run: Run, *, sources: Iterable[str] | None = None, batch: int = 256
    ) -> int:
        """Add texts, taken from the iterable as they are needed, and return how many chunks are new.

        What is there already is neither added nor embedded again, so that after an interruption the same call goes on
        where it stopped; at most one batch is lost.

        Args:
            sources: a name for each text; its hash where there is none.
            batch: chunks that are embedded and written at once.

        Raises:
            ParameterError: another text has the same name, there are fewer names than texts, the corpus has vectors of
                another model, or the model's are longer than 8192 numbers.
            RunError: a text can't be embedded, or another process is adding to this corpus.
            DataError: the file is damaged.
        """
        if isinstance(texts, str):
            raise ParameterError("add takes texts: write add([text], run)")
        lock = FileLock(f"{self._file.path}.lock", timeout=0, is_singleton=False, thread_local=False)
        try:
            with lock:
                await self._refresh()
                return await self._add(_named(texts, sources), run, batch)
        except Timeout:
            raise RunError(f"another process is adding to {self._file.path}: wait for it to end") from None

    async def _add(self, named: Iterator[tuple[str, str]], run: Run, batch: int) -> int:
        waiting: list[_Waiting] = []
        pending: dict[str, Source] = {}  # what is not all in the file yet: the same text may come again before it is
        added = 0
        while (pair := await asyncio.to_thread(next, named, None)) is not None:
            waiting += await asyncio.to_thread(self._missing, *pair, pending)
            while len(waiting) >= batch:
                added += await self._write(waiting[:batch], run, pending)
                del waiting[:batch]
        return added + (await self._write(waiting, run, pending) if waiting else 0)

    def _missing(self, name: str, text: str, pending: dict[str, Source]) -> list[_Waiting]:
        """Return what is not in the file of a text."""
        text = without_surrogates(text)
        source = Source.of(name, text)
        known = pending.get(name)
        if known not in (None, source):
            raise ParameterError(f"two texts are named {name!r}: give each a name of its own")
        if known or (there := self._file.there(source)) is None:
            return []
        s = self._settings
        chunks = chunk_texts([text], size=s["size"], overlap=s["overlap"], tokenizer=s["tokenizer"])
        if chunks:
            pending[name] = source
        return [_Waiting(source, chunk, chunk is chunks[-1]) for chunk in chunks[there:]]

    async def _write(self, batch: list[_Waiting], run: Run, pending: dict[str, Source]) -> int:
        vectors = await self._embed([one.chunk.text for one in batch], run)
        chunks = [(one.source, one.chunk) for one in batch]
        complete = [one.source for one in batch if one.last]
        await asyncio.to_thread(self._file.write, chunks, complete, vectors, self._settings)
        for source in complete:
            del pending[source.name]
        return len(batch)

    async def _embed(self, texts: list[str], run: Run) -> NDArray[np.float32]:
        """Return vectors, after looking whether they are of the corpus's model."""
        model = run.context.door.embedder(self._settings["role"]).name
        known = self._settings.get("model", model)
        if known != model:
            raise ParameterError(f"{self._file.path} has vectors of {known}, and this run embeds with {model}")
        vectors = await run.embed(texts, role=self._settings["role"])
        dimension = self._settings.get("dimension", vectors.shape[1])
        if vectors.shape[1] != dimension:
            raise ParameterError(
                f"{self._file.path} has vectors of {dimension} numbers, and {model} now gives {vectors.shape[1]}"
            )
        if dimension > MOST_NUMBERS:
            raise ParameterError(f"a corpus holds vectors of at most {MOST_NUMBERS} numbers; {model} gives {dimension}")
        self._settings |= {"model": model, "dimension": dimension}
        return vectors

    async def search(self, query: str, keep: int, run: Run, *, by: By = "hybrid") -> list[Hit]:
        """Return the nearest chunks, the best first.

        Args:
            by: "dense" the cosine, "bm25" the words, which asks no model, or "hybrid" the reciprocal ranks in both.

        Raises:
            ParameterError: a value is wrong, or the corpus has vectors of another model.
            RunError: the query can't be embedded.
            DataError: the file is damaged.
        """
        if by not in ("hybrid", "dense", "bm25"):
            raise ParameterError(f'by must be "hybrid", "dense" or "bm25", not {by!r}')
        if keep < 1:
            raise ParameterError(f"keep must be at least 1, not {keep!r}")
        pool = max(keep, _POOL) if by == "hybrid" else keep
        await self._refresh()
        tables = []
        if by != "bm25" and "model" in self._settings:
            vector = (await self._embed([query], run))[0]
            tables.append(await asyncio.to_thread(self._file.nearest, vector, pool))
        if by != "dense":
            tables.append(await asyncio.to_thread(self._file.matching, query, pool))
        scores = (
            reciprocal_ranks(tables)[:keep] if by == "hybrid" else [pair for table in tables for pair in table.items()]
        )
        return await asyncio.to_thread(self._file.hits, scores)

    async def _refresh(self) -> None:
        self._settings = await asyncio.to_thread(self._file.settings)

    def count(self) -> int:
        """Return the number of chunks."""
        return self._file.count()


class _Waiting(NamedTuple):
    source: Source
    chunk: Chunk
    last: bool
    """The source has no chunk after it."""


def _named(texts: Iterable[str], sources: Iterable[str] | None) -> Iterator[tuple[str, str]]:
    """Yield each text with its name."""
    names = iter(sources) if sources is not None else None
    for text in texts:
        if names is None:
            yield hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16], text
            continue
        name = next(names, None)
        if name is None:
            raise ParameterError("there are more texts than sources: give each text a name")
        yield name, text
