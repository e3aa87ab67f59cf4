"""LongEmotion's files as records: every format, and what is said of a file that is wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoagents.errors import DataError
from emoagents.longemotion import (
    REPORT_FIELDS,
    Conversation,
    Stage,
    Utterance,
    checkpoints,
    client_turns,
    find_files,
    read_classification,
    read_conversations,
    read_detection,
    read_qa,
    read_questionnaires,
    read_situations,
    read_summaries,
)

SAMPLES = Path(__file__).parent / "samples"
SHARED = Path("/work/shared/data")


# ---- what is read


def test_classification_of_both_sets() -> None:
    first, second = read_classification(SAMPLES / "Emotion_Classification_Emobench.jsonl")
    assert (first.id, first.set, first.subject, first.label) == ("emobench-1", "emobench", "Ines", "Joy")
    assert first.choices == ("Joy", "Anger", "Fear", "Joy & Pride")
    assert second.label == "Fear"  # written "fear" in the file
    finance = list(read_classification(SAMPLES / "Emotion_Classification_Finentity.jsonl"))
    assert [(one.id, one.set, one.label) for one in finance] == [
        ("finentity-1", "finentity", "Negative"),
        ("finentity-2", "finentity", "Positive"),
    ]


def test_classification_from_rows_of_emobench(tmp_path: Path) -> None:
    row = {
        "qid": "4",
        "language": "zh",
        "coarse_category": "complex_emotions",
        "scenario": "小安等了三天，信终于到了。",
        "subject": "小安",
        "emotion_choices": ["喜悦", "愤怒"],
        "emotion_label": "喜悦",
    }
    (one,) = read_classification(lines(tmp_path, [row]))
    assert (one.id, one.set, one.language, one.category) == ("zh-4", "eu", "zh", "complex_emotions")
    assert (one.content, one.choices, one.label) == (row["scenario"], ("喜悦", "愤怒"), "喜悦")


def test_detection() -> None:
    first, second = read_detection(SAMPLES / "Emotion_Detection.jsonl")
    assert (first.id, first.odd, first.odd_label, len(first.segments)) == ("0001", 2, "Anxiety", 4)
    assert first.segments[0] == "The garden is quiet and so am I."
    assert (second.id, second.odd, second.odd_label) == ("0002", 0, "Relaxation")


def test_qa_with_one_reference_and_with_several() -> None:
    first, second = read_qa(SAMPLES / "Emotion_QA.jsonl")
    assert (first.id, first.question, first.answers) == (
        "1",
        "What did walking reduce?",
        ("the level of rumination",),
    )
    assert second.answers == ("No", "it did not change")
    assert first.context.startswith("We asked forty people")


def test_summary_with_an_empty_field() -> None:
    (one,) = read_summaries(SAMPLES / "Emotion_Summary.jsonl")
    assert one.id == "7"
    assert list(one.sections) == ["case_description", "consultation_process", "experience_and_reflection"]
    assert tuple(one.reference) == REPORT_FIELDS
    assert one.reference["characteristics_of_illness"] == ""
    assert one.reference["treatment_effect"] == "Sleeps five nights in seven."


def test_conversations() -> None:
    first, second = read_conversations(SAMPLES / "Emotion_Conversations.jsonl")
    assert [stage.name for stage in first.stages] == ["Reception", "Diagnosis", "Consultation", "Ending"]
    assert first.description == "A baker who cannot enter her shop any more."
    assert first.stages[1].utterances[0] == Utterance(role="Counselor", text="Diagnosis: how have you been?")
    assert len(second.stages[3].utterances) == 2


def test_situations_and_questionnaires() -> None:
    found = list(read_situations(SAMPLES / "Emotion_Expression_Situations.json"))
    assert [(one.id, one.emotion, one.factor) for one in found] == [
        ("anger-1-01", "Anger", "Facing unfairness"),
        ("anger-1-02", "Anger", "Facing unfairness"),
        ("guilt-1-01", "Guilt", "Breaking a promise"),
    ]
    (panas,) = read_questionnaires(SAMPLES / "Emotion_Expression_Questionnaires.json")
    assert (panas.name, len(panas.items), panas.items[0], panas.items[-1]) == ("PANAS", 20, "Interested", "Afraid")


def test_a_questionnaire_may_be_one_object_with_a_list(tmp_path: Path) -> None:
    path = tmp_path / "q.json"
    path.write_text('{"name": "Two", "questions": ["Calm", "Tense"]}')
    (one,) = read_questionnaires(path)
    assert one.items == ("Calm", "Tense")


def test_records_are_read_as_they_are_asked_for(tmp_path: Path) -> None:
    good = json.loads((SAMPLES / "Emotion_QA.jsonl").read_text().splitlines()[0])
    path = lines(tmp_path, [good, {"number": 2}])
    reading = read_qa(path)
    assert next(reading).id == "1"  # the second line, which is wrong, has not been looked at
    with pytest.raises(DataError, match="line 2"):
        next(reading)


# ---- what is refused


def lines(folder: Path, rows: Iterable[Any]) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


DETECTION = {"text": [{"index": 0, "context": "a"}, {"index": 1, "context": "b"}], "ground_truth": 1}
SAID = {"role": "Client", "context": "I am here."}
TALK = {"id": 1, "stages": [{"stage": "One", "conversations": [SAID]}]}
LONG = {"id": 1, "content": "x", "subject": "y", "choices": ["Joy", "Fear"], "label": "Joy"}
QA = {"number": 1, "problem": "p", "answer": "a", "context": "c"}
REPORT = {"id": 1, "case_description": "c", "consultation_process": "", **dict.fromkeys(REPORT_FIELDS, "x")}


@pytest.mark.parametrize(
    ("read", "row", "said"),
    [
        (read_detection, {**DETECTION, "ground_truth": 2}, "'ground_truth' is 2; the texts have the indices 0 to 1"),
        (read_detection, {**DETECTION, "ground_truth": "1"}, "'ground_truth' is not a whole number"),
        (read_detection, {**DETECTION, "ground_truth": True}, "'ground_truth' is not a whole number"),
        (read_detection, {**DETECTION, "label": ["Joy"]}, "'label' has 1 labels for 2 texts"),
        (read_detection, {**DETECTION, "text": []}, "'text' is an empty list"),
        (read_detection, {**DETECTION, "text": "a b"}, "'text' is not a list"),
        (read_detection, {**DETECTION, "text": ["a"]}, "'text' 0 is not an object"),
        (read_detection, {**DETECTION, "text": [{"index": 1, "context": "a"}]}, "text 0: 'index' is 1, and it stands"),
        (read_detection, {**DETECTION, "text": [{"index": 0, "content": "a"}]}, "text 0: there is no 'context'"),
        (read_detection, {"text": DETECTION["text"]}, "there is no 'ground_truth'"),
        (read_classification, {**LONG, "label": "Rage"}, "'label' is 'Rage', which is none of the choices"),
        (read_classification, {**LONG, "choices": []}, "'choices' is an empty list"),
        (read_classification, {**LONG, "content": "  "}, "'content' is empty"),
        (read_classification, {**LONG, "subject": ["y"]}, "'subject' is not text"),
        (read_classification, {k: v for k, v in LONG.items() if k != "subject"}, "there is no 'subject'"),
        (read_classification, {"qid": 1, "emotion_choices": ["a"], "language": "fr"}, "neither en nor zh"),
        (read_qa, {**QA, "answer": []}, "'answer' is an empty list"),
        (read_qa, {**QA, "answer": [None]}, "'answer' is not text"),
        (read_qa, {**QA, "context": None}, "'context' is not text"),
        (read_summaries, {**REPORT, "case_description": ""}, "there is no 'experience_and_reflection'"),
        (read_summaries, {k: v for k, v in REPORT.items() if k != "causes"}, "'experience_and_reflection'"),
        (read_summaries, {**REPORT, "causes": {"a": 1}, "experience_and_reflection": "e"}, "'causes' is not text"),
        (read_conversations, {"id": 1, "stages": []}, "'stages' is an empty list"),
        (
            read_conversations,
            {"id": 1, "stages": [{"stage": "One", "conversations": [{**SAID, "role": "Doctor"}]}]},
            "stages 0, conversations 0: 'role' is 'Doctor', neither Client nor Counselor",
        ),
        (read_conversations, {"id": 1, "stages": [{"stage": "One"}]}, "stages 0: there is no 'conversations'"),
    ],
)
def test_a_wrong_row_is_told_by_file_line_and_field(
    read: Callable[[Path], Iterable[object]], row: dict[str, Any], said: str, tmp_path: Path
) -> None:
    path = lines(tmp_path, [row])
    with pytest.raises(DataError) as caught:
        list(read(path))
    assert (caught.value.path, caught.value.line) == (str(path), 1)
    assert said in caught.value.reason
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("read", [read_classification, read_detection, read_qa, read_summaries, read_conversations])
def test_a_line_that_is_no_object(read: Callable[[Path], Iterable[object]], tmp_path: Path) -> None:
    for text, said in (("[1]", "not a JSON object"), ('{"id": 1', "not JSON"), ("\x00", "not JSON")):
        (tmp_path / "rows.jsonl").write_text(f"\n{text}\n")
        with pytest.raises(DataError, match=f"line 2: {said}"):
            list(read(tmp_path / "rows.jsonl"))


@pytest.mark.parametrize(
    ("read", "row"), [(read_classification, LONG), (read_qa, QA), (read_conversations, TALK)], ids=["ec", "qa", "mc"]
)
def test_an_id_that_comes_twice(read: Callable[[Path], Iterable[object]], row: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 2: the id '.*1' comes twice"):
        list(read(lines(tmp_path, [row, row])))


def test_fields_that_nobody_knows_are_passed_over(tmp_path: Path) -> None:
    (one,) = read_detection(lines(tmp_path, [{**DETECTION, "length": 2, "note": {"by": "us"}}]))
    assert (one.odd, one.labels, one.odd_label) == (1, (), "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "not a JSON object with 'emotions'"),
        ('{"emotions": {}}', "'emotions' is not a list"),
        ('{"emotions": [{"name": "Joy"}]}', "emotions 0: there is no 'factors'"),
        ('{"emotions": [{"name": "Joy", "factors": [{"name": "f", "scenarios": [1.5, []]}]}]}', "'scenarios' is not"),
        ('{"emotions": [{"name": "Joy", "factors": [{"name": "f", "scenarios": "one"}]}]}', "is not a list"),
        ('{"emotions":\n [}', "line 2: not JSON"),
    ],
)
def test_wrong_situations(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(DataError, match=said):
        list(read_situations(tmp_path / "s.json"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "there is no questionnaire"),
        ("[1]", "questionnaire 0 is not a JSON object"),
        ('[{"name": "P", "questions": {}}]', "questionnaire 0: 'questions' is an empty list"),
        ('[{"questions": ["a"]}]', "questionnaire 0: there is no 'name'"),
    ],
)
def test_wrong_questionnaires(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "q.json").write_text(text)
    with pytest.raises(DataError, match=said):
        list(read_questionnaires(tmp_path / "q.json"))


# ---- where files are


def test_files_are_found_with_and_without_the_publishers_folders(tmp_path: Path) -> None:
    assert [path.name for path in find_files(SAMPLES, "classification")] == [
        "Emotion_Classification_Emobench.jsonl",
        "Emotion_Classification_Finentity.jsonl",
    ]
    folder = tmp_path / "Emotion Classification"
    folder.mkdir()
    name = "Emotion_Classification_Finentity.jsonl"
    shutil.copy(SAMPLES / name, folder / name)
    assert find_files(tmp_path, "classification") == (folder / name,)
    assert find_files(tmp_path, "qa") == ()
    assert find_files(SAMPLES / "Emotion_QA.jsonl", "qa") == (SAMPLES / "Emotion_QA.jsonl",)
    situations = SAMPLES / "Emotion_Expression_Situations.json"
    assert find_files(situations, "expression") == find_files(SAMPLES, "expression")
    with pytest.raises(DataError, match="no such file or folder"):
        find_files(tmp_path / "nowhere", "qa")


# ---- checkpoints


@given(st.integers(0, 500), st.booleans())
def test_checkpoints_are_turns_that_there_are(count: int, last: bool) -> None:
    turns = client_turns(count, last=last)
    assert all(0 <= turn < count for turn in turns)
    assert list(turns) == sorted(turns)
    assert bool(turns) == bool(count)
    if count > 3:
        assert [turn for turn, part in turns.items() if part != "last"] == [count // 4, count // 2, 3 * count // 4]
    if last and count:
        assert max(turns) == count - 1


ROLES = st.sampled_from(["Client", "Counselor"])
STAGES = st.lists(st.lists(ROLES, max_size=12), max_size=5)


@given(STAGES, st.integers(1, 5), st.booleans())
def test_a_conversation_is_broken_off_at_a_clients_turn(roles: list[list[Any]], number: int, last: bool) -> None:
    stages = tuple(
        Stage(
            name=f"stage {place}",
            utterances=tuple(Utterance(role=role, text=f"{place}.{turn}") for turn, role in enumerate(said)),
        )
        for place, said in enumerate(roles)
    )
    found = checkpoints(Conversation(id="1", stages=stages), number, last=last)
    whole = [one for stage in stages[:number] for one in stage.utterances]
    before = sum(len(stage.utterances) for stage in stages[: number - 1])
    for place in found:
        assert list(place.said) == whole[: len(place.said)]  # from the very beginning, nothing left out
        assert place.said[-1].role == "Client"
        said = place.said[before:]
        assert sum(one.role == "Client" for one in said) == place.turn >= 1
    silent = number > len(stages) or "Client" not in roles[number - 1]
    assert bool(found) != silent


# ---- the real files, where they are


@pytest.mark.skipif(not SHARED.exists(), reason="the publishers' data is not on this machine")
def test_the_publishers_own_files() -> None:
    detection = list(read_detection(SHARED / "longemotion" / "Emotion_Detection.jsonl"))
    assert len(detection) == 40
    assert all(one.labels.count(one.odd_label) == 1 for one in detection)
    talks = list(read_conversations(SHARED / "longemotion" / "Emotion_Conversations.jsonl"))
    assert [len(one.stages) for one in talks] == [4] * 20
    assert all(len(checkpoints(one, 4)) == 3 for one in talks)
    understanding = list(read_classification(SHARED / "emobench" / "EU.jsonl"))
    assert {one.language for one in understanding} == {"en", "zh"}
