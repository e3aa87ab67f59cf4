"""Support strategies in a comparison's report: terminal, files, pictures, and the page in a real browser."""

from __future__ import annotations

import io
import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from emoagents.cli.report import print_and_write, report_on
from emoagents.evaluation.analysis import analyse
from emoagents.evaluation.findings import Findings
from emoagents.evaluation.record import Arm, Plan, Record, Spent, TaskInfo
from emoagents.evaluation.report import find_extras, merge, write_all
from emoagents.evaluation.report.extra import Picture, Section, section_data
from emoagents.evaluation.store import RECORDS, write_plan
from emoagents.evaluation.support import SupportFindings, analyse_support
from emoagents.evaluation.support.export import file_names, write_files
from emoagents.evaluation.support.figures import draw
from emoagents.evaluation.support.section import SupportExtra
from emoagents.support.labels import STAGES_OF, STRATEGIES, SupportStrategy
from tests.evaluation.made_records import made

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

HOSTILE = "</script><script>document.title='owned'</script> <img src=x> \ud800 %%data%% \x1b[31m"

_HUMAN = (0.128, 0.094, 0.127, 0.172, 0.182, 0.153, 0.117, 0.027)
_TASTES = {  # what an arm says when it does not see the human's choice: share of sight, and weights
    "plain": (0.08, (0.03, 0.02, 0.1, 0.04, 0.6, 0.17, 0.03, 0.01)),
    "emotion_prompt": (0.1, (0.03, 0.01, 0.2, 0.03, 0.6, 0.1, 0.02, 0.01)),
    "support_planner": (0.2, (0.2, 0.1, 0.12, 0.1, 0.2, 0.15, 0.1, 0.03)),
    "debias:0.5": (0.1, (0.12, 0.12, 0.12, 0.12, 0.16, 0.12, 0.12, 0.12)),
}


@dataclass(frozen=True)
class Bench:
    plan: Plan
    records: list[Record]

    def read(self) -> Iterator[Record]:
        return iter(self.records)

    @property
    def found(self) -> SupportFindings:
        return analyse_support(self.plan, self.records, resamples=200)

    @property
    def extra(self) -> SupportExtra:
        return SupportExtra(self.plan, self.found)


@lru_cache
def bench(
    *, arms: tuple[str, ...] = tuple(_TASTES), dialogues: int = 40, replies: bool = False, text: str = ""
) -> Bench:
    plan = Plan(
        tasks=(TaskInfo(name="esconv", metrics=("accuracy",), items=4 * dialogues, source="made"),),
        arms=tuple(Arm(label=label, spec=label, title=label) for label in arms),
        baseline=arms[0],
        model="test/model",
        seed=5,
    )
    return Bench(plan, list(_records(plan, dialogues, replies, text)))


def _records(plan: Plan, dialogues: int, replies: bool, text: str) -> Iterator[Record]:
    draw_ = random.Random(plan.seed)
    for dialogue in range(dialogues):
        for turn in range(4):
            truth = draw_.choices(STRATEGIES, _HUMAN)[0]
            for number, arm in enumerate(plan.arms):
                yield _record(f"d{dialogue}/{turn}", arm.label, truth, turn, number, replies, text)


def _record(item: str, arm: str, truth: SupportStrategy, turn: int, number: int, replies: bool, text: str) -> Record:
    own = random.Random(f"{item} {arm}")
    sight, weights = _TASTES.get(arm) or list(_TASTES.values())[number % 4]
    said = truth if own.random() < sight else own.choices(STRATEGIES, weights)[0]
    status = own.choices(("scored", "unparsed", "failed"), (96, 3, 1))[0]
    answer = f"I hear that this is hard, number {own.randrange(9)}. {text}" if replies else said
    return Record.model_validate(
        {
            "task": "esconv",
            "item": item,
            "arm": arm,
            "status": status,
            "scores": {} if status == "failed" else {"accuracy": float(status == "scored" and said == truth)},
            "question": f"What next? {text}",
            "answer": None if status == "failed" else answer,
            "parsed": said if status == "scored" else None,
            "targets": (truth, f"That sounds hard. {text}"),
            "groups": {
                "strategy": truth,
                "stage": (*STAGES_OF[truth], "none")[0],
                "progress": f"{20 * turn}-{20 * turn + 20} %",
            },
            "spent": Spent(answers=1 + number, prompt_tokens=400, completion_tokens=20, usd=0.0002, seconds=1.2),
            "error": "no answer" if status == "failed" else None,
        }
    )


