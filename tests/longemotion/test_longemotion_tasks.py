"""LongEmotion's tasks: what is asked, what no model sees, how answers are scored, what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from emoagents import Context, ScriptedModel
from emoagents.errors import CardError, DataError, ParameterError, UnknownNameError
from emoagents.evaluation.task import Item, Task
from emoagents.evaluation.tasks import load_tasks, task_names
from emoagents.fields import answer_model, read_fields
from emoagents.model.request import Message
from emoagents.result import Result
from emoagents.strategies.plain import Plain

SAMPLES = Path(__file__).parent / "samples"
PARTS = ["classification", "detection", "qa", "summary", "conversation", "expression"]


def task_of(part: str, **options: str) -> Task:
    return load_tasks(f"longemotion:{part}", data=SAMPLES, options=options)[0]


def only(task: Task, place: int = 0) -> Item:
    return list(task.items())[place]


def parts_of(message: Message) -> list[str]:
    return [part["text"] for part in message["content"]]


def word_of(message: Message) -> dict[str, Any]:
    word: dict[str, Any] = message["response_metadata"]["coem"]
    return word


# ---- what is loaded


def test_all_tasks_in_the_papers_order() -> None:
    tasks = load_tasks("longemotion", data=SAMPLES)
    assert [task.name for task in tasks] == [f"longemotion/{part}" for part in PARTS]
    assert [task.judged for task in tasks] == [False] * 3 + [True] * 3
    assert [len(list(task.items())) for task in tasks] == [4, 2, 2, 1, 4, 3]
    assert {f"longemotion:{part}" for part in PARTS} <= set(task_names())


def test_items_are_the_same_at_each_pass_and_have_ids_of_their_own() -> None:
    for task in load_tasks("longemotion", data=SAMPLES, options={"stages": "all"}):
        first, second = list(task.items()), list(task.items())
        assert first == second
        assert len({item.id for item in first}) == len(first)
        assert json.loads(json.dumps([dict(m) for m in first[0].messages])) == [dict(m) for m in first[0].messages]


def test_what_is_missing_is_named_and_the_rest_is_loaded(tmp_path: Path) -> None:
    shutil.copy(SAMPLES / "Emotion_QA.jsonl", tmp_path)
    said: list[str] = []
    (task,) = load_tasks("longemotion", data=tmp_path, announce=said.append)
    assert task.name == "longemotion/qa"
    assert said == [f"{tmp_path} has no file of classification, detection, summary, conversation, expression: left out"]
    with pytest.raises(DataError, match=r"there is no Emotion_Detection\.jsonl here, which longemotion:detection"):
        load_tasks("longemotion:detection", data=tmp_path)


def test_one_file_is_one_task(tmp_path: Path) -> None:
    file = SAMPLES / "Emotion_Detection.jsonl"
    assert load_tasks("longemotion:detection", data=file)[0].name == "longemotion/detection"
    for spec in ("longemotion", "longemotion:detection,qa"):
        with pytest.raises(ParameterError, match="is one file: ask for the one task it is of"):
            load_tasks(spec, data=file)


def test_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="detection"):
        load_tasks("longemotion:detektion", data=SAMPLES)
    with pytest.raises(ParameterError, match="longemotion needs its data"):
        load_tasks("longemotion:qa")
    with pytest.raises(DataError, match="no such file or folder"):
        load_tasks("longemotion:qa", data=tmp_path / "nowhere")
    with pytest.raises(DataError, match="here"):
        load_tasks("longemotion", data=tmp_path)
    with pytest.raises(ParameterError, match="stages of longemotion is 4 or all"):
        task_of("conversation", stages="2")
    for wrong in ("0", "many", "-5", "٣"):
        with pytest.raises(ParameterError, match="length of longemotion is a number of tokens"):
            task_of("expression", length=wrong)
    shutil.copy(SAMPLES / "Emotion_Expression_Situations.json", tmp_path)
    with pytest.raises(DataError, match="needs both Emotion_Expression_Situations"):
        load_tasks("longemotion:expression", data=tmp_path)


# ---- what is asked


@pytest.mark.parametrize("part", PARTS)
def test_the_word_on_itself_makes_sense_and_reaches_no_model(part: str) -> None:
    item = only(task_of(part))
    word = word_of(item.messages[-1])
    assert word["preset"] in (part, "financial", "nothing")
    if "answer" in word:
        answer_model(read_fields(word["answer"]))
    model = ScriptedModel(lambda messages: "well")
    Plain().run(list(item.messages), context=Context(model=model))
    sent = json.dumps(list(model.calls[0].request.messages))
    assert "coem" not in sent
    assert "response_metadata" not in sent


def test_classification_shows_the_text_then_the_question() -> None:
    items = list(task_of("classification").items())
    content, question = parts_of(items[0].messages[0])
    assert content.startswith("The market was loud")
    assert "Which emotion does Ines feel?" in question
    assert "(D) Joy & Pride" in question
    word = word_of(items[0].messages[0])
    assert (word["preset"], word["query"]) == ("classification", "Ines")
    assert word["answer"][0]["choices"] == ["Joy", "Anger", "Fear", "Joy & Pride"]
    finance = items[2]
    assert (word_of(finance.messages[0])["preset"], finance.groups["set"]) == ("financial", "finentity")
    assert "tone does it have towards Harbour Steel" in parts_of(finance.messages[0])[1]


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        ('{"emotion": "Joy"}', "Joy"),
        ('{"Emotion": "joy & pride"}', "Joy & Pride"),
        ('```json\n{"emotion": "D"}\n```', "Joy & Pride"),
        ('{"emotion": "(A) Joy"}', "Joy"),
        ("Joy.", "Joy"),
        ("(C)", "Fear"),
        ("I think the answer is (B).", "Anger"),
        ('{"emotion": "Sorrow"}', None),
        ('{"emotion": ["Joy", "Fear"]}', None),
        ("Joy or Fear, hard to say", None),
        ('{"emotion": "J', None),
        ("", None),
    ],
)
def test_a_choice_is_read_from_json_a_label_or_a_letter(answer: str, read: str | None) -> None:
    task = task_of("classification")
    score = task.check(only(task), answer)
    assert (score.parsed, score.unparsed, score.value) == (read, read is None, float(read == "Joy"))


def test_detection_shows_each_text_behind_its_index() -> None:
    task = task_of("detection")
    item = only(task)
    *texts, question = parts_of(item.messages[0])
    assert texts[2] == "[2] What if the boiler bursts while I am out? I keep going back."
    assert "4 texts, numbered from 0 to 3" in question
    (index,) = word_of(item.messages[0])["answer"]
    assert (index["type"], index["minimum"], index["maximum"]) == ("integer", 0, 3)
    assert list(item.groups.values()) == ["Anxiety"]
    assert task.check(item, '{"index": 2}').value == 1
    assert task.check(item, '{"index": 0}').value == 0
    assert task.check(item, '{"index": 4}').unparsed


def test_a_question_is_scored_by_the_best_reference() -> None:
    task = task_of("qa")
    item = only(task, 1)
    assert word_of(item.messages[0])["query"] == "Did mood change?"
    assert task.check(item, "It did not change.").value == 1
    assert task.check(item, "no").value == 1
    assert task.check(item, "...").unparsed


def test_a_summary_has_its_sections_as_sources() -> None:
    item = only(task_of("summary"))
    *sections, question = parts_of(item.messages[0])
    assert [text.partition(":")[0] for text in sections] == [
        "Case description",
        "Consultation process",
        "Experience and reflection",
    ]
    names = [field["name"] for field in word_of(item.messages[0])["answer"]]
    assert names == list(json.loads(question[question.index("{") :]))
    model = answer_model(read_fields(word_of(item.messages[0])["answer"]))
    assert model.model_validate(dict.fromkeys(names, ""))  # what a report does not say stays empty


def test_replies_in_one_conversation_are_a_cluster_and_so_are_questions_on_one_text() -> None:
    replies = list(task_of("conversation").items())
    assert [item.cluster for item in replies] == [item.id.partition("-")[0] for item in replies]
    assert len({item.cluster for item in replies}) < len(replies)
    clusters: dict[str, set[str]] = {}
    for item in task_of("qa").items():
        clusters.setdefault(item.cluster, set()).add(parts_of(item.messages[0])[0])
    assert all(len(texts) == 1 for texts in clusters.values())
    assert len({text for texts in clusters.values() for text in texts}) == len(clusters)
    assert all(not item.cluster for item in task_of("detection").items())


def test_a_conversation_is_one_of_alternating_roles() -> None:
    items = list(task_of("conversation").items())
    assert [item.id for item in items] == ["1-4-03", "1-4-05", "1-4-07", "2-4-01"]
    assert [item.groups["place"] for item in items] == ["1/4", "1/2", "3/4", "1/4"]
    for item in items:
        system, *said = item.messages
        assert "Ending" in system["content"]
        assert [m["role"] for m in said] == ["user", "assistant"] * (len(said) // 2) + ["user"]
        assert said[0]["content"].startswith("Reception: this is what I say for the 1. time")
    assert items[0].messages[-1]["content"] == "Ending: this is what I say for the 3. time."


def test_all_stages_are_tasks_of_their_own_with_their_own_criteria() -> None:
    tasks = load_tasks("longemotion:conversation", data=SAMPLES, options={"stages": "all", "checkpoints": "all"})
    assert [task.name for task in tasks] == [
        "longemotion/conversation_1",
        "longemotion/conversation_2",
        "longemotion/conversation_3",
        "longemotion/conversation",
    ]
    assert all(len(task.metrics) == 4 for task in tasks)
    assert len({metric for task in tasks for metric in task.metrics}) == 13
    last = [item.id for item in tasks[3].items() if item.groups["place"] == "last"]
    assert last == ["1-4-08"]  # in the short one it is the first as well


async def test_expression_is_six_turns_with_each_reply_kept() -> None:
    task = task_of("expression", length="50")
    item = only(task)
    asked: list[Sequence[Message]] = []

    async def solve(messages: Sequence[Message]) -> Result:
        asked.append(list(messages))
        return Plain().run("?", context=Context(model=ScriptedModel([f"reply {len(asked)}"])))

    results = await task.attempt(item, solve)
    assert [len(messages) for messages in asked] == [1, 3, 5, 7, 9, 11]
    assert [r.answer for r in results] == [f"reply {n}" for n in range(1, 7)]
    last = asked[-1]
    assert [m["role"] for m in last] == ["user", "assistant"] * 5 + ["user"]
    assert [m["content"] for m in last[1::2]] == [f"reply {n}" for n in range(1, 6)]
    assert "20. Afraid" in last[0]["content"]
    assert "your drawings as his own" in last[0]["content"]
    assert "stage 5 of five" in last[-1]["content"]
    assert "more than 50 tokens" in last[-1]["content"]
    presets = ["nothing", "nothing", "expression_2", "expression", "expression", "expression"]
    assert [word_of(m)["preset"] for m in last[::2]] == presets
    queries = [word_of(m).get("query") for m in last[::2]]
    assert queries[0] is None
    assert all(
        query is not None and query in m["content"] and "of five" not in query and "tokens" not in query
        for query, m in zip(queries[1:], last[2::2], strict=True)
    )
    # what the later turns say of themselves is data, so that a plan's digest sees it
    assert [(t["preset"], t["query"]) for t in item.data["turns"]] == list(zip(presets, queries, strict=True))[1:]


async def test_expression_keeps_no_thoughts_for_the_next_turn() -> None:
    task = task_of("expression", length="50")
    asked: list[Sequence[Message]] = []

    async def solve(messages: Sequence[Message]) -> Result:
        asked.append(list(messages))
        thought = "<think>first</think> no <think>I wonder</think>\n\nWell."
        return Plain().run("?", context=Context(model=ScriptedModel([thought])))

    await task.attempt(only(task), solve)
    assert [m["content"] for m in asked[-1] if m["role"] == "assistant"] == ["Well."] * 5


# ---- rubrics of the user's


def test_a_rubric_of_the_users_takes_the_place_of_ours(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('name = "longemotion_summary"\neach = []\n[[criteria]]\nid = "brevity"\ntext = "short"\n')
    for path in (mine, tmp_path):
        task = task_of("summary", rubric=str(path))
        assert task.metrics == ("score", "brevity")
        assert only(task).data["rubric"] != only(task_of("summary")).data["rubric"]
    (tmp_path / "other.toml").write_text('name = "longemotion_expression"\n')
    with pytest.raises(ParameterError, match="is a rubric for longemotion:expression, which is not asked for"):
        task_of("summary", rubric=str(tmp_path))


def test_a_rubric_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(CardError, match="there is no rubric in this folder"):
        task_of("summary", rubric=str(tmp_path))
    with pytest.raises(CardError, match="cannot be read"):
        task_of("summary", rubric=str(tmp_path / "none.toml"))
