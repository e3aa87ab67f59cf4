"""The page, the pictures, the tables and the terminal, made of a comparison that never ran."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from emoagents.errors import DataError, MissingExtraError
from emoagents.evaluation.findings import Findings
from emoagents.evaluation.record import Plan, Record, Spent
from emoagents.evaluation.report import merge, print_findings, write_figures, write_report, write_tables
from emoagents.evaluation.report.choose import choose
from emoagents.evaluation.report.examples import Examples
from emoagents.evaluation.report.headline import headline, notes
from emoagents.evaluation.report.steps import steps
from emoagents.evaluation.store import RECORDS, write_plan
from tests.evaluation.made_records import Made, found, made, made_plan, made_records

HOSTILE = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "<!-- <script> %%data%% {{braces}} ${1+1}",
    "emoji 👩‍🚀 and עברית العربية and \u202e turned",
    "lone \ud800 surrogate, \x00 nul, \u2028 line",
    "long " * 20_000,
)


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def data_of(path: Path) -> dict[str, Any]:
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', text_of(path), re.S)
    assert match
    data: dict[str, Any] = json.loads(match[1])
    return data


def report(tmp_path: Path, one: Made, **options: Any) -> Path:
    return write_report(tmp_path / "out", one.plan, one.findings, one.read, **options)


# ---- the page


def test_the_page_is_one_file_that_names_nothing_outside(tmp_path: Path) -> None:
    page = text_of(report(tmp_path, made(items=6)))
    outside = re.sub(r'<script type="application/json".*?</script>', "", page, flags=re.S)
    assert "<link" not in outside.replace('<link rel="icon" href="data:,">', "")
    assert not re.search(r"\b(src|@import|url)\s*[=(]", outside)
    assert set(re.findall(r"https?://[^\"' ]+", outside)) == {"http://www.w3.org/2000/svg"}
    assert "default-src 'none'" in page
    assert "unsafe" not in page.partition("<title>")[0]
    assert not list((tmp_path / "out").glob("*.new"))


def test_the_page_holds_plan_findings_and_examples(tmp_path: Path) -> None:
    one = made(items=6)
    data = data_of(report(tmp_path, one, examples=5))
    assert Plan.model_validate(data["plan"]) == one.plan
    assert Findings.model_validate(data["findings"]) == one.findings
    assert len(data["examples"]["list"]) == 5
    assert data["examples"]["total"] == 18
    first = data["examples"]["list"][0]
    assert set(first["attempts"]) == {str(n) for n in range(6)}
    call = first["calls"]["0"][0]
    assert first["texts"][call["sent"][0][1]] == first["question"]


def test_hostile_texts_stay_data(tmp_path: Path) -> None:
    one = made(items=8, tasks=1, hostile=HOSTILE)
    path = report(tmp_path, one)
    page, data = text_of(path), data_of(path)
    assert page.count("</script>") == 2
    assert "<img" not in page
    assert "\u2028" not in page
    asked = {example["question"] for example in data["examples"]["list"]}
    assert set(HOSTILE[:5]) <= asked
    assert any("more characters are left out" in text for text in asked)


def test_unknown_numbers_become_null_and_not_broken_json(tmp_path: Path) -> None:
    one = made(items=4, tasks=1)
    broken = one.findings.differences[0].model_copy(update={"smallest": float("nan"), "p": float("inf")})
    findings = one.findings.model_copy(update={"differences": (broken,)})
    data = data_of(write_report(tmp_path, one.plan, findings, one.read))
    assert data["findings"]["differences"][0]["smallest"] is None


def test_the_examples_do_not_depend_on_the_order_of_the_records(tmp_path: Path) -> None:
    one = made(items=30)
    places = choose(one.plan, one.records, 10).places
    assert places == choose(one.plan, reversed(one.records), 10).places
    assert {place[0] for place in places} == {task.name for task in one.plan.tasks}


def test_items_with_disagreement_are_favoured_and_the_others_are_not_shut_out() -> None:
    one = made(items=200, tasks=1)
    chosen = choose(one.plan, one.records, 60)
    scores: dict[str, set[float]] = {}
    for record in one.records:
        if record.scores:
            scores.setdefault(record.item, set()).add(record.scores["exact"])
    share = sum(len(scores[item]) > 1 for _, item, _ in chosen.places) / 60
    assert share > chosen.disagreed / chosen.total
    assert choose(one.plan, one.records, 200).total == 200


def test_a_page_stays_small_by_leaving_out_raw_calls_and_then_examples() -> None:
    one = made(items=20, tasks=1, hostile=("word " * 2_000,) * 20)
    chosen = choose(one.plan, one.records, 20)
    sizes = []
    for space in (10_000_000, 300_000, 20_000):
        examples = Examples(one.plan, chosen, space)
        examples.take(one.records)
        data = examples.as_data()
        sizes.append((data["with_calls"], len(data["list"])))
        assert len(json.dumps(data["list"])) <= space * 1.1
    assert sizes[0] == (20, 20)
    assert sizes[1][0] < 20
    assert 0 < sizes[2][1] < 20


def test_an_attempt_counts_as_it_was_recorded_last(tmp_path: Path) -> None:
    one = made(items=2, tasks=1, arms=2)
    late = one.records[0].model_copy(update={"answer": "the later one", "status": "scored"})
    data = data_of(write_report(tmp_path, one.plan, one.findings, lambda: iter([*one.records, late])))
    answers = [a["answer"] for e in data["examples"]["list"] for a in e["attempts"].values()]
    assert "the later one" in answers
    assert len(answers) == 4


def test_an_empty_comparison_makes_a_page(tmp_path: Path) -> None:
    plan = made_plan(items=0)
    page = write_report(tmp_path, plan, Findings(arms=(), differences=()), lambda: iter(()))
    assert data_of(page)["examples"]["list"] == []


def test_steps_hold_calls_feedback_and_verdicts_and_survive_odd_traces() -> None:
    texts: list[str] = []

    def number(text: str) -> int:
        texts.append(text)
        return len(texts) - 1

    odd = [
        {"event": "call", "prompt": [{"role": "user", "content": [{"type": "text"}]}, "bare"], "answers": [None]},
        {},
    ]
    shown = list(steps([*odd, {"event": "verdict", "ok": False}, {"event": "candidate"}], number))
    assert [step["event"] for step in shown] == ["call", "", "verdict"]
    assert texts == ['[{"type": "text"}]', '"bare"'.strip('"'), "null", "false"]
    assert len(list(steps([{"event": "verdict"}] * 1_000, number))) == 201


# ---- sentences


def test_the_headline_repeats_the_numbers() -> None:
    one = made()
    lines = headline(one.plan, one.findings)
    assert lines[0] == "6 arms on 3 tasks (120 items), with test/model."
    gains = sum(d.significant for d in one.findings.differences if d.kind == "baseline" and d.task == "all")
    assert lines[2].startswith(f"Differences to the baseline: 5, {gains} significant gain")
    assert "owes something to chance" in lines[1]


def test_notes_of_joined_runs_come_first() -> None:
    one = made(items=2, tasks=1)
    plan = one.plan.model_copy(update={"settings": {"notes": ["2 runs are joined here."]}})
    assert notes(plan, one.findings) == ["2 runs are joined here.", *one.findings.notes]


# ---- files for other programs


def test_the_csv_has_a_row_for_each_attempt(tmp_path: Path) -> None:
    one = made(items=5, hostile=("=1+1", "@sum", "-5", "+49 30", "plain"))
    paths = write_tables(tmp_path, one.plan, one.findings, one.read)
    assert [path.name for path in paths] == ["results.csv", "results.parquet", "summary.json"]
    with paths[0].open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(one.records)
    assert {"score_exact", "score_f1", "answer", "stopped_by", "judge_usd"} <= set(rows[0])
    answers = {row["answer"] for row in rows}
    assert {"'=1+1", "'@sum", "-5", "'+49 30"} <= answers
    assert not answers & {"=1+1", "@sum", "+49 30"}
    assert {row["usd"] for row in rows if row["arm"] == "sa"} == {""}


def test_the_parquet_file_has_the_same_rows_and_the_traces(tmp_path: Path) -> None:
    from pyarrow import parquet

    one = made(items=5, hostile=HOSTILE)
    path = write_tables(tmp_path, one.plan, one.findings, one.read)[1]
    rows = parquet.read_table(path).to_pylist()
    assert len(rows) == len(one.records)
    assert json.loads(rows[0]["trace"]) == one.records[0].trace or rows[0]["status"] == "failed"
    assert next(row for row in rows if row["arm"] == "sa")["usd"] is None
    assert any(row["answer"] == HOSTILE[0] for row in rows)


def test_the_parquet_file_is_written_in_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyarrow import parquet

    monkeypatch.setattr("emoagents.evaluation.report.export._GROUP_ROWS", 10)
    one = made(items=10, tasks=1)
    path = write_tables(tmp_path, one.plan, one.findings, one.read)[1]
    assert parquet.ParquetFile(path).num_row_groups == 6


def test_the_summary_is_the_findings(tmp_path: Path) -> None:
    one = made(items=4)
    path = write_tables(tmp_path, one.plan, one.findings, one.read)[2]
    assert Findings.model_validate_json(path.read_bytes()) == one.findings


def test_without_pyarrow_or_matplotlib_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = made(items=2, tasks=1)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match="evaluation"):
        write_tables(tmp_path, one.plan, one.findings, one.read)
    with pytest.raises(MissingExtraError, match="evaluation"):
        write_figures(tmp_path, one.plan, one.findings)


# ---- pictures


@pytest.mark.parametrize(("arms", "tasks"), [(2, 1), (30, 3)])
def test_the_pictures_are_drawn(tmp_path: Path, arms: int, tasks: int) -> None:
    from matplotlib.image import imread

    one = made(arms=arms, tasks=tasks, items=6)
    paths = write_figures(tmp_path, one.plan, one.findings)
    names = ["cost_quality", "differences", "tasks"] + (["repairs"] if arms > 2 else [])
    assert [path.stem for path in paths] == names
    assert {imread(path).shape[1] for path in paths} == {1200}


def test_names_with_dollars_are_no_formulas(tmp_path: Path) -> None:
    plan = made_plan(arms=2, tasks=1, items=4)
    arms = tuple(arm.model_copy(update={"label": f"$\\frac{{{arm.label}"}) for arm in plan.arms)
    plan = plan.model_copy(update={"arms": arms, "baseline": arms[0].label})
    records = list(made_records(plan))
    assert write_figures(tmp_path, plan, found(plan, records))


# ---- the terminal


def printed(one: Made, width: int, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    print_findings(Console(file=stream, width=width, color_system=None), one.plan, one.findings)
    stream.flush()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("arms", [2, 6, 30])
def test_no_line_is_wider_than_the_terminal(width: int, arms: int) -> None:
    text = printed(made(arms=arms, items=6, tasks=2), width)
    assert max(map(len, text.splitlines())) <= width


def test_the_terminal_tells_scores_differences_and_costs() -> None:
    one = made()
    text = printed(one, 200)
    row = next(row for row in one.findings.arms if row.arm == "sa" and row.task == "all")
    line = next(line for line in text.splitlines() if line.startswith("sa "))
    assert f"{row.score:.3f}" in line
    assert "unknown" in line
    for word in ("Task by task", "flattered", "anger", "12 attempts failed", "to twin", "F"):
        assert word in text


def test_a_terminal_without_unicode_gets_ascii() -> None:
    one = made(arms=2, items=4, tasks=1)
    findings = one.findings.model_copy(update={"notes": ("ein Vermerk mit ß und 漢字 \x1b[31m",)})
    text = printed(Made(one.plan, one.records, findings), 80, "ascii")
    assert text.isascii()
    assert "\x1b" not in text


# ---- several runs


def stored(folder: Path, plan: Plan, records: Iterator[Record] | list[Record]) -> Path:
    folder.mkdir(exist_ok=True)
    write_plan(folder, plan)
    with (folder / RECORDS).open("w", encoding="utf-8") as file:
        file.writelines(record.model_dump_json() + "\n" for record in records)
    return folder


def test_runs_of_one_model_are_joined_and_the_later_one_counts(tmp_path: Path) -> None:
    plan = made_plan(arms=3, tasks=1, items=4)
    records = list(made_records(plan))
    again = [r.model_copy(update={"answer": "again"}) for r in records if r.arm == "plain"]
    less = plan.model_copy(update={"arms": plan.arms[:1]})
    folders = [stored(tmp_path / "a", plan, records), stored(tmp_path / "b", less, again)]
    joined, read = merge(folders)
    assert joined.arms == plan.arms
    assert joined.model == plan.model
    got = list(read())
    assert len(got) == len({r.key for r in got}) == len(records)
    assert {r.answer for r in got if r.arm == "plain"} == {"again"}
    assert len(list(read())) == len(got)


def test_arms_of_different_models_keep_their_links(tmp_path: Path) -> None:
    folders = []
    for name in ("x", "y"):
        plan = made_plan(arms=3, tasks=1, items=3, model=name)
        folders.append(stored(tmp_path / name, plan, made_records(plan)))
    joined, read = merge(folders)
    assert [arm.label for arm in joined.arms][:2] == ["plain (x)", "ep02 (x)"]
    assert joined.arms[4].twin == "ep02-neutral (y)"
    assert joined.arms[4].family == "ep (y)"
    assert joined.baseline == "plain (x)"
    assert joined.baseline_of("ep02 (y)") == "plain (y)"
    assert {r.arm for r in read()} == {arm.label for arm in joined.arms}
    assert joined.model == "x, y"


def test_different_data_is_allowed_and_told(tmp_path: Path) -> None:
    one, two = made_plan(arms=2, tasks=1, items=3), made_plan(arms=2, tasks=2, items=5)
    two = two.model_copy(update={"seed": 8, "settings": {"temperature": 0.0}})
    folders = [stored(tmp_path / "a", one, made_records(one)), stored(tmp_path / "b", two, made_records(two))]
    joined, _ = merge(folders)
    text = " ".join(joined.settings["notes"])
    for word in ("seeds (7, 8)", "(3, 5)", "is in 1 of the 2", "temperature"):
        assert word in text
    assert {task.name: task.items for task in joined.tasks} == {task.name: 5 for task in two.tasks}


def test_what_is_no_comparison_or_contradicts_another_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not the folder of a comparison"):
        merge([tmp_path])
    with pytest.raises(DataError, match="no folder"):
        merge([])
    one = made_plan(arms=1, tasks=1, items=1)
    other = one.model_copy(update={"arms": (one.arms[0].model_copy(update={"spec": "heart:9"}),)})
    folders = [stored(tmp_path / "a", one, []), stored(tmp_path / "b", other, [])]
    with pytest.raises(DataError, match="arm 'plain' is heart:9 here"):
        merge(folders)


def test_one_folder_is_given_back_as_it_is(tmp_path: Path) -> None:
    plan = made_plan(arms=2, tasks=1, items=2)
    joined, read = merge([stored(tmp_path, plan, made_records(plan))])
    assert joined == plan
    assert len(list(read())) == 4


def test_a_judges_cost_is_in_the_table(tmp_path: Path) -> None:
    one = made(items=1, tasks=1, arms=1)
    judged = one.records[0].model_copy(update={"judge": Spent(answers=2, prompt_tokens=7, usd=None)})
    path = write_tables(tmp_path, one.plan, one.findings, lambda: iter([judged]))[0]
    row = next(csv.DictReader(io.StringIO(text_of(path))))
    assert (row["judge_answers"], row["judge_tokens"], row["judge_usd"]) == ("2", "7", "")
