"""What is said of a file of data that can't be read: the same of all kinds."""

from __future__ import annotations

from pathlib import Path

from emoagents.errors import DataError

__all__ = ["NOT_UTF8", "unreadable"]

NOT_UTF8 = "not UTF-8 text; save the file as UTF-8"
"""The reason in a DataError for a line that does not decode."""


def unreadable(path: Path, error: OSError) -> DataError:
    """Return the error that says why a file can't be read."""
    if isinstance(error, FileNotFoundError):
        return DataError(str(path), 0, "there is no such file")
    if isinstance(error, IsADirectoryError) or path.is_dir():
        return DataError(str(path), 0, "this is a folder, not a file")
    return DataError(str(path), 0, f"it can't be read: {error.strerror or error}")
