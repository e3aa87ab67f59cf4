"""Text for a screen: without what a terminal would obey."""

from __future__ import annotations

from typing import TextIO

__all__ = ["harmless", "is_terminal", "one_line"]

_PICTURES: dict[int, int] = {
    **{code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"},
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
}
"""Control characters, ESC among them, become the signs that stand for them."""


def harmless(text: str) -> str:
    """Return the text with its control characters made visible; a terminal obeys none of it."""
    return text.replace("\r\n", "\n").translate(_PICTURES)


def one_line(text: str) -> str:
    """Return the text in one harmless line."""
    return harmless(" ".join(text.split()))


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a person is looking at this stream."""
    return stream is not None and not stream.closed and stream.isatty()
