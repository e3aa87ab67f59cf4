"""The command line from inside: `main` with its arguments, what it prints, and the status it returns."""

from __future__ import annotations

import io
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from emoagents import Heart, Plain, Result, Usage
from emoagents.cli import main
from emoagents.cli.events import every_line, telling_line
from emoagents.cli.facts import facts_of
from emoagents.cli.inputs import read_parameters
from emoagents.cli.loading import is_loading
from emoagents.cli.output import usage_line
from emoagents.cli.progress import Progress
from emoagents.cli.screen import View
from emoagents.cli.text import harmless, one_line
from emoagents.errors import ParameterError
from emoagents.model.embedded.engine import ENGINE
from emoagents.model.litellm_backend import redact
from emoagents.nodes.bandit import EmotionBandit
from emoagents.registry import strategy_names


class Done(NamedTuple):
    status: int
    out: str
    err: str


Cli = Callable[..., Done]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    for name in ("EMOAGENTS_DEBUG", "EMOAGENTS_MODEL", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")

    def call(line: str, *more: str, stdin: bytes | None = None) -> Done:
        if stdin is not None:
            monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        status = main([*shlex.split(line), *more])
        return Done(status, *capsys.readouterr())

    return call


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., str]:
    def write(answers: Any = "the answer", **more: Any) -> str:
        file = tmp_path / "script.json"
        file.write_text(json.dumps({"rules": {"": answers}, **more}))
        return f"scripted/{file}"

    return write


# -- answers -----------------------------------------------------------------------------------------------------


def test_piped_it_prints_the_answer_alone(cli: Cli, script: Callable[..., str]) -> None:
    assert cli("run hi -m", script("the\x1b[1m answer")) == (0, "the\x1b[1m answer\n", "")


def test_the_default_strategy_is_the_one_that_help_names(cli: Cli, script: Callable[..., str]) -> None:
    assert "[default: emotion_prompt | gsa]" in cli("run --help").out
    done = cli("run hi --json -m", script())
    assert json.loads(done.out)["strategy"] == "emotion_prompt | self_aggregation"


def test_json_is_one_object_in_one_line(cli: Cli, script: Callable[..., str]) -> None:
    done = cli("run 'What is 2+2?' -s plain --json -m", script("four\nö"))
    assert (done.status, done.out.count("\n"), done.err) == (0, 1, "")
    whole = json.loads(done.out)
    assert list(whole) == ["answer", "strategy", "model", "stopped_by", "usage", "trace"]
    assert (whole["answer"], whole["strategy"], whole["stopped_by"]) == ("four\nö", "plain", "complete")
    assert whole["usage"] == {
        "calls": 1,
        "cached_calls": 0,
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "cost_usd": 0.0,
    }
    assert [event["event"] for event in whole["trace"]] == ["call", "answer"]


def test_what_the_model_is_sent(cli: Cli, script: Callable[..., str]) -> None:
    line = "run - -s plain --system 'Be brief.' --temperature 0 --max-tokens 5 --seed 7 --timeout 9 --json -m"
    done = cli(line, script(), stdin="\ufeffwhät\nnow\r\n".encode())
    prompt = json.loads(done.out)["trace"][0]["prompt"]
    assert prompt == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "whät\nnow"}]


def test_parameters_and_a_card_reach_the_strategy(cli: Cli, script: Callable[..., str], tmp_path: Path) -> None:
    card = tmp_path / "mine.toml"
    card.write_text(
        'name = "heart"\n[[stimuli]]\nid = "fear-1"\ntext = "Oh dear."\n[prompts.feedback]\ntext = "{{phrase}}"'
    )
    line = f"run hi -s 'heart:1@emotional' -p verifier=exact:b -p schedule=fixed -p emotion=fear --seed 1 --card {card}"
    trace = json.loads(cli(f"{line} --json -m", script(["a", "b"])).out)["trace"]
    feedback = next(event for event in trace if event["event"] == "feedback")
    assert feedback["emotion"] == "fear"
    assert trace[-1]["verified"] is True


