"""JSON objects in a reply, wherever they stand. The reading is ours."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["read_field", "read_objects"]

_TRIED = 200
"""Opening braces that are tried: a reply with more of them that begin no object is noise."""


def read_objects(reply: str) -> list[dict[str, Any]]:
    """Return the outermost JSON objects of a reply in their order, with text, fences and reasoning around them."""
    decoder, found, begin = json.JSONDecoder(), [], reply.find("{")
    for _ in range(_TRIED):
        if begin < 0:
            break
        try:
            value, end = decoder.raw_decode(reply, begin)
            found.append(value)
        except (ValueError, RecursionError):
            end = begin + 1
        begin = reply.find("{", end)
    return found


def read_field(reply: str, name: str) -> Any:
    """Return a key's value in the last object that has it, in any case; None where none has."""
    for value in reversed(read_objects(reply)):
        for key, held in value.items():
            if key.strip().casefold() == name.casefold():
                return held
    return None
