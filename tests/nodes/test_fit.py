"""Trimming candidates."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from emoagents.nodes.fit import trimmed


@given(st.text(), st.integers(40, 400))
def test_a_trimmed_text_fits_and_keeps_its_two_ends(text: str, length: int) -> None:
    short = trimmed(text, length)
    assert len(short) <= max(length, 1)
    if len(text) <= length:
        assert short == text
    else:
        head, _, tail = short.partition("\n[...]\n")
        assert text.startswith(head)
        assert text.endswith(tail)
        assert len(tail) >= 2 * len(head)