def test_a_role_has_a_model_of_its_own(cli: Cli, script: Callable[..., str], tmp_path: Path) -> None:
    core = tmp_path / "core.json"
    core.write_text(json.dumps({"rules": {"": "the core"}}))
    line = f"run hi -s coem:base -m {script()}"
    assert cli(f"{line} --role core=scripted/{core}").out == "the core\n"
    assert cli(f"{line} --role sage=scripted/{core}").out == cli(line).out != "the core\n"


def test_a_second_run_asks_nothing_twice(cli: Cli, script: Callable[..., str], tmp_path: Path) -> None:
    line = f"run hi -s gsa:2 --cache {tmp_path / 'answers.db'} --json -m {script()}"
    first, second = (json.loads(cli(line).out)["usage"] for _ in range(2))
    assert (first["calls"], second["calls"], second["cached_calls"]) == (2, 0, 3)


def test_a_budget_that_ends_still_brings_an_answer(cli: Cli, script: Callable[..., str]) -> None:
    done = cli("run hi -s heart:3 -p verifier=exact:x --budget calls=2 --json -m", script())
    assert (done.status, json.loads(done.out)["stopped_by"]) == (0, "budget")


def test_verbose_tells_every_event_on_stderr(cli: Cli, script: Callable[..., str]) -> None:
    done = cli("run hi -v -s ep -m", script())
    assert done.out == "the answer\n"
    assert [line.split()[:2] for line in done.err.splitlines()] == [
        ["stimulate", "stimulus"],
        ["ask", "call"],
        ["ask", "answer"],
    ]


# -- mistakes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("rum", "unknown command 'rum'; did you mean run?"),
        ("run hi --stratgy x", "no such option: --stratgy; did you mean --strategy?"),
        ("--vresion", "no such option: --vresion; did you mean --version?"),
        ("run hi -s hart", "unknown strategy 'hart'; did you mean heart?"),
        ("run hi -s gsa -p smples=3", "no parameter 'smples'; did you mean samples?"),
        ("run hi -p samples", "--param takes NAME=VALUE, as samples=5, not 'samples'"),
        ("run hi -p a=1 -p a=2", "--param a is given twice"),
        ("run hi --role sage", "--role is NAME=MODEL, as sage=openai/gpt-4o, not 'sage'"),
        ("run hi --role sage=", "--role is NAME=MODEL, as sage=openai/gpt-4o, not 'sage='"),
        ("chat --role =openai/gpt-4o", "--role is NAME=MODEL, as sage=openai/gpt-4o, not '=openai/gpt-4o'"),
        ("run hi --role a=x/y --role 'a = x/z'", "--role a is given twice"),
        ("run hi -s gsa --role sage=x/y", "--role sage: no part of self_aggregation has roles"),
        ("run hi -s coem --role sgae=x/y", "unknown role 'sgae'; did you mean sage?"),
        ("run hi --seed x", "invalid value for '--seed'"),
        ("run hi there", "unexpected extra argument"),
        ("run hi --strategy", "option '--strategy' requires an argument"),
        ("run hi --budget euros=3", "budget: no limit 'euros'"),
        ("run hi --budget calls=nan", "budget: calls must be a whole number, not 'nan'"),
        ("run hi --budget ,", "budget: it is empty"),
        ("run hi --timeout 0", "--timeout must be a number of seconds above 0"),
        ("run hi --timeout nan", "--timeout must be a number of seconds above 0"),
        ("run hi --temperature 99", "temperature must be"),
        ("run hi --card none.toml -s gsa", "card none.toml: cannot be read"),
        ("run hi -m scripted/none.json", "script none.json: No such file"),
        ("run hi -m embedded/other", "did you mean embedded/smollm2?"),
        ("run ''", "the prompt is empty"),
        ("run ' \n'", "the prompt is empty"),
        ("run \udcff", "the prompt is not UTF-8 text"),
        ("run hi --system \udcff", "--system is not UTF-8 text"),
        ("strategies hert", "unknown strategy 'hert'; did you mean heart?"),
        ("strategies --mermaid", "--mermaid needs the name of a strategy"),
        ("strategies 'ep | gsa'", "shows one strategy by its bare name"),
    ],
)
def test_a_mistake_is_one_sentence_and_status_2(cli: Cli, line: str, message: str) -> None:
    done = cli(line)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("error: ")
    assert message in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("stdin", "message"),
    [(b"", "the prompt is empty"), (b"\n", "the prompt is empty"), (b"ab\xff", "not UTF-8 text (at byte 2)")],
)
def test_stdin_that_is_no_prompt(cli: Cli, stdin: bytes, message: str) -> None:
    for line in ("run", "run -"):
        done = cli(line, stdin=stdin)
        assert (done.status, done.out) == (2, "")
        assert message in done.err


