"""Support dialogues from files: the three public shapes, what is wrong with them and where, and that they stream."""

from __future__ import annotations

import json
import os
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoagents.errors import DataError
from emoagents.support.dialogue import Background, Dialogue, Survey, Turn
from emoagents.support.labels import STRATEGIES
from emoagents.support.load import read_dialogues

SAMPLES = Path(__file__).parent / "samples"
REAL = Path("/work/shared/data/esconv")

JSONS = ("esconv.json", "failed.json", "rows.json", "rows.jsonl", "column.json", "column.jsonl")
SHAPES = (*JSONS, "windows.tsv")


def sample(name: str) -> list[Dialogue]:
    return list(read_dialogues(SAMPLES / name))


def error_of(path: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        list(read_dialogues(path))
    assert caught.value.path == str(path)
    return caught.value


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str | bytes], Path]:
    def write(content: str | bytes) -> Path:
        path = tmp_path / "file"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


Write = Callable[[str | bytes], Path]

# ---- the shapes


@pytest.mark.parametrize("name", SHAPES)
def test_each_shape_holds_the_same_turns(name: str) -> None:
    first, second = sample(name)
    assert (first.id, second.id) == ("0000", "0001")
    texts = {turn.number: (turn.role, turn.strategy, turn.text) for turn in first.turns}
    assert texts[2] == ("seeker", None, "I failed my exam [again], {sigh} EOS or what do they call it.")
    assert texts[3] == ("supporter", "Reflection of feelings", "You sound worn out by it.")
    assert [turn.number for turn in first.turns] == list(range(7 if name == "windows.tsv" else 8))
    assert [turn.strategy for turn in second.turns if turn.role == "supporter"] == [
        "Others",
        "Restatement or Paraphrasing",
        "Affirmation and Reassurance",
        "Information",
    ]


@pytest.mark.parametrize("name", JSONS)
def test_json_tells_what_is_known_of_the_seeker(name: str) -> None:
    first, second = sample(name)
    survey = Survey(
        initial_emotion_intensity=4, final_emotion_intensity=2, empathy=5, relevance=4, supporter_relevance=5
    )
    assert first.background == Background(
        emotion_type="shame",
        problem_type="academic pressure",
        situation="A student failed an exam for the second time.",
        experience_type="Previous Experience",
        survey=survey,
    )
    assert second.background.survey == Survey(initial_emotion_intensity=3)
    assert [turn.feedback for turn in first.turns] == [None, None, 2, None, 4, None, None, 5]


def test_all_json_shapes_read_the_same() -> None:
    assert all(sample(name) == sample("esconv.json") for name in JSONS)


def test_windows_know_nothing_of_the_seeker() -> None:
    assert [dialogue.background for dialogue in sample("windows.tsv")] == [Background(), Background()]


@pytest.mark.parametrize("speaker", ["seeker", "speaker", "usr"])
def test_seekers(write: Write, speaker: str) -> None:
    turn = {"speaker": speaker, "content": " a\n", "annotation": {"feedback": 3}}
    (dialogue,) = read_dialogues(write(json.dumps([{"dialog": [turn]}])))
    assert dialogue == Dialogue(id="0000", turns=(Turn(role="seeker", text="a", number=0, feedback=3),))


@pytest.mark.parametrize("speaker", ["supporter", "listener", "sys"])
@pytest.mark.parametrize("label", ["Question", "Questions", "[question]", None, ""])
def test_supporters_with_and_without_a_label(write: Write, speaker: str, label: str | None) -> None:
    turn = {"speaker": speaker, "text": "a", "strategy": label}
    (dialogue,) = read_dialogues(write(json.dumps({"dialog": [turn]})))
    strategy = "Question" if label else None
    assert dialogue.turns == (Turn(role="supporter", text="a", number=0, strategy=strategy),)


def test_missing_and_empty_fields_are_none(write: Write) -> None:
    known = {"emotion_type": None, "situation": " ", "survey_score": {"seeker": {"empathy": ""}, "supporter": None}}
    (dialogue,) = read_dialogues(write(json.dumps([{**known, "dialog": [{"speaker": "usr", "text": "a"}]}])))
    assert dialogue.background == Background()


