"""`emoagents diff`, and strategies' files on the command line."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from emoagents import EmotionPrompt, Heart, Plain, SelfAggregation, load_card
from emoagents.card import Card, Demo
from emoagents.cli.diff import show_changes
from emoagents.strategies.resample import Resample
from emoagents.strategy_file import Change, save_strategy
from tests.test_cli import Cli, cli

__all__ = ["cli"]


def tuned(text: str, *demos: Demo) -> Card:
    card = load_card("heart")
    ask = card.prompt("ask").model_copy(update={"text": text, "demos": list(demos)})
    return card.model_copy(update={"prompts": {**card.prompts, "ask": ask}})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    demo = Demo(values={"question": "2 + 2?"}, answer="[bold]4[/bold]\x1b[31m")
    made = Heart(rounds=5, verifier=str.isdigit, card=tuned("Think.\n\n{{question}}", demo))
    save_strategy(made, tmp_path / "mine.toml", notes=["Tuned."])
    return tmp_path / "mine.toml"


def shown(*changes: Change, terminal: bool = False, no_color: bool = False, width: int = 60) -> str:
    stream = io.StringIO()
    system = "truecolor" if terminal else None
    show_changes(
        Console(file=stream, force_terminal=terminal, color_system=system, no_color=no_color, width=width),  # type: ignore[arg-type]
        changes,
    )
    return stream.getvalue()


# -- the command -------------------------------------------------------------------------------------------------------


def test_alike_and_different(cli: Cli, file: Path) -> None:
    assert cli("diff heart heart:3") == (0, "no difference\n", "")
    assert cli(f"diff {file} {file}").status == 0
    assert cli("diff heart heart@neutral") == (1, "parameters.tone: [-emotional-]{+neutral+}\n", "")


def test_a_file_is_shown_without_what_it_needs(cli: Cli, file: Path) -> None:
    status, out, err = cli(f"diff heart {file}")
    assert (status, err) == (1, "")
    assert out.splitlines() == [
        "parameters.rounds: [-3-]{+5+}",
        "parameters.verifier: + (to be given)",
        "notes: + Tuned.",
        "prompts.ask.text",
        "  {+Think.↵+}",
        "  {+↵+}",
        "  {{question}}",
        "prompts.ask.demos",
        "  + question: 2 + 2?",
        "    answer: [bold]4[/bold]␛[31m",
    ]


@pytest.mark.parametrize("name", ["a:b.toml", "a|b.toml", "a@c.toml"])
def test_a_file_of_any_name(name: str, cli: Cli, tmp_path: Path) -> None:
    save_strategy(Heart(verifier=str.isdigit, rounds=2), tmp_path / name)
    assert "parameters.rounds: [-3-]{+2+}" in cli(f"diff heart '{tmp_path}/{name}'").out
    assert cli(f"diff '{tmp_path}/{name}' '{tmp_path}/{name}'").status == 0


def test_as_json(cli: Cli, file: Path) -> None:
    status, out, _ = cli(f"diff --json heart {file}")
    found = json.loads(out)
    assert (status, found["alike"], found["old"], found["new"]) == (1, False, "heart", str(file))
    assert {"place": "parameters.rounds", "old": "3", "new": "5"} in found["changes"]
    assert json.loads(cli("diff --json heart heart").out) == {
        "old": "heart",
        "new": "heart",
        "alike": True,
        "changes": [],
    }


def test_pipes_and_solvers(cli: Cli, tmp_path: Path) -> None:
    save_strategy(EmotionPrompt("EP05") | Heart(solver=SelfAggregation(2)), tmp_path / "mine.toml")
    assert cli(f"diff heart {tmp_path}/mine.toml").out.splitlines() == [
        "emotion_prompt: + emotion_prompt (stimulus = EP05)",
        "solver: + self_aggregation (samples = 2)",
    ]
    assert cli(f"diff 'ep:EP02 | heart' {tmp_path}/mine.toml").out.splitlines()[0] == (
        "emotion_prompt.parameters.stimulus: [-EP02-]{+EP05+}"
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("diff heart hart", "unknown strategy 'hart'; did you mean heart?"),
        ("diff heart nowhere.toml", "card nowhere.toml: cannot be read: No such file or directory"),
        ("diff heart ''", "diff takes two strategies"),
        ("diff heart", "missing argument 'NEW'"),
        ("diff heart:x gsa", "Heart: rounds: "),
    ],
)
def test_mistakes(cli: Cli, line: str, said: str) -> None:
    status, out, err = cli(line)
    assert (status, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


# -- on the screen -----------------------------------------------------------------------------------------------------


def test_colour_only_where_it_is_wanted() -> None:
    change = Change("prompts.ask.text", "Answer the question now", "Answer this question now")
    assert shown(change) == "prompts.ask.text: Answer [-the-]{+this+} question now\n"
    assert "\x1b" not in shown(change, terminal=True, no_color=True)
    coloured = shown(change, terminal=True)
    assert "\x1b[9;31mthe\x1b[0m\x1b[32mthis\x1b[0m" in coloured
    assert "[-" not in coloured


def test_blanks_and_line_ends_can_be_seen() -> None:
    assert shown(Change("a", "one two", "one  two")) == "a: one[- -]{+  +}two\n"
    assert shown(Change("a", "one two three", "one two three\n")) == "a\n  one two three{+↵+}\n  \n"
    assert "\x1b[7;9;31m \x1b[0m\x1b[7;32m  \x1b[0m" in shown(Change("a", "one two", "one  two"), terminal=True)


def test_only_lines_near_a_change_are_shown() -> None:
    lines = [f"line {n}" for n in range(20)]
    out = shown(Change("a", "\n".join(lines), "\n".join([*lines[:10], "line ten", *lines[11:]])))
    assert out.splitlines() == ["a", "  ...", "  line 8", "  line 9", "  line [-10-]{+ten+}", *_AFTER]


_AFTER = ["  line 11", "  line 12", "  ..."]


def test_texts_with_little_in_common_stand_one_after_the_other() -> None:
    out = shown(Change("a", "Here is one text\nof two lines", "Utterly other words"))
    assert out == "a\n  - Here is one text\n    of two lines\n  + Utterly other words\n"


def test_long_texts_are_compared_by_lines() -> None:
    old = "".join(f"word {n} of many, and more\n" for n in range(10_000))
    assert "[-word 5000 of many, and more" in shown(Change("a", old, old.replace("word 5000 ", "another ")))


_ANY = st.text() | st.text(st.sampled_from("a b\n\r\t\x1b[]{}/-+\x07\x9b\x00"))


@given(_ANY, _ANY, st.booleans())
def test_no_text_reaches_the_terminal_as_more_than_text(old: str, new: str, whole: bool) -> None:
    change = Change(f"prompts.{old}", None if whole else old, new)
    plain = shown(change, terminal=True, no_color=True, width=10_000)
    assert not set(plain) & {chr(code) for code in [*range(10), *range(11, 32), *range(127, 160)]} - {"\t"}
    marked = shown(change)
    assert "\x1b" not in marked


# -- files elsewhere on the command line -------------------------------------------------------------------------------


def test_files_run_and_compare(cli: Cli, file: Path, tmp_path: Path) -> None:
    (tmp_path / "answers.json").write_text(json.dumps({"rules": {"": "42"}}))
    model = f"-m scripted/{tmp_path}/answers.json"
    done = cli(f"run 'How many?' -s {file} {model} -p rounds=0 -p verifier=exact:42 --json")
    assert (done.status, json.loads(done.out)["answer"]) == (0, "42")
    missing = cli(f"run 'How many?' -s {file} {model}")
    assert (missing.status, missing.out) == (2, "")
    assert "needs verifier, which can't stand in a file" in missing.err

    save_strategy(EmotionPrompt("EP02") | Plain(), tmp_path / "pair.toml")
    (tmp_path / "data.csv").write_text("input,target\nHow many?,42\n")
    line = f"compare -t csv:{tmp_path}/data.csv -s 'plain, {tmp_path}/pair.toml' {model} --out {tmp_path}/kept --json"
    assert cli(line).status == 0
    assert cli(line).status == 0
    save_strategy(EmotionPrompt("EP03") | Plain(), tmp_path / "pair.toml")
    refused = cli(line)
    assert refused.status == 2
    assert "pair.toml" in refused.err


def test_the_catalogue_takes_files(cli: Cli, tmp_path: Path) -> None:
    save_strategy(Heart(rounds=2, solver=SelfAggregation(4)), tmp_path / "one.toml")
    save_strategy(EmotionPrompt() | Plain(), tmp_path / "two.toml")
    assert "a whole number from 0 to 1000; default 2" in " ".join(cli(f"strategies {tmp_path}/one.toml").out.split())
    assert "default self_aggregation" in cli(f"strategies {tmp_path}/one.toml").out
    assert "stimulate" in cli(f"strategies --mermaid {tmp_path}/two.toml").out
    assert "holds several strategies" in cli(f"strategies {tmp_path}/two.toml").err


def test_the_catalogue_shows_a_file_without_what_it_needs(cli: Cli, tmp_path: Path) -> None:
    inner = Heart(rounds=2, verifier=str.isdigit, solver=Resample(verifier=str.isdigit))
    for name, made in (("one", inner), ("two", EmotionPrompt() | inner), ("outer", SelfAggregation(4, solver=inner))):
        save_strategy(made, tmp_path / f"{name}.toml")
    status, out, err = cli(f"strategies '{tmp_path}/one.toml'")
    assert (status, err) == (0, "")
    assert "default none: it has to be given" in " ".join(out.split())
    assert "a whole number from 0 to 1000; default 2" in " ".join(out.split())
    facts = json.loads(cli(f"strategies '{tmp_path}/one.toml' --json").out)
    assert facts["graph"] == json.loads(cli("strategies heart --json").out)["graph"]
    assert cli(f"strategies '{tmp_path}/outer.toml'").status == 0
    for name in ("one", "two"):
        assert "graph TD" in cli(f"strategies --mermaid '{tmp_path}/{name}.toml'").out