def test_a_failed_run_has_status_1_and_prints_nothing(cli: Cli, script: Callable[..., str]) -> None:
    for more in ("", "--json"):
        done = cli(f"run hi -s plain {more} -m", script(faults=[400]))
        assert (done.status, done.out) == (1, "")
        assert done.err.startswith("error: scripted/")
        assert done.err.count("\n") == 1


def test_an_unknown_error_is_one_line_unless_debugging(
    cli: Cli, script: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("something\nodd \x1b[31m")

    monkeypatch.setattr("emoagents.cli.run.read_prompt", broken)
    expected = "error: internal error: RuntimeError: something odd ␛[31m"
    assert cli("run hi") == (1, "", f"{expected}, run again with --debug\n")
    for line in ("run hi --debug", "--debug run hi"):
        done = cli(line)
        assert "Traceback" in done.err
        assert done.err.endswith(f"{expected}\n")
    monkeypatch.setenv("EMOAGENTS_DEBUG", "1")
    assert "Traceback" in cli("run hi").err


def test_keys_are_never_printed(cli: Cli, script: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("refused: opensesame123 with Bearer abcdefg")

    monkeypatch.setenv("ACME_API_KEY", "opensesame123")
    monkeypatch.setattr("emoagents.cli.run.read_prompt", broken)
    assert redact("opensesame123") == "***"
    for line in ("run hi", "run hi --debug"):
        done = cli(line)
        assert "opensesame123" not in done.err
        assert "abcdefg" not in done.err


def test_without_stderr_a_mistake_still_has_its_status(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", None)
    assert cli("run hi -s hart").status == 2
    assert cli("run hi -v -s hart").status == 2


# -- help and the list of strategies -----------------------------------------------------------------------------


def test_help_and_version(cli: Cli) -> None:
    bare, asked = cli(""), cli("--help")
    assert bare == asked
    assert asked.status == 0
    assert "run" in asked.out
    assert cli("--version").out.startswith("emoagents ")


@pytest.mark.parametrize("line", ["--help", "run --help", "strategies --help", "strategies", "strategies heart"])
@pytest.mark.parametrize("columns", ["60", "80"])
def test_pages_fit_the_screen(cli: Cli, monkeypatch: pytest.MonkeyPatch, line: str, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    done = cli(line)
    assert done.status == 0
    wide = [row for row in done.out.splitlines() if len(row) > int(columns)]
    assert all("emoagents " in row for row in wide), "only an example that one copies may be longer"


def test_the_list(cli: Cli) -> None:
    done = cli("strategies")
    assert all(name in done.out for name in strategy_names())
    listed = json.loads(cli("strategies --json").out)
    assert [entry["name"] for entry in listed] == strategy_names()
    assert {"title", "kind", "summary", "aliases"} <= set(listed[0])


@pytest.mark.parametrize("name", strategy_names())
def test_each_strategy_has_a_page(cli: Cli, name: str) -> None:
    page = cli(f"strategies {name}").out
    facts = json.loads(cli(f"strategies {name} --json").out)
    assert facts["expected_calls"] in " ".join(page.split())
    for parameter in facts["parameters"]:
        assert parameter["name"] in page
        assert parameter["help"] or parameter["name"] == "card"
        assert "object at" not in parameter["type"]
    assert all(stimulus["id"] in page for stimulus in facts["card"]["stimuli"])
    assert "start" in facts["graph"]


def test_a_page_says_what_is_whose(cli: Cli) -> None:
    page = cli("strategies heart").out
    for part in ("[ours]", "https://arxiv.org/abs/2509.22876", "a whole number from 0 to 1000; default 3"):
        assert part in page
    assert "conclude or encourage" in page
    assert "or the adaptive schedule" not in page


def test_what_heart_has_learned(cli: Cli, tmp_path: Path) -> None:
    memory = tmp_path / "memory.json"
    EmotionBandit(memory).learn([("fear", True), ("fear", False), ("anger", False)])
    page = cli(f"strategies heart --memory {memory}").out
    assert "repaired 1 of 2" in page
    assert page.index("repaired 1 of 2") < page.index("repaired 0 of 1")
    assert facts_of("heart", memory).as_data()["learned"]["fear"] == {"tried": 2, "repaired": 1}
    memory.write_text("no state")
    assert cli(f"strategies heart --memory {memory}").status == 2


def test_mermaid(cli: Cli) -> None:
    assert "attempt" in cli("strategies heart --mermaid").out
    piped = cli("strategies 'ep | gsa:3' --mermaid").out
    assert "stimulate --> sample" in piped
    assert "graph TD" in piped


# -- the parts ---------------------------------------------------------------------------------------------------


@given(
    st.dictionaries(
        st.text(st.characters(exclude_characters="=", exclude_categories=["Cs"])).map(str.strip),
        st.text(st.characters(exclude_categories=["Cs"])),
    )
)
def test_parameters_are_read_as_they_are_written(parameters: dict[str, str]) -> None:
    written = [f"{name}={value}" for name, value in parameters.items()]
    if "" in parameters:
        with pytest.raises(ParameterError):
            read_parameters(written)
    else:
        assert read_parameters(written) == parameters


@given(st.text())
def test_harmless_text_has_nothing_that_a_terminal_obeys(text: str) -> None:
    assert all(c in "\n\t" or (ord(c) >= 0x20 and not 0x7F <= ord(c) < 0xA0) for c in harmless(text))
    assert "\n" not in one_line(text)
    assert harmless(harmless(text)) == harmless(text)


def result(**more: Any) -> Result:
    return Result(**{"answer": "a", "strategy": "s", "model": "m", "stopped_by": "complete", **more})


def test_the_usage_line() -> None:
    usage = Usage(calls=1, cached_calls=2, failed_calls=3, prompt_tokens=4, completion_tokens=5, cost_usd=0.00123)
    line = usage_line(result(usage=usage), Plain(), 1.25)
    assert line == "1 call · 2 cached · 3 failed · 4 + 5 tokens · $0.0012 · 1.2 s · complete"
    assert "cost unknown" in usage_line(result(usage=Usage(cost_usd=None)), Plain(), 0)


@pytest.mark.parametrize(
    ("verifier", "verified", "said"),
    [
        (None, None, "stopped by rounds · unverified: no verifier was given"),
        ("judge", None, "stopped by rounds · unverified: it could not be judged"),
        ("judge", False, "stopped by rounds · not verified"),
    ],
)
def test_an_answer_that_is_not_verified_says_so(verifier: str | None, verified: bool | None, said: str) -> None:
    line = usage_line(result(stopped_by="rounds", verified=verified), Heart(verifier=verifier), 0)
    assert line.endswith(said)


def event(kind: str, node: str = "ask", **more: Any) -> dict[str, Any]:
    return {"event": kind, "node": node, **more}


def test_progress_in_words() -> None:
    progress = Progress()
    assert progress.status() == "starting · 0 s"
    progress.asks("scripted/x")
    assert progress.status() == "asking scripted/x · 0 s"
    progress.follow(event("call"))
    progress.follow(event("retry", seconds=30.0, attempt=1, error="e"))
    assert progress.status() == "asking again in 30 s · 0 s · 1 call done"
    progress.follow(event("token", text="a", final=False))
    assert progress.status() == "asking scripted/x · 0 s · 1 call done · 1 token"
    progress.follow(event("call"))
    progress.follow(event("feedback", round=1, emotion="fear", text="t"))
    assert progress.status() == "asking scripted/x · 0 s · round 1, fear · 2 calls done"
    progress.follow(event("feedback", round=1, emotion="anger", text="t"))
    progress.follow(event("token", text="b", final=True))
    assert progress.status() == "writing the answer · 0 s · round 1, 2 emotions · 2 calls done · 1 token"
    progress.follow(event("retry", seconds=0.0, attempt=1, error="e"))
    assert progress.answer == "", "a broken stream is asked for from its beginning"


def test_progress_says_that_a_model_is_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    progress = Progress()
    progress.asks("embedded/smollm2")
    monkeypatch.setattr(ENGINE, "_server", None)
    assert progress.status().startswith("loading embedded/smollm2 ...")
    monkeypatch.setattr(ENGINE, "_server", object())
    assert progress.status().startswith("asking embedded/smollm2")
    assert not is_loading("scripted/x")


@pytest.mark.parametrize(
    ("told", "line"),
    [
        (event("stimulus", ids=["EP01", "EP02"], text="t", tone="neutral"), ("stimulus", "EP01, EP02 (neutral): t")),
        (event("candidate", index=1, text="a\n[b]\x1b"), ("candidate", "2: a [b]␛")),
        (event("verdict", ok=None, reason=""), None),
        (event("verdict", ok=False, reason="no number"), ("verdict", "not right: no number")),
        (event("verdict", ok=True, reason=""), ("verdict", "right")),
        (event("feedback", round=2, emotion="joy", text="Go.\n\nMore"), ("feedback", "round 2, joy: Go.")),
        (event("retry", seconds=0.52, error="429"), ("again", "in 0.5 s: 429")),
        (event("vote", counts={"7": 2}, unparsed=1), ("vote", "7 (2), unread (1)")),
        (event("scores", scores=[7.0, None]), ("scores", "7, unread")),
        (event("choice", number=2, unparsed=False), ("choice", "candidate 2")),
        (event("cancelled", branches=5), ("stopped", "5 attempts beside the right one")),
        (event("trimmed", characters=80, sources=[0]), ("trimmed", "1 sources cut to 80 characters, to fit the model")),
        (event("trimmed", turns=3, characters=80), ("trimmed", "the 3 oldest turns left out, to fit the model")),
        (event("ranked", ranker="bm25", passages=[{}, {}]), ("ranked", "2 passages by bm25")),
        (event("stage", id="feel", fields={"mood": "calm"}), ("stage", "feel: mood: calm")),
        (event("stage", id="feel", fields={"mood": ""}, skipped=True), ("stage", "feel: skipped")),
        (event("stage", id="feel", fields={"mood": ""}, error="no reply"), ("stage", "feel: no reply")),
        (event("something new", x=1), None),
        (event("candidate", "attempt/sample", index=0, text="inside"), None),
    ],
)
def test_lines_that_tell_how_it_goes(told: dict[str, Any], line: tuple[str, str] | None) -> None:
    assert telling_line(told) == line


def test_verbose_lines_know_every_kind_of_event() -> None:
    assert every_line(event("something new", x="ü\x1b")) == ("ask", 'something new {"x": "ü\\u001b"}')
    assert every_line(event("token", text="a")) is None


def test_the_view_shows_the_end_of_the_answer_and_what_goes_on() -> None:
    progress = Progress()
    progress.asks("scripted/x")
    for number in range(40):
        progress.follow(event("token", text=f"line {number}\x1b[31m [bold]\n", final=True))
    console = Console(file=io.StringIO(), width=30, height=10, markup=False)
    console.print(View(progress, "utf-8"))
    shown = [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert len(shown) <= 10
    assert "line 39␛[31m [bold]" in shown
    assert "line 30␛[31m [bold]" not in shown
    assert "writing the answer" in shown[-1]
    assert shown[-1].endswith("…")
