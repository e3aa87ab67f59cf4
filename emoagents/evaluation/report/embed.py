"""Data inside a page, such that no text in it can end the data or begin a script."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

__all__ = ["embedded_json", "plain", "well_formed"]

_DANGEROUS = re.compile("[<>&\u2028\u2029\ud800-\udfff]")
"""What HTML or old JavaScript would read as more than text, and surrogates that UTF-8 can't hold."""

_SURROGATES = re.compile("[\ud800-\udfff]")


def embedded_json(data: Any) -> str:
    """Return the data as JSON that may stand in a script element of any page."""
    text = json.dumps(plain(data), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return _DANGEROUS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def well_formed(text: str) -> str:
    """Return the text with lone surrogates, which no file in UTF-8 can hold, replaced."""
    return _SURROGATES.sub("\ufffd", text)


def plain(data: Any) -> Any:
    """Return the data with what JSON has no word for (NaN, infinities) as null."""
    if isinstance(data, float):
        return data if math.isfinite(data) else None
    if isinstance(data, Mapping):
        return {str(key): plain(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [plain(value) for value in data]
    return data
