"""Answers in begin and end tags: `<emotion>sad</emotion><response>...</response>`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from emoagents.fields import Field

__all__ = ["read_tags"]

_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9_]*)>")
_BULLET = re.compile(r"\s*(?:[-*\u2022]|\d+[.)])\s+")


def read_tags(text: str, fields: Sequence[Field]) -> dict[str, str | list[str]]:
    """Return what stands in each field's tags; a list has one text a line.

    Text outside the tags is passed over, but a tag there that is no field's is not. Other tags inside a span are part
    of its text.

    Raises:
        ValueError: a span is missing, empty, stands twice or out of order, or is none of the fields'.
    """
    names = [field.name for field in fields]
    found = [m for m in _TAG.finditer(text) if m[2] in names]
    for name in names:
        _check_once(name, found)
    if [m[1] + m[2] for m in found] != [tag for name in names for tag in (name, f"/{name}")]:
        raise ValueError(f"the tags must come in this order, each closed before the next: {', '.join(names)}")
    spans = list(zip(found[::2], found[1::2], strict=True))
    _check_outside(text, [(begin.start(), end.end()) for begin, end in spans])
    texts = [text[begin.end() : end.start()].strip() for begin, end in spans]
    for field, inside in zip(fields, texts, strict=True):
        if not inside and field.min_words != 0:
            raise ValueError(f"nothing stands in <{field.name}>")
    return {f.name: _lines(inside) if f.type == "list" else inside for f, inside in zip(fields, texts, strict=True)}


def _check_once(name: str, found: Sequence[re.Match[str]]) -> None:
    for slash in ("", "/"):
        count = sum(m[1] == slash and m[2] == name for m in found)
        if count != 1:
            raise ValueError(f"<{slash}{name}> {'is missing' if not count else f'stands {count} times'}")


def _check_outside(text: str, spans: Sequence[tuple[int, int]]) -> None:
    for tag in _TAG.finditer(text):
        if not any(begin <= tag.start() < end for begin, end in spans):
            raise ValueError(f"{tag[0]} is none of the tags")


def _lines(text: str) -> list[str]:
    return [_BULLET.sub("", line, count=1).strip() for line in text.splitlines() if line.strip()]
