"""The journal of raw replies: what is written is found again, by this process and by the next."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emoagents.errors import DataError
from emoagents.evaluation.journal import CallJournal
from emoagents.evaluation.record import Record

TEXTS = st.text(st.characters(), max_size=50) | st.sampled_from(["\ud800", "}\n{", '"', "\x00", "😀"])


@pytest.fixture(autouse=True)
def close_all(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close what the tests opened."""
    opened: list[CallJournal] = []
    begin = CallJournal.__init__

    def remembered(self: CallJournal, folder: Path) -> None:
        begin(self, folder)
        opened.append(self)

    monkeypatch.setattr(CallJournal, "__init__", remembered)
    yield
    for journal in opened:
        journal.close()


def key(name: str) -> tuple[tuple[str, str], str]:
    return ("emoagents", "answers"), hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(TEXTS, TEXTS, max_size=4), max_size=4))
def test_what_was_kept_is_found_by_every_later_process(
    tmp_path_factory: pytest.TempPathFactory, batches: list[dict[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    kept: dict[str, str] = {}
    for batch in batches:
        journal = CallJournal(folder)
        journal.set({key(name): ({"text": text}, None) for name, text in batch.items()})
        kept |= batch
        found = journal.get([key(name) for name in kept])
        assert found == {key(name): {"text": text} for name, text in kept.items()}
        journal.close()
    assert CallJournal(folder).get([key("never asked")]) == {}


def test_reading_between_writes_does_not_harm_them(tmp_path: Path) -> None:
    journal = CallJournal(tmp_path)
    for i in range(20):
        journal.set({key(str(i)): ({"text": str(i)}, None)})
        assert journal.get([key(str(i // 2))]) == {key(str(i // 2)): {"text": str(i // 2)}}
    lines = (tmp_path / "calls-0000.jsonl").read_text().splitlines()
    assert [json.loads(line)["answer"]["text"] for line in lines] == [str(i) for i in range(20)]


def test_a_line_cut_off_and_rubbish_are_misses(tmp_path: Path) -> None:
    first = CallJournal(tmp_path)
    first.set({key("a"): ({"text": "a"}, None), key("b"): ({"text": "b"}, None)})
    first.close()
    path = tmp_path / "calls-0000.jsonl"
    path.write_bytes(b'{"key":"zz"}\nrubbish\n' + path.read_bytes()[:-5])
    assert CallJournal(tmp_path).get([key("a"), key("b")]) == {key("a"): {"text": "a"}}


def test_processes_write_to_files_of_their_own(tmp_path: Path) -> None:
    one, other = CallJournal(tmp_path), CallJournal(tmp_path)
    one.set({key("a"): ({"text": "one"}, None)})
    other.set({key("b"): ({"text": "other"}, None)})
    assert CallJournal(tmp_path).get([key("a"), key("b")]).keys() == {key("a"), key("b")}
    assert len(list(tmp_path.glob("calls-*.jsonl"))) == 3


def test_a_folder_that_cannot_be_written_to_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="can't write there"):
        CallJournal(tmp_path / "nowhere")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(), max_size=40) | st.sampled_from(["\ud83d", "a\udc00b"]))
def test_a_record_survives_its_line_whatever_the_model_said(text: str) -> None:
    record = Record(task="t", item="i", arm="a", status="scored", answer=text, trace=[{"event": "call", "text": text}])
    line = record.as_json()
    assert b"\n" not in line
    assert Record.from_json(line) == record


def test_replies_of_an_unknown_price_are_counted(tmp_path: Path) -> None:
    known = {"prompt_tokens": 3, "completion_tokens": 2, "cost_usd": 0.5, "of": 1}
    first = CallJournal(tmp_path)
    for name, share in {"a": known, "b": known | {"cost_usd": None}, "c": None}.items():
        first.set({key(name): ({"text": name, "share": share}, None)})
    first.close()
    again = CallJournal(tmp_path)
    assert (again.spent.calls, again.spent.tokens, again.spent.usd, again.unpriced) == (3, 10, 0.5, 2)
