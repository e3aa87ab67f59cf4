"""The command line: a thin face over the same calls that Python code makes."""

from __future__ import annotations

from emoagents.cli.entry import main

__all__ = ["main"]
