"""Examples for tuning: what is read, split, and refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoagents.errors import DataError, ParameterError, UnknownNameError
from emoagents.evaluation.task import Item
from emoagents.tuning.data import check_apart, question_of, read_items, split


def item(text: str, name: str = "") -> Item:
    return Item(id=name or text, messages=({"role": "user", "content": text},), targets=("yes",))


def test_jsonl_and_csv_of_the_same_rows_are_the_same_examples(tmp_path: Path) -> None:
    rows = [{"input": "Zwölf?", "target": "12", "id": "a"}, {"input": "one, two", "target": "3", "id": "b"}]
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (tmp_path / "x.csv").write_text('input,target,id\nZwölf?,12,a\n"one, two",3,b\n', encoding="utf-8")
    read = read_items(tmp_path / "x.jsonl")
    assert read == read_items(str(tmp_path / "x.csv")) == read_items(f"csv:{tmp_path / 'x.csv'}")
    assert [(i.id, question_of(i), i.targets) for i in read] == [("a", "Zwölf?", ("12",)), ("b", "one, two", ("3",))]


def test_columns_of_other_names(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("q,a\nhow?,so\n", encoding="utf-8")
    (only,) = read_items(tmp_path / "x.csv", columns={"input": "q", "target": "a"})
    assert (question_of(only), only.targets) == ("how?", ("so",))


@pytest.mark.parametrize(
    ("name", "text", "metric", "message"),
    [
        ("x.jsonl", '{"input": "a", "target": "1"}\nnot json\n', None, "line 2"),
        ("x.jsonl", '{"question": "a"}\n', None, "input"),
        ("x.csv", "", None, "empty"),
        ("x.csv", "input,target\n", None, "no rows"),
        ("x.csv", "input,target\na,b\n", "numeric", "'b' is no number"),
        ("x.txt", "a", None, "csv:FILE"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(
    tmp_path: Path, name: str, text: str, metric: str | None, message: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        read_items(tmp_path / name, metric=metric)


def test_no_file_and_no_such_task(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_items(tmp_path / "none.jsonl")
    with pytest.raises(UnknownNameError, match="did you mean gsm8k"):
        read_items("gsm8")
    with pytest.raises(ParameterError, match=r"name a \.jsonl or \.csv file"):
        read_items(" ")


@given(st.lists(st.text(max_size=5), min_size=2, max_size=30), st.floats(0.05, 0.95), st.integers(0, 5))
def test_a_split_is_a_partition_that_no_question_crosses(texts: list[str], share: float, seed: int) -> None:
    items = [item(text, str(number)) for number, text in enumerate(texts)]
    if len(set(texts)) < 2:
        with pytest.raises(ParameterError, match="split in two"):
            split(items, share, seed)
        return
    first, second = split(items, share, seed)
    assert (first, second) == split(items, share, seed)
    assert first
    assert second
    assert sorted([*first, *second], key=lambda i: int(i.id)) == items
    assert [i.id for i in first] == sorted((i.id for i in first), key=int)
    check_apart(train=first, dev=second)


def test_another_seed_splits_otherwise() -> None:
    items = [item(str(number)) for number in range(30)]
    assert split(items, 0.3, 0)[1] != split(items, 0.3, 1)[1]
    assert len(split(items, 0.3, 0)[1]) == 9


def test_parts_with_a_question_in_common_are_refused_and_the_question_named() -> None:
    with pytest.raises(ParameterError, match=r"1 of 2 examples of test stand in dev, too, as 'b'"):
        check_apart(train=[item("a")], dev=[item("b")], test=[item("c"), item("b", "other")])
    check_apart(train=[item("a")], dev=[item("b")])


def test_the_question_is_the_last_user_message() -> None:
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    long = Item(id="x", messages=({"role": "user", "content": parts}, {"role": "assistant", "content": "no"}))
    assert question_of(long) == "one\ntwo"
    assert question_of(Item(id="x", messages=())) == ""