def test_mark_and_blank_lines_before_the_first_byte_that_counts(write: Write) -> None:
    for content in ('[{"dialog":[{"speaker":"usr","text":"a"}]}]', '{"dialog":[{"speaker":"usr","text":"a"}]}\r\n\r\n'):
        (dialogue,) = read_dialogues(write(b"\xef\xbb\xbf \r\n\n" + content.encode()))
        assert dialogue.turns[0].text == "a"


def test_ids_count_beyond_four_digits(write: Write) -> None:
    path = write('{"dialog":[{"speaker":"usr","text":"a"}]}\n' * 10_001)
    assert [dialogue.id for dialogue in read_dialogues(path)][-2:] == ["9999", "10000"]


# ---- windows


def test_windows_keep_numbers_where_turns_are_missing(write: Write) -> None:
    path = write("0.0 0 4 a EOS 1.0 1 5 [Question] b\n1.0 0 8 c EOS 1.0 1 9 [Others] d\n1.0 1 0 [Question] e\n")
    first, second = read_dialogues(path)
    assert [(turn.number, turn.text) for turn in first.turns] == [(4, "a"), (5, "b"), (8, "c"), (9, "d")]
    assert [turn.number for turn in second.turns] == [0]


def test_turns_stand_in_their_order_whichever_window_holds_them(write: Write) -> None:
    path = write(
        "1.0 0 8 c EOS 1.0 1 9 [Others] d\n1.0 0 7 b EOS 1.0 0 8 c EOS 1.0 1 9 [Others] d EOS 1.0 1 10 [Others] e"
    )
    (dialogue,) = read_dialogues(path)
    assert [turn.number for turn in dialogue.turns] == [7, 8, 9, 10]


def test_a_response_number_that_does_not_rise_begins_a_dialogue(write: Write) -> None:
    lines = ["1.0 0 0 a EOS 1.0 1 1 [Question] b", "1.0 0 0 c EOS 1.0 1 1 [Question] d"]
    assert [dialogue.turns[0].text for dialogue in read_dialogues(write("\n".join(lines)))] == ["a", "c"]


@pytest.mark.parametrize(
    "text",
    ["a EOS b", "EOS", "a EOS", "a EOS 1.0 b", "a EOS 1.0 0 b", "a EOS 1 0 1 b", "[x] a", "[Question] a", "EOS EOS a"],
)
def test_what_is_no_utterance_is_text(write: Write, text: str) -> None:
    (dialogue,) = read_dialogues(write(f"1.0 0 0 {text} EOS 1.0 1 1 [Question] {text}"))
    assert [turn.text for turn in dialogue.turns] == [text, text]


def test_a_supporter_in_the_context_may_be_without_a_label(write: Write) -> None:
    (dialogue,) = read_dialogues(write("1.0 1 0 a EOS 1.0 1 1 [Question] b"))
    assert [turn.strategy for turn in dialogue.turns] == [None, "Question"]


_GOOD = "1.0 0 0 a EOS 1.0 1 1 [Question] b\n"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1.0 0 0 changed EOS 1.0 1 1 [Question] b EOS 1.0 1 2 [Question] c", "turn 0 differs"),
        ("1.0 0 0 a EOS 1.0 1 1 [Others] b EOS 1.0 1 2 [Question] c", "turn 1 differs"),
        ("1.0 0 2 c EOS 1.0 1 3 [Hugging] d", "unknown strategy 'Hugging'"),
        ("1.0 0 2 c EOS 1.0 1 3 [Hugging] d EOS 1.0 1 4 [Question] e", "turn 3: unknown strategy 'Hugging'"),
        ("1.0 2 2 c EOS 1.0 1 3 [Question] d", "turn 2: unknown role '2'"),
        ("1.0 0 2 c EOS 1.0 usr 3 [Question] d", "turn 3: unknown role 'usr'"),
        ("1.0 0 2 c EOS 1.0 1 3 d", "turn 3: the response"),
        ("1.0 0 2 c EOS 1.0 0 3 d", "turn 3: the response"),
        ("1.0 0 2 c EOS 1.0 0 7 x EOS 1.0 1 3 [Question] d", "turn 7 follows turn 2"),
        ("1.0 0 2 c EOS 1.0 0 3 x EOS 1.0 1 3 [Question] d", "turn 3 follows turn 3"),
        (" EOS ".join(f"1.0 1 {n} [Question] x" for n in range(2, 8)), "6 utterances"),
        ("hello", "'hello' is not an utterance"),
        ("1.0 0 1000000000000 x", "is not an utterance"),
    ],
)
def test_a_wrong_window_is_named_by_its_line(write: Write, line: str, reason: str) -> None:
    error = error_of(write(f"{_GOOD}\n{line}\n{_GOOD}"))
    assert error.line == 3
    assert reason in error.reason


