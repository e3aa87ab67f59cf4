"""The overall score, the paper's own rows, and what is found in a comparison's records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoagents import Context, ScriptedModel
from emoagents.evaluation.arms import make_arms
from emoagents.evaluation.comparison import compare
from emoagents.evaluation.longemotion import PUBLISHED, TASKS, Published, analyse_longemotion, overall_score
from emoagents.evaluation.longemotion.section import make_extra
from emoagents.evaluation.record import Arm, Plan, Record, Spent, TaskInfo
from emoagents.evaluation.tasks import load_tasks

SAMPLES = Path(__file__).parent / "samples"


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: f"{row.arm} {row.model}")
def test_the_formula_brings_every_published_average(row: Published) -> None:
    found = overall_score(row.figures)
    assert found is not None
    assert found == pytest.approx(row.average, abs=0.0051)  # printed with two digits


def test_all_rows_of_the_table_are_there() -> None:
    assert len(PUBLISHED) == 18
    assert [sum(row.arm == arm for row in PUBLISHED) for arm in ("base", "rag", "coem")] == [8, 5, 5]
    assert list(TASKS) == ["EC", "ED", "QA", "ES", "MC-4", "EE"]


@given(st.sets(st.sampled_from(sorted(TASKS))))
def test_there_is_no_overall_score_of_a_part(shorts: set[str]) -> None:
    found = overall_score(dict.fromkeys(shorts, 3.0))
    assert (found is None) == (len(shorts) < 6)


def test_the_best_and_the_worst_that_can_be() -> None:
    assert overall_score({short: task.scale for short, task in TASKS.items()}) == pytest.approx(100)
    assert overall_score(dict.fromkeys(TASKS, 0.0)) == 0


# ---- findings

CRITERIA = {"summary": ("a", "b"), "conversation": ("c",), "expression": ("d",)}


def plan_of(*parts: str, source: str = "LongEmotion", replicas: int = 1, limit: int | None = None) -> Plan:
    names = parts or tuple(task.name.partition("/")[2] for task in TASKS.values())
    return Plan(
        tasks=tuple(
            TaskInfo(
                name=f"longemotion/{part}",
                metrics=("score", *CRITERIA[part]) if part in CRITERIA else ("accuracy",),
                items=2,
                source=source if part == "classification" else "LongEmotion",
            )
            for part in names
        ),
        arms=tuple(Arm(label=label, spec=label, title=label) for label in ("coem:base", "coem:coem")),
        baseline="coem:base",
        model="m",
        replicas=replicas,
        limit=limit,
    )


def records_of(plan: Plan, value: float = 0.5) -> Iterator[Record]:
    for task in plan.tasks:
        for arm in plan.arms:
            for item in range(2):
                scores = dict.fromkeys(task.metrics, value)
                judge = Spent(answers=2, prompt_tokens=10, usd=0.25) if len(scores) > 1 else Spent()
                yield Record(task=task.name, item=str(item), arm=arm.label, status="scored", scores=scores, judge=judge)


def test_figures_stand_on_the_papers_scales() -> None:
    plan = plan_of()
    found = analyse_longemotion(plan, lambda: records_of(plan))
    assert [(one.short, one.figure) for one in found.arms[0].tasks] == [
        ("EC", 50),
        ("ED", 50),
        ("QA", 50),
        ("ES", 2.5),
        ("MC-4", 2.5),
        ("EE", 50),
    ]
    assert (found.arms[0].overall, found.missing) == (50, ())
    summary = found.arms[0].result("longemotion/summary")
    assert summary is not None
    assert summary.criteria == {"a": 2.5, "b": 2.5}
    assert (summary.judge_answers, summary.judge_tokens, summary.judge_usd) == (4, 20, 0.5)


def test_a_partial_table_says_what_is_missing() -> None:
    plan = plan_of("detection", "qa", limit=2)
    found = analyse_longemotion(plan, lambda: records_of(plan))
    assert (found.missing, found.arms[0].overall) == (("EC", "ES", "MC-4", "EE"), None)
    told = " ".join(found.notes)
    assert "EC, ES, MC-4, EE are missing" in told
    assert "113 of 136" in told
    assert "At most 2 items" in told


def test_an_overall_score_of_a_part_is_called_so() -> None:
    plan = plan_of()
    whole = list(records_of(plan))
    assert not any("of a part" in note for note in analyse_longemotion(plan, lambda: whole).notes)
    failed = whole[6].model_copy(update={"status": "failed", "scores": {}})
    unjudged = whole[-1].model_copy(update={"status": "unjudged", "scores": {}})
    left = [*whole[:3], *whole[4:6], failed, *whole[7:-1], unjudged]  # the one in place 3 was not made
    assert {whole[place].arm for place in (3, 6, -1)} == {"coem:coem"}
    found = analyse_longemotion(plan, lambda: left)
    assert found.arms[1].overall is not None
    assert [note for note in found.notes if "of a part" in note] == [
        "The overall score of coem:coem is of a part: of 12 attempts 1 not made yet, 1 failed, 1 unjudged."
    ]


async def test_arms_that_differ_in_a_stage_which_a_task_does_without_are_named(tmp_path: Path) -> None:
    tasks = load_tasks("longemotion:classification", data=SAMPLES)
    made = make_arms(["coem:base", "coem:coem", "coem:coem[rerank=false]"], common={"ranker": "bm25", "guard": "off"})
    context = Context(model=ScriptedModel(lambda messages: "well"))
    comparison = await compare(tasks, made, context, tmp_path)
    assert [note for note in comparison.findings.notes if "asked exactly" in note] == [
        "coem:coem[rerank=false] asked exactly what coem:coem asked: a difference of 0 between them is no finding."
    ]


def test_what_stands_in_for_the_papers_data_is_not_called_ec() -> None:
    plan = plan_of(source="Sahandfer/EmoBench, MIT")
    found = analyse_longemotion(plan, lambda: records_of(plan))
    assert found.arms[0].tasks[0].short == "EU"
    assert (found.missing, found.arms[0].overall) == (("EC",), None)
    assert any("not the paper's long texts" in note for note in found.notes)


def test_half_of_the_papers_data_is_not_called_ec() -> None:
    (task,) = load_tasks("longemotion:classification", data=SAMPLES / "Emotion_Classification_Finentity.jsonl")
    plan = plan_of(source=task.source)
    found = analyse_longemotion(plan, lambda: records_of(plan))
    assert (found.arms[0].tasks[0].short, found.missing) == ("EC, Finentity only", ("EC",))
    assert any("half of the paper's data (Finentity only)" in note for note in found.notes)
    (whole,) = load_tasks("longemotion:classification", data=SAMPLES)
    assert analyse_longemotion(plan_of(source=whole.source), lambda: iter(())).arms[0].tasks[0].short == "EC"


def test_stages_besides_the_fourth_are_on_its_scale_and_in_no_overall_score() -> None:
    plan = plan_of("conversation").model_copy(
        update={"tasks": (TaskInfo(name="longemotion/conversation_2", metrics=("score", "c"), items=2),)}
    )
    found = analyse_longemotion(plan, lambda: records_of(plan, 1.0))
    assert [(one.short, one.figure) for one in found.arms[1].tasks] == [("MC-2", 5)]
    assert "MC-4" in found.missing


def test_unjudged_unparsed_and_failed_are_counted_apart() -> None:
    plan = plan_of("summary")
    base = {"task": "longemotion/summary", "arm": "coem:coem"}
    rows = [
        Record(**base, item="0", status="scored", scores={"score": 0.8, "a": 0.6, "b": 1.0}),
        Record(**base, item="1", status="failed"),
        Record(**base, item="1", status="unjudged"),  # tried again, and this is what counts
        Record(**base, item="2", status="unparsed", scores={"score": 0.0, "a": 0.0, "b": 0.0}),
        Record(**base, item="3", status="failed"),
        Record(**{**base, "arm": "another"}, item="0", status="unjudged"),
    ]
    found = analyse_longemotion(plan, lambda: iter(rows))
    one = found.arms[1].tasks[0]
    assert (one.n, one.figure, one.unjudged, one.unparsed, one.failed, one.attempts) == (2, 2.0, 1, 1, 1, 4)
    assert found.unjudged == 1
    assert any("1 answer has no usable verdict" in note for note in found.notes)
    assert found.arms[0].tasks[0].figure is None


def test_repetitions_of_an_item_count_once() -> None:
    plan = plan_of("detection", replicas=3)
    base = {"task": "longemotion/detection", "arm": "coem:base", "status": "scored"}
    rows = [Record(**base, item="0", replica=r, scores={"accuracy": 1.0}) for r in range(3)]
    rows += [Record(**base, item="1", scores={"accuracy": 0.0}), Record(**base, item="1", replica=7, scores={})]
    one = analyse_longemotion(plan, lambda: iter(rows)).arms[0].tasks[0]
    assert (one.figure, one.attempts) == (50, 4)


def test_the_page_quotes_the_paper_as_published(tmp_path: Path) -> None:
    plan = plan_of()
    extra = make_extra(plan, lambda: records_of(plan))
    section = extra.write(tmp_path, lambda: records_of(plan))
    figures = section.tables[0]
    rows = {row[0]: row for row in figures.rows}
    assert rows["coem:coem"][1:] == ["measured here", "50.00", "50.00", "50.00", "2.50", "2.50", "50.00", "50.00"]
    assert rows["coem, GPT-4o"][1:] == ["published", "61.42", "25.00", "51.07", "4.53", "3.81", "80.41", "64.12"]
    assert len(section.more[0].rows) == 18  # type: ignore[union-attr]
    assert any("quoted from the paper" in text for text in section.text)
    data = extra.as_data()
    assert all(row["published"] for row in data["published"])
    assert (tmp_path / "longemotion.json").is_file()
