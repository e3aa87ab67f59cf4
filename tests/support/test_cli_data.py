"""`emoagents data esconv`: what it prints of a file, and what it says of a bad one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from emoagents.cli import main
from emoagents.support.describe import describe
from emoagents.support.labels import STRATEGIES
from emoagents.support.load import read_dialogues

SAMPLES = Path(__file__).parent / "samples"
REAL = Path("/work/shared/data/esconv")


class Done(NamedTuple):
    status: int
    out: str
    err: str


Esconv = Callable[..., Done]


@pytest.fixture
def esconv(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Esconv:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")

    def call(path: Path, *more: str) -> Done:
        status = main(["data", "esconv", str(path), *more])
        return Done(status, *capsys.readouterr())

    return call


def cells(out: str) -> dict[str, list[str]]:
    """Return the cells after the name of each line of a table."""
    rows = [line.split("  ", 1) for line in out.splitlines() if "  " in line]
    return {name.strip(): rest.replace(" %", "").split() for name, rest in rows}


def test_tables(esconv: Esconv) -> None:
    done = esconv(SAMPLES / "failed.json")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("2 dialogues, 14 turns, 6.7 words a turn\n6 of seekers, 8 of supporters\n")
    table = cells(done.out)
    assert all(table[name] == ["1", "12.5"] for name in STRATEGIES)
    assert table["unlabelled"] == ["0", "0.0"]
    assert table["loss of a pet"] == table["shame"] == ["1", "50.0"]
    assert table["initial emotion intensity"] == ["2", "3.50"]
    assert table["feedback"] == ["3", "3.67"]
    assert max(map(len, done.out.splitlines())) <= 80


def test_what_is_not_known_is_not_printed(esconv: Esconv) -> None:
    done = esconv(SAMPLES / "windows.tsv")
    assert done.status == 0
    assert "strategy" in done.out
    assert not any(word in done.out for word in ("problem", "emotion", "rating"))


def test_json(esconv: Esconv) -> None:
    done = esconv(SAMPLES / "esconv.json", "--json")
    found = json.loads(done.out)
    assert found == describe(read_dialogues(SAMPLES / "esconv.json")).model_dump()
    assert done.out.count("\n") == 1
    assert list(found["strategies"]) == [*STRATEGIES, "unlabelled"]
    assert found["dialogues"] == 2
    assert (found["turns"], found["seeker_turns"], found["supporter_turns"]) == (14, 6, 8)
    assert found["stages"] == {"exploration": 3, "comforting": 2, "action": 3, "none": 0}
    assert found["scores"]["empathy"] == {"n": 1, "mean": 5.0}
    assert found["scores"]["supporter_relevance"] == {"n": 1, "mean": 5.0}


def test_description_of_nothing() -> None:
    found = describe([])
    assert (found.dialogues, found.words, found.scores["empathy"].mean) == (0, None, None)


def test_unlabelled_turns_and_equal_counts(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in map(row_of, ("b", "a", "c", "c"))))
    found = describe(read_dialogues(path))
    assert list(found.problems) == ["c", "a", "b"]
    assert found.strategies["unlabelled"] == 4
    assert sum(found.stages.values()) == 0


def test_a_turn_without_a_stage_counts(tmp_path: Path) -> None:
    path = tmp_path / "windows.tsv"
    path.write_text("1.0 1 0 [Other] Hello\n1.0 1 0 [Information] It rains")
    assert describe(read_dialogues(path)).stages == {"exploration": 0, "comforting": 0, "action": 1, "none": 1}


def row_of(problem: str) -> dict[str, Any]:
    return {"problem_type": problem, "dialog": [{"speaker": "sys", "text": "Hello"}]}


def test_a_terminal_obeys_nothing_from_the_file(esconv: Esconv, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row_of("\x1b[31m[red]two\nlines " + "x" * 500)))
    done = esconv(path)
    assert done.status == 0
    assert "\x1b" not in done.out
    assert "[red]two lines xxx" in done.out
    assert max(map(len, done.out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"dialog": [{"speaker": "sys", "text": "a", "strategy": "Hugging"}]}', "line 1: turn 0: unknown strategy"),
        ('[\n{"dialog"', "line 2: the JSON ends in the middle"),
        ("", "the file is empty"),
        ("hello", "line 1: not a JSON array"),
    ],
)
def test_a_bad_file_is_one_sentence(esconv: Esconv, tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "file"
    path.write_text(content)
    done = esconv(path)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith(f"error: {path}")
    assert says in done.err
    assert done.err.count("\n") == 1


def test_no_file(esconv: Esconv, tmp_path: Path) -> None:
    assert esconv(tmp_path / "nowhere").err.endswith("nowhere: there is no such file\n")
    assert esconv(tmp_path).err.endswith(": this is a folder, not a file\n")


@pytest.mark.parametrize(("name", "turns"), [("FailedESConv.json", 2964), ("devWithStrategy_short.tsv", 6328)])
def test_real_files(esconv: Esconv, name: str, turns: int) -> None:
    if not (REAL / name).exists():
        pytest.skip(f"{name} is not here")
    done = esconv(REAL / name)
    assert done.status == 0
    assert f" dialogues, {turns:,} turns" in done.out