def test_dialogues_before_a_wrong_window_are_given(write: Write) -> None:
    dialogues = read_dialogues(write(f"{_GOOD}{_GOOD}hello"))
    assert next(dialogues).id == "0000"
    with pytest.raises(DataError, match="line 3: 'hello'"):
        next(dialogues)


# ---- what is wrong in JSON, and where


def one(**more: Any) -> dict[str, Any]:
    return {"survey_score": {}, "dialog": [{"speaker": "usr", "text": "a"}], **more}


def turn(**more: Any) -> dict[str, Any]:
    return one(dialog=[{"speaker": "usr", "text": "a"}, {"speaker": "sys", "text": "b", **more}])


WRONG: list[tuple[dict[str, Any], str, str]] = [
    (turn(strategy="Hugging"), '"Hugging"', "turn 1: unknown strategy 'Hugging'"),
    (turn(annotation={"strategy": "Hugging"}), '"Hugging"', "turn 1: unknown strategy 'Hugging'"),
    (turn(strategy=3), '"strategy"', "turn 1: 'strategy' is not text"),
    (turn(annotation=[7]), '"annotation"', "turn 1: 'annotation' is not an object"),
    (turn(speaker="bot"), '"bot"', "turn 1: unknown speaker 'bot'"),
    (turn(speaker=None), '"speaker": null', "turn 1: unknown speaker None"),
    (turn(speaker=["usr"]), '"speaker": [', "turn 1: unknown speaker a list"),
    (turn(text=None), '"text": null', "turn 1: 'text' is not text"),
    (turn(content=["a"]), '"content"', "turn 1: 'content' is not text"),
    (turn(speaker="usr", feedback="6"), '"6"', "turn 1: 'feedback' is '6', not 1 to 5"),
    (turn(speaker="usr", feedback=0), '"feedback": 0', "turn 1: 'feedback' is 0, not 1 to 5"),
    (turn(speaker="usr", feedback=True), '"feedback": true', "turn 1: 'feedback' is True, not 1 to 5"),
    (turn(speaker="usr", feedback="2.5"), '"2.5"', "turn 1: 'feedback' is '2.5', not 1 to 5"),
    (one(survey_score={"seeker": {"relevance": "5", "empathy": "9"}}), '"9"', "'empathy' is '9', not 1 to 5"),
    (one(survey_score={"supporter": {"relevance": "x"}}), '"x"', "'relevance' is 'x', not 1 to 5"),
    (one(survey_score={"seeker": 5}), '"seeker": 5', "'seeker' is not an object"),
    (one(survey_score="5"), '"survey_score": "5"', "'survey_score' is not an object"),
    (one(problem_type=5), '"problem_type"', "'problem_type' is not text"),
    (one(dialog={}), '"dialog"', "'dialog' is not a list"),
    (one(dialog=[]), '"dialog"', "'dialog' is empty"),
    (one(dialog=["hello"]), '"hello"', "turn 0: not a JSON object"),
]


@pytest.mark.parametrize(("value", "mark", "reason"), WRONG)
def test_an_array_names_the_line_of_the_wrong_value(write: Write, value: Any, mark: str, reason: str) -> None:
    content = json.dumps([one(), one(situation="fine"), value], indent=1)
    error = error_of(write(content))
    assert error.line == max(number for number, line in enumerate(content.splitlines(), 1) if mark in line)
    assert error.reason.startswith("dialogue 0002: ")
    assert reason in error.reason


