"""Quoting: other people's text within ours, on one line, of bounded length, and never to be taken for our words."""

from __future__ import annotations

import json
import re

__all__ = ["Quotes", "quoted"]

_MOST = 600
"""Characters of a quotation."""
_SHORT = 60
"""Characters up to which a text is quoted anew each time, as it tells more than a number."""
_BREAKS = re.compile(r"[\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What JSON leaves as it is and some readers take for the end of a line, or can't write at all."""


def quoted(text: str, most: int = _MOST) -> str:
    """Return the text in double quotes on one line, as JSON writes it; a longer one without its middle."""
    if len(text) <= most:
        return _in_quotes(text)
    half = most // 2
    gone = len(text) - 2 * half
    return f"{_in_quotes(text[:half])} (... {gone} characters are left out ...) {_in_quotes(text[len(text) - half :])}"


def _in_quotes(text: str) -> str:
    return _BREAKS.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))


class Quotes:
    """Quotes texts; a long one gets a number the first time, and is named by that from then on."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._numbers: dict[str, int] = {}

    def __call__(self, text: object) -> str:
        """Return the quoted text, or the number of one that was quoted before."""
        said = text if isinstance(text, str) else json.dumps(text, ensure_ascii=False, default=str)
        if len(said) <= _SHORT:
            return quoted(said)
        if said in self._numbers:
            return f"[{self._numbers[said]}]"
        self._numbers[said] = len(self._numbers) + 1
        return f"[{self._numbers[said]}] {quoted(said, self._most)}"