# ---- the terminal


def printed(one: Bench, width: int, encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    one.extra.print(Console(file=stream, width=width, color_system=None))
    stream.flush()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("width", [60, 80, 100])
@pytest.mark.parametrize("replies", [False, True])
def test_no_line_is_wider_than_the_terminal(width: int, replies: bool) -> None:
    text = printed(bench(replies=replies), width)
    assert max(map(len, text.splitlines())) <= width


def test_the_terminal_tells_q_b_stages_costs_and_differences() -> None:
    one = bench()
    text, found = printed(one, 100), one.found
    plain = next(line for line in text.splitlines() if line.startswith("plain "))
    arm = found.arms[0]
    assert arm.q.value is not None
    assert arm.b.value is not None
    for value in (
        f"{100 * arm.q.value:.1f}",
        f"{arm.b.value:.2f}",
        *(f"{100 * s.value:.1f}" for s in arm.stages.values() if s.value),
    ):
        assert value in plain
    for word in ("(uniform random)", "(majority)", "2.65", "To the baseline plain", "Holm p", "calls", "tokens", "usd"):
        assert word in text
    better = found.difference("debias:0.5", "b")
    assert better is not None
    assert better.significant
    assert f"{better.difference:+.2f}*" in text
    assert "BLEU-2" not in text


def test_replies_add_their_metrics() -> None:
    one = bench(replies=True)
    assert "ROUGE-L" in printed(one, 100)
    scores = one.found.arms[0].text
    assert scores is not None
    assert f"{scores.bleu_2:.1f}" in printed(one, 100)


def test_a_terminal_without_unicode_gets_ascii_and_no_escapes() -> None:
    text = printed(bench(arms=("plain", "ß \x1b[31m"), dialogues=3), 80, "ascii")
    assert text.isascii()
    assert "\x1b" not in text


def test_nothing_is_told_of_no_records() -> None:
    one = Bench(bench().plan, [])
    assert "no record" in printed(one, 80)


# ---- files


def test_each_attempt_is_a_line_of_predictions(tmp_path: Path) -> None:
    one = bench(replies=True, text=HOSTILE)
    late = one.records[0].model_copy(update={"parsed": "Others", "status": "scored"})
    write_files(tmp_path, one.plan, one.found, lambda: iter([*one.records, late]))
    lines = (tmp_path / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == len(one.records)
    assert {
        "item",
        "dialogue",
        "arm",
        "stage",
        "progress",
        "truth",
        "predicted",
        "status",
        "reply",
        "reference",
    } <= set(rows[0])
    first = next(row for row in rows if (row["item"], row["arm"]) == ("d0/0", "plain"))
    assert (first["dialogue"], first["predicted"]) == ("d0", "Others")
    assert all((row["predicted"] is None) == (row["status"] != "scored") for row in rows)
    assert all((row["reply"] is None) == (row["status"] == "failed") for row in rows)


def test_bare_names_are_no_replies(tmp_path: Path) -> None:
    one = bench()
    write_files(tmp_path, one.plan, one.found, one.read)
    rows = map(json.loads, (tmp_path / "predictions.jsonl").read_text(encoding="utf-8").splitlines())
    assert {row["reply"] for row in rows} == {None}


def test_the_summary_is_the_findings(tmp_path: Path) -> None:
    one = bench()
    write_files(tmp_path, one.plan, one.found, one.read)
    assert SupportFindings.model_validate_json((tmp_path / "support.json").read_bytes()) == one.found


def test_preferences_are_written_for_each_arm(tmp_path: Path) -> None:
    one = bench()
    write_files(tmp_path, one.plan, one.found, one.read)
    found = json.loads((tmp_path / "preferences-debias-0.5.json").read_text(encoding="utf-8"))
    arm = one.found.arms[3]
    assert found == {"preferences": arm.preferences, "model": "test/model", "arm": "debias:0.5", "n": arm.n}
    assert list(found["preferences"]) == list(STRATEGIES)
    assert len(list(tmp_path.glob("preferences-*.json"))) == 4


def test_names_of_files_are_safe_and_differ() -> None:
    names = file_names(["a:b", "a/b", "A b", "../..", "", "x" * 300, "x" * 301, "plain (openai/gpt)"])
    assert len({name.casefold() for name in names.values()}) == 8
    assert all(re.fullmatch(r"[\w.+=-]{1,90}", name) and not name.startswith(".") for name in names.values())
    assert names["a:b"] == "a-b"


def test_an_arm_of_a_joined_report_names_its_own_model(tmp_path: Path) -> None:
    one = bench(dialogues=4)
    label = "plain (y/two)"
    plan = one.plan.model_copy(
        update={"model": "x/one, y/two", "arms": (Arm(label=label, spec="plain", title="plain"),), "baseline": label}
    )
    rows = [r.model_copy(update={"arm": label}) for r in one.records if r.arm == "plain"]
    write_files(tmp_path, plan, analyse_support(plan, rows, resamples=100), lambda: iter(rows))
    (path,) = tmp_path.glob("preferences-*.json")
    assert json.loads(path.read_text(encoding="utf-8"))["model"] == "y/two"


# ---- pictures


@pytest.mark.parametrize("arms", [1, 4, 11])
def test_the_pictures_are_drawn_and_told_in_words(tmp_path: Path, arms: int) -> None:
    from matplotlib.image import imread

    one = bench(arms=tuple(f"arm $\\frac{number}" for number in range(arms)), dialogues=8)
    drawn = draw(tmp_path, one.found)
    assert [p.path.stem for p in drawn[:2]] == ["preferences", "strategy_mix"]
    assert len(drawn) == 2 + arms
    assert {imread(p.path).shape[1] for p in drawn} == {1200}
    assert all(p.title and "arm $" in p.alt for p in drawn)


def test_nothing_is_drawn_of_nothing(tmp_path: Path) -> None:
    assert draw(tmp_path, Bench(bench().plan, []).found) == []


# ---- the report


def stored(folder: Path, one: Bench) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    write_plan(folder, one.plan)
    with (folder / RECORDS).open("wb") as file:
        file.writelines(record.as_json() + b"\n" for record in one.records)
    return folder


def data_of(page: Path) -> dict[str, Any]:
    match = re.search(
        r'<script type="application/json" id="data">(.*?)</script>', page.read_text(encoding="utf-8"), re.S
    )
    assert match
    data: dict[str, Any] = json.loads(match[1])
    return data


def test_only_suites_that_add_something_do() -> None:
    one = made(items=2, tasks=1)
    assert find_extras(one.plan, one.read) == []
    assert [extra.name for extra in find_extras(bench().plan, bench().read)] == ["support"]


def test_other_suites_import_nothing_of_support() -> None:
    code = (
        "import sys; from tests.evaluation.made_records import made;"
        "from emoagents.evaluation.report import find_extras;"
        "one = made(items=2); find_extras(one.plan, one.read);"
        "assert not [m for m in sys.modules if m.startswith('emoagents.evaluation.support')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_page_holds_the_section_and_its_pictures(tmp_path: Path) -> None:
    one = bench(dialogues=10)
    page = write_all(tmp_path, one.plan, analyse(one.plan, one.records, resamples=100), one.read)
    (section,) = data_of(page)["extra"]
    assert (section["id"], section["title"]) == ("support", "Support strategies")
    kinds = [part["kind"] for part in section["shown"]]
    assert kinds == ["table"] * 4 + ["picture"] * 2
    assert [part["kind"] for part in section["more"]] == ["table"] * 2 + ["picture"] * 4
    assert all(part["address"].startswith("data:image/png;base64,") for part in section["more"][2:])
    for part in section["shown"][:4]:
        assert all(len(row) == len(part["columns"]) for row in part["rows"])
    chosen = section["shown"][0]["rows"]
    assert [row[0].partition(" (")[0] for row in chosen] == [*_TASTES, "uniform random", "majority"]
    for name in (
        "predictions.jsonl",
        "support.json",
        "preferences-plain.json",
        "figures/preferences.png",
        "report.html",
    ):
        assert (tmp_path / name).exists()
    assert not list(tmp_path.rglob("*.new"))


def test_a_page_of_another_suite_has_no_section(tmp_path: Path) -> None:
    one = made(items=4, tasks=1)
    assert data_of(write_all(tmp_path, one.plan, one.findings, one.read))["extra"] == []
    assert not (tmp_path / "support.json").exists()


def test_the_report_command_prints_and_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = stored(tmp_path / "run", bench(dialogues=6))
    assert report_on([folder], None, as_json=False) == 0
    told = capsys.readouterr().out
    assert told.index("Highest score") < told.index("Support strategies: 24 instances of 6 dialogues")
    assert (folder / "support.json").exists()


def test_the_report_command_prints_one_json_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = stored(tmp_path / "run", bench(dialogues=6))
    report_on([folder], tmp_path / "out", as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert Findings.model_validate(told).arms
    assert SupportFindings.model_validate(told["support"]).instances == 24


def test_the_json_of_other_suites_is_as_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = made(items=2, tasks=1, arms=2)
    print_and_write(tmp_path, one.plan, one.read, one.findings, as_json=True)
    assert capsys.readouterr().out == one.findings.model_dump_json() + "\n"


def test_runs_of_two_models_are_joined(tmp_path: Path) -> None:
    one = bench(dialogues=5)
    other = Bench(one.plan.model_copy(update={"model": "other/model"}), one.records)
    plan, read = merge([stored(tmp_path / "a", one), stored(tmp_path / "b", other)])
    found = analyse_support(plan, read(), resamples=100)
    assert len(found.arms) == 8
    section = SupportExtra(plan, found).write(tmp_path / "joined", read)
    assert section.tables[1].columns[-1].head == "Baseline"
    assert {row[-1] for row in section.tables[1].rows} == {"plain (test/model)", "plain (other/model)"}
    assert {(d.arm, d.reference) for d in found.differences} >= {
        ("debias:0.5 (test/model)", "plain (test/model)"),
        ("debias:0.5 (other/model)", "plain (other/model)"),
    }


def test_a_section_without_anything_is_plain_data(tmp_path: Path) -> None:
    assert section_data(Section("x", "X")) == {
        "id": "x",
        "title": "X",
        "text": [],
        "notes": [],
        "shown": [],
        "more": [],
    }
    with pytest.raises(FileNotFoundError):
        section_data(Section("x", "X", pictures=[Picture(tmp_path / "none.png", "none", "none")]))


# ---- the page in a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        one = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield one
        one.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    kinds = {
        "usual": bench(replies=True),
        "hostile": bench(arms=("plain", HOSTILE[:60], "W" * 300), dialogues=5, replies=True, text=HOSTILE),
    }
    folder = tmp_path_factory.mktemp("support")
    return {
        name: write_all(folder / name, one.plan, analyse(one.plan, one.records, resamples=100), one.read)
        for name, one in kinds.items()
    }


@pytest.mark.parametrize("kind", ["usual", "hostile"])
@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1280, "light"), (1280, "dark")])
def test_everybody_can_read_the_section(
    browser: Any, pages: dict[str, Path], tmp_path: Path, kind: str, width: int, scheme: str
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page, said, asked = context.new_page(), [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(pages[kind].as_uri())
    page.evaluate("for (const details of document.querySelectorAll('#support details')) details.open = true")
    for picture in page.query_selector_all("#support img"):
        picture.scroll_into_view_if_needed()
    page.wait_for_function(
        "[...document.querySelectorAll('#support img')].every(i => i.complete && i.naturalWidth > 0)"
    )
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate("[...document.querySelectorAll('#support img')].every(i => i.alt.length > 40)")
    assert page.evaluate("[...document.querySelectorAll('#support table')].every(t => t.caption?.textContent)")
    assert page.evaluate("[...document.querySelectorAll('#support .scroll')].every(s => s.tabIndex === 0)")
    assert page.evaluate(
        "(ids => new Set(ids).size === ids.length)([...document.querySelectorAll('[id]')].map(n => n.id))"
    )
    assert page.inner_text("nav a >> nth=1") == "Support strategies"
    assert "owned" not in page.title()
    assert said == []
    assert {url for url in asked if not url.startswith("data:")} == {asked[0]}
    folder = Path(os.environ.get("REPORT_SHOTS", tmp_path))
    page.locator("#support").screenshot(path=folder / f"support-{kind}-{width}-{scheme}.png")
    context.close()