@pytest.mark.parametrize(("value", "mark", "reason"), WRONG)
@pytest.mark.parametrize("column", [False, True])
def test_json_lines_name_the_line(write: Write, value: Any, mark: str, reason: str, column: bool) -> None:
    rows = [json.dumps(row) for row in (one(), one(), value)]
    lines = [json.dumps({"text": row}) for row in rows] if column else rows
    error = error_of(write("\n\n".join(lines)))
    assert error.line == 5
    assert reason in error.reason


def test_an_array_names_the_line_of_a_column_of_text(write: Write) -> None:
    rows = [{"text": json.dumps(value)} for value in (one(), turn(strategy="Hugging"))]
    error = error_of(write(json.dumps(rows, indent=1)))
    assert error.line == 6
    assert "in 'text': turn 1: unknown strategy 'Hugging'" in error.reason


def test_a_missing_value_is_at_the_line_of_what_should_hold_it(write: Write) -> None:
    error = error_of(write('[\n{"dialog": [\n{"speaker": "usr",\n"text": "a"},\n{\n"speaker": "usr"}]}]'))
    assert (error.line, error.reason) == (5, "dialogue 0000: turn 1: there is no 'content' or 'text'")
    error = error_of(write('[\n{\n"dialogue": []}]'))
    assert (error.line, error.reason) == (2, "dialogue 0000: there is no 'dialog'")


def test_lines_count_from_the_beginning_of_the_file(write: Write) -> None:
    assert error_of(write(b"\xef\xbb\xbf\n\n[\n5]")).line == 4
    assert error_of(write("\n\n" + json.dumps(one()) + "\n5")).line == 4


def test_a_mistake_deep_in_a_large_array_has_its_line(write: Write) -> None:
    rows = [json.dumps(one(situation="x" * 1000)) for _ in range(300)]
    error = error_of(write("[" + ",\n".join([*rows, json.dumps(turn(strategy="Hugging"))]) + "]"))
    assert (error.line, error.reason[:13]) == (301, "dialogue 0300")


def test_an_unknown_label_says_what_was_meant(write: Write) -> None:
    assert "did you mean Self-disclosure?" in error_of(write(json.dumps(turn(strategy="disclosure")))).reason


WHOLE = json.dumps(one())


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        (f"[\n{WHOLE},\n{WHOLE[:-9]}", 3, "the JSON ends in the middle"),
        (f"[\n{WHOLE},\n", 2, "the JSON ends in the middle"),
        (f"[\n{WHOLE}\n{WHOLE}]", 3, "not JSON: after array element"),
        (f"[\n{WHOLE}]\n\nx", 4, "not JSON: trailing garbage"),
        ("[\n\nnone]", 3, "not JSON: invalid"),
        (b'[\n{"situation": "\xff"}]', 2, "not UTF-8"),
        ('[\n{"situation": "\\udc00"}]', 2, "not UTF-8"),
        (f"{WHOLE}\n{WHOLE[:-9]}", 2, "not JSON: Unterminated string"),
        (f"{WHOLE}\n5", 2, "not a JSON object"),
        (b'{"dialog":[{"speaker":"usr","text":"a"}]}\n\xff', 2, "not UTF-8"),
        ('{"situation": "\\ud800", "dialog": [{"speaker": "usr", "text": "a"}]}', 1, "half a character"),
        ('{"dialog": ' + "[" * 100_000 + "]" * 100_000 + "}", 1, "not JSON that can be read"),
        ('{"text": "{"}', 1, "in 'text': not JSON: Expecting"),
        ('{"text": 5}', 1, "in 'text': not text"),
        ('{\n "data": []}', 1, "each line holds one whole object"),
        (b"1.0 1 0 [Question] a\n1.0 1 1 [Question] \xff", 2, "not UTF-8"),
        ("\n\nspeaker,text", 3, "not a JSON array, JSON Lines, or"),
        (b"\x89PNG\r\n", 1, "not a JSON array"),
        (b"PAR1\x15\x04", 0, "Parquet is not read"),
        ("", 0, "the file is empty"),
        (b"\xef\xbb\xbf \n", 0, "the file is empty"),
        ("[]", 0, "there are no dialogues"),
    ],
)
def test_a_broken_file_is_one_sentence(write: Write, content: str | bytes, line: int, reason: str) -> None:
    error = error_of(write(content))
    assert error.line == line
    assert reason in error.reason
    assert "\n" not in str(error)


