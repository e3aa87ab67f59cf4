"""ESConv as a task of the bench: items, what is read of an attempt, and where its data comes from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from emoagents import Context, ScriptedModel, SupportDialogue
from emoagents.errors import DataError, ParameterError, UnknownNameError
from emoagents.evaluation.tasks.esconv import EsconvTask
from emoagents.evaluation.tasks.load import load_tasks
from emoagents.support.conversation import conversation_of
from emoagents.support.instances import make_instances
from emoagents.support.load import read_dialogues

MINIATURE = Path(__file__).parent.parent.parent / "strategies" / "support" / "miniature.json"


@pytest.fixture(scope="module")
def task() -> EsconvTask:
    (found,) = load_tasks("esconv", data=MINIATURE, options={"sampling": "all"})
    assert isinstance(found, EsconvTask)
    return found


def test_each_item_is_an_instance_with_its_label_hidden_from_models(task: EsconvTask) -> None:
    instances = make_instances(read_dialogues(MINIATURE), sampling="all")
    assert [item.id for item in task.items()] == [one.id for one in instances]
    for item, one in zip(task.items(), instances, strict=True):
        assert item.targets == (one.label, one.response.text)
        said = conversation_of(item.messages)
        assert [(t.role, t.text, t.strategy) for t in said.turns] == [(t.role, t.text, t.strategy) for t in one.context]
        assert said.dialogue == one.dialogue
        assert item.cluster == one.dialogue != ""
        assert one.background.situation in said.background
        assert item.groups["strategy"] == one.label
        assert item.groups["stage"] == (one.stage or "none")


def test_progress_falls_into_five_bins(task: EsconvTask) -> None:
    bins = {item.groups["progress"] for item in task.items()}
    assert bins <= {"0-20 %", "20-40 %", "40-60 %", "60-80 %", "80-100 %"}
    last = max(task.items(), key=lambda item: int(item.id.split("/")[1]))
    assert last.groups["progress"] == "80-100 %"


def test_the_papers_sampling_is_the_default_and_depends_on_the_seed() -> None:
    ids = [[i.id for i in load_tasks("esconv", data=MINIATURE, seed=seed)[0].items()] for seed in (1, 1, 2)]
    assert ids[0] == ids[1] != ids[2]
    assert load_tasks("esconv", data=MINIATURE)[0].name == "esconv"


@pytest.mark.parametrize(
    ("answer", "read"),
    [
        ("Question", "Question"),
        (" questions. ", "Question"),
        ('{"strategy": "Reflection of Feelings"}', "Reflection of feelings"),
        ("I would ask a Question", None),
        ('{"strategy": "Joke"}', None),
        ('{"strategy": ', None),
        ("", None),
    ],
)
def test_an_answer_names_a_strategy_or_is_unparsed(task: EsconvTask, answer: str, read: str | None) -> None:
    item = next(i for i in task.items() if i.targets[0] == "Question")
    score = task.check(item, answer)
    assert (score.parsed, score.unparsed) == (read, read is None)
    assert score.value == float(read == "Question")


async def test_the_choice_is_read_where_it_was_made_and_not_from_the_reply(task: EsconvTask) -> None:
    item = next(i for i in task.items() if i.targets[0] == "Information")
    model = ScriptedModel([{"strategy": "Information", "response": "Question"}])
    talk = SupportDialogue(method="vanilla", assess=False, guard="off")
    result = await talk.arun(item.messages, context=Context(model=model))
    assert (await task.score(item, [result], None))["accuracy"].value == 1
    unparsed = await talk.arun(item.messages, context=Context(model=ScriptedModel(["?", "?", "Question"])))
    assert (await task.score(item, [unparsed], None))["accuracy"].unparsed


def test_a_folder_is_searched_and_bad_data_is_named(tmp_path: Path) -> None:
    (tmp_path / "ESConv.json").write_bytes(MINIATURE.read_bytes())
    assert load_tasks("esconv", data=tmp_path)[0].items()
    with pytest.raises(ParameterError, match="--data FILE"):
        load_tasks("esconv")
    with pytest.raises(DataError, match="nowhere"):
        load_tasks("esconv", data=tmp_path / "nowhere.json")
    with pytest.raises(UnknownNameError, match="sampling"):
        load_tasks("esconv", data=MINIATURE, options={"samplings": "all"})
    raw = json.loads(MINIATURE.read_text())[:1]
    raw[0]["dialog"] = raw[0]["dialog"][:3]
    (tmp_path / "short.json").write_text(json.dumps(raw))
    with pytest.raises(ParameterError, match="no instances"):
        load_tasks("esconv", data=tmp_path / "short.json")
