"""Every raw reply of a comparison, as it came: JSON lines that are only ever appended to, and the cache of its calls.

A killed run loses nothing that was answered: what the process wrote is in the file, and a line cut off at the end
is a miss. Reading needs an index only, so memory stays flat while replies pile up.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from emoagents.errors import DataError
from emoagents.model.budget import Hold

__all__ = ["CallJournal"]


class CallJournal:
    """A cache of model answers (`Context(cache=...)`) in a folder that several processes may share.

    Each process appends to a file of its own, `calls-N.jsonl`, and reads those that were there when it began.

    Args:
        folder: where the files lie.

    Attributes:
        spent: what the replies cost that were there when it began. unpriced: of how many the price is unknown; they
            count as $0.

    Raises:
        DataError: the folder can't be written to.
    """

    blocking = False
    """Reads and writes are so short that they need no thread of their own."""
    essential = True
    """What was paid for and can't be kept must not go on being paid for."""

    def __init__(self, folder: Path) -> None:
        self.spent = Hold(calls=0)
        self.unpriced = 0
        self._files: list[IO[bytes]] = []
        self._index: dict[bytes, tuple[int, int]] = {}
        for path in sorted(folder.glob("calls-*.jsonl")):
            self._read(path)
        self._end = 0
        self._own = self._begun(folder)

    def get(self, keys: Sequence[Any], /) -> Mapping[Any, Any]:
        """Return the answers of these keys that are there."""
        found = {}
        for key in keys:
            place = self._index.get(_digest(key))
            if place is not None:
                found[key] = self._at(*place)
        return found

    def set(self, pairs: Mapping[Any, tuple[Any, int | None]], /) -> None:
        """Append answers."""
        for key, (answer, _) in pairs.items():
            line = json.dumps({"key": key[1], "answer": answer}, ensure_ascii=True, separators=(",", ":")).encode()
            self._own.write(line + b"\n")
            self._index[_digest(key)] = (len(self._files) - 1, self._end)
            self._end += len(line) + 1
        self._own.flush()

    def close(self) -> None:
        """Close the files, and remove the own one if nothing was bought."""
        for file in self._files:
            file.close()
        if not self._end:
            Path(self._own.name).unlink(missing_ok=True)

    def _begun(self, folder: Path) -> IO[bytes]:
        number = 0
        while True:
            try:
                file = open(folder / f"calls-{number:04d}.jsonl", "xb+")  # noqa: SIM115
            except FileExistsError:
                number += 1
                continue
            except OSError as error:
                raise DataError(str(folder), 0, f"can't write there: {error.strerror}") from None
            self._files.append(file)
            return file

    def _read(self, path: Path) -> None:
        if not path.stat().st_size:
            return
        file = path.open("rb")
        self._files.append(file)
        for offset, line in _lines(file):
            key = _key_of(line)
            if key is not None:
                self._index[key] = (len(self._files) - 1, offset)
                share = _share(line)
                self.spent.add(_paid(share))
                self.unpriced += share.get("cost_usd") is None

    def _at(self, number: int, offset: int) -> Any:
        file = self._files[number]
        file.seek(offset)
        line = file.readline()
        if file is self._own:
            file.seek(self._end)
        try:
            return json.loads(line)["answer"]
        except (ValueError, KeyError, TypeError):
            return None


def _lines(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    offset = 0
    for line in file:
        yield offset, line
        offset += len(line)


def _key_of(line: bytes) -> bytes | None:
    """Return a line's key, None where the line is damaged. The key stands first, so the rest need not be read."""
    start, end = len(b'{"key":"'), len(b'{"key":"') + 64
    if not line.startswith(b'{"key":"') or not line.endswith(b"}\n"):
        return None
    try:
        return bytes.fromhex(line[start:end].decode("ascii"))
    except ValueError:
        return None


def _share(line: bytes) -> dict[str, Any]:
    """Return what is known of a reply's part of its request."""
    try:
        return dict(json.loads(line)["answer"].get("share") or {})
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _paid(share: Mapping[str, Any]) -> Hold:
    """Return what a reply's part of its request cost; requests are counted in parts of one."""
    of = share.get("of") or 1
    tokens = (share.get("prompt_tokens") or 0) / of + (share.get("completion_tokens") or 0)
    return Hold(1 / of, tokens, share.get("cost_usd") or 0.0)


def _digest(key: Any) -> bytes:
    """Return the 32 bytes of a key (namespace, sha256 in hex)."""
    return bytes.fromhex(key[1])
