"""Reading short answers out of long ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoagents.nodes.extract import extract_answer, last_number, normalized


@pytest.mark.parametrize(
    ("text", "how", "expected"),
    [
        ("2 + 2 = 4, and 4 + 1 = 5.", "auto", "5"),
        ("The answer is 1,234.50 dollars", "auto", "1234.5"),
        ("so \\boxed{17} it is, not 18", "auto", "17"),
        ("steps 1 2 3\n#### 42", "auto", "42"),
        ("Final answer: Paris.", "auto", "paris"),
        ("**Answer:** -0.50", "auto", "-0.5"),
        ("Paris", "auto", "paris"),
        ("", "auto", None),
        ("x" * 100, "auto", None),
        ("no digits", "number", None),
        ("version v2 of 3x", "number", None),
        ("about 100", "number", "100"),
        ("I pick (B) over (A)", "choice", "A"),
        ("The answer is C", "choice", "C"),
        ("D.", "choice", "D"),
        ("A cat sat", "choice", None),
        ("one\ntwo\n\n", "last_line", "two"),
        ("anything", lambda t: None, None),
        ("anything", lambda t: " Yes! ", "yes"),
    ],
)
def test_extract(text: str, how: object, expected: str | None) -> None:
    assert extract_answer(text, how) == expected  # type: ignore[arg-type]


@given(st.text(), st.sampled_from(["auto", "number", "choice", "last_line"]))
def test_any_text_is_read_or_not_but_never_breaks(text: str, how: str) -> None:
    found = extract_answer(text, how)  # type: ignore[arg-type]
    assert found is None or isinstance(found, str)


@given(st.integers(-(10**12), 10**12), st.text(alphabet="abc ,;:!?\n"))
def test_a_number_is_found_behind_any_words_and_commas(number: int, words: str) -> None:
    assert last_number(f"{words} {number:,}.") == str(number)


@given(st.text())
def test_normalizing_twice_changes_nothing(text: str) -> None:
    assert normalized(normalized(text)) == normalized(text)