def test_brackets_without_end_do_not_fill_the_memory(write: Write) -> None:
    assert "brackets are open" in error_of(write('[{"dialog":' + "[" * 1_000_000)).reason


def test_brackets_in_texts_do_not_add_up(write: Write) -> None:
    path = write(json.dumps([one(situation="[{[" * 9) for _ in range(2000)]))
    assert sum(1 for _ in read_dialogues(path)) == 2000


def test_what_is_no_file(tmp_path: Path) -> None:
    assert error_of(tmp_path).reason == "this is a folder, not a file"
    assert error_of(tmp_path / "nowhere").reason == "there is no such file"


# ---- round trips

FRAGMENTS = [
    "EOS",
    "[",
    "]",
    "[Question]",
    "\t",
    '"',
    "\\",
    "{",
    "}",
    "1.0",
    "0",
    "3",
    "é",
    "🙂",
    "\u2028",
    "hello",
    " ",
]
texts = st.one_of(st.text(), st.lists(st.sampled_from(FRAGMENTS)).map(" ".join))
turns = st.lists(st.tuples(st.sampled_from(("usr", "sys")), texts, st.sampled_from(STRATEGIES)), min_size=1, max_size=8)


def row_of(said: list[tuple[str, str, str]]) -> dict[str, Any]:
    return {"dialog": [{"speaker": who, "text": text, "strategy": label} for who, text, label in said]}


def told(dialogue: Dialogue) -> list[tuple[str, str, str | None]]:
    return [({"seeker": "usr", "supporter": "sys"}[t.role], t.text, t.strategy) for t in dialogue.turns]


def expected(said: list[tuple[str, str, str]]) -> list[tuple[str, str, str | None]]:
    return [(who, text.strip(), label if who == "sys" else None) for who, text, label in said]


@given(st.lists(turns, min_size=1, max_size=3), st.booleans(), st.booleans(), st.sampled_from((None, 1)))
def test_any_text_survives_json(
    tmp_path_factory: pytest.TempPathFactory, many: Any, ascii_only: bool, column: bool, indent: int | None
) -> None:
    path = tmp_path_factory.getbasetemp() / "round.json"
    rows = [row_of(said) for said in many]
    rows = [{"text": json.dumps(row)} for row in rows] if column else rows
    path.write_text(json.dumps(rows, ensure_ascii=ascii_only, indent=indent), encoding="utf-8")
    assert [told(dialogue) for dialogue in read_dialogues(path)] == [expected(said) for said in many]
    lines = "\n".join(json.dumps(row, ensure_ascii=ascii_only) for row in rows)
    path.write_text(lines, encoding="utf-8", newline="")
    assert [told(dialogue) for dialogue in read_dialogues(path)] == [expected(said) for said in many]


@given(turns)
def test_windows_give_the_text_back_or_refuse_it(tmp_path_factory: pytest.TempPathFactory, said: Any) -> None:
    said = [(who, text.replace("\n", " "), label) for who, text, label in said]
    said.append(("sys", "the end", "Question"))
    parts = [utterance(place, *each) for place, each in enumerate(said)]
    windows = [range(max(0, place - 4), place + 1) for place, (who, _, _) in enumerate(said) if who == "sys"]
    held = sorted({place for window in windows for place in window})
    path = tmp_path_factory.getbasetemp() / "round.tsv"
    lines = [" EOS ".join(parts[place] for place in window) for window in windows]
    path.write_text("\n".join(lines), encoding="utf-8", newline="")
    if any(re.search(r"(^| )EOS [0-9]+\.[0-9]+ \S+ [0-9]+( |$)", said[place][1]) for place in held):
        error_of(path)
    else:
        (dialogue,) = read_dialogues(path)
        assert [turn.number for turn in dialogue.turns] == held
        assert told(dialogue) == [expected(said)[place] for place in held]


def utterance(place: int, who: str, text: str, label: str) -> str:
    return f"1.0 {int(who == 'sys')} {place} {f'[{label}] ' if who == 'sys' else ''}{text}"


# ---- streaming: a pipe that never ends


def endless(shape: str) -> Iterator[str]:
    yield "[" if shape == "array" else ""
    for number in count():
        if shape == "windows":
            yield f"1.0 0 0 {'x' * 900} {number} EOS 1.0 1 1 [Question] b\n"
        else:
            row = json.dumps(one(situation=f"{'x' * 900} {number}"))
            yield f"{row}," if shape == "array" else f"{row}\n"


@pytest.mark.parametrize("shape", ["array", "rows", "windows"])
def test_a_reader_that_stops_has_read_no_more_than_it_needs(tmp_path: Path, shape: str) -> None:
    pipe, written = tmp_path / "pipe", Counter[str]()
    os.mkfifo(pipe)

    def fill() -> None:
        try:
            with pipe.open("w", encoding="utf-8") as file:
                for text in endless(shape):
                    written["bytes"] += file.write(text)
        except BrokenPipeError:
            written["broken"] += 1

    writer = threading.Thread(target=fill, daemon=True)
    writer.start()
    dialogues = read_dialogues(pipe)
    assert [dialogue.id for dialogue in islice(dialogues, 20)] == [f"{number:04d}" for number in range(20)]
    dialogues.close()  # type: ignore[attr-defined]
    writer.join(30)
    assert written["broken"] == 1
    assert written["bytes"] < 300_000  # the pipe's own 64 kB among them


def test_a_mistake_in_a_pipe_has_a_line(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    threading.Thread(target=pipe.write_text, args=(f"[\n{WHOLE},\n5\n]",), daemon=True).start()
    assert 3 <= error_of(pipe).line <= 4


# ---- the real files

needs_failed = pytest.mark.skipif(not (REAL / "FailedESConv.json").exists(), reason="FailedESConv.json is not here")
needs_windows = pytest.mark.skipif(not (REAL / "devWithStrategy_short.tsv").exists(), reason="the TSV is not here")


@needs_failed
def test_failed_esconv() -> None:
    dialogues = list(read_dialogues(REAL / "FailedESConv.json"))
    raw = json.loads((REAL / "FailedESConv.json").read_text(encoding="utf-8"))
    assert len(dialogues) == 100
    assert sum(len(dialogue.turns) for dialogue in dialogues) == 2964
    assert [[turn.text for turn in dialogue.turns] for dialogue in dialogues] == [
        [said["content"].strip() for said in row["dialog"]] for row in raw
    ]
    feedback = [turn.feedback for dialogue in dialogues for turn in dialogue.turns if turn.feedback is not None]
    assert len(feedback) == 559


@needs_windows
def test_windows_of_the_authors() -> None:
    """Each line's response is one labelled turn. The others are 99 first turns of dialogues, with nothing before them
    that they could respond to."""
    path = REAL / "devWithStrategy_short.tsv"
    dialogues = list(read_dialogues(path))
    found = Counter(turn.strategy for d in dialogues for turn in d.turns if turn.strategy)
    first = Counter(d.turns[0].strategy for d in dialogues if d.turns[0].number == 0 and d.turns[0].strategy)
    responses = {
        "Question": 595,
        "Others": 510,
        "Affirmation and Reassurance": 494,
        "Providing Suggestions": 477,
        "Self-disclosure": 283,
        "Reflection of feelings": 249,
        "Information": 200,
        "Restatement or Paraphrasing": 177,
    }
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) == sum(responses.values()) == 2985
    assert found == Counter(responses) + first
    assert first == {"Question": 67, "Others": 29, "Reflection of feelings": 2, "Information": 1}
    assert (len(dialogues), sum(len(d.turns) for d in dialogues)) == (211, 6328)
