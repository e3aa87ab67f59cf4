"""`emoagents chat` from inside: lines of a pipe go in, replies and what is told beside them come out."""

from __future__ import annotations

import asyncio
import io
import json
import re
import shlex
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from blockbuster import blockbuster_ctx
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from rich.cells import cell_len

from emoagents import Context, Plain, ScriptedModel, Usage
from emoagents.cli import main
from emoagents.cli.chat.conversation import Account, Reply
from emoagents.cli.chat.flow import Flow
from emoagents.cli.chat.label import label_of
from emoagents.cli.chat.reading import MOST_CHARACTERS
from emoagents.cli.chat.screen import Screen
from emoagents.cli.chat.store import Store, alone_with, default_store, place_of, prepared
from emoagents.cli.chat.transcript import as_esconv
from emoagents.cli.chat.why import why_rows
from emoagents.support import crisis
from emoagents.support.load import read_dialogues
from tests.loopback import LoopbackServer


class Done(NamedTuple):
    status: int
    out: str
    err: str


Chat = Callable[..., Done]
Script = Callable[..., str]


@pytest.fixture
def chat(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Chat:
    for name in ("EMOAGENTS_DEBUG", "EMOAGENTS_MODEL", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")

    def call(line: str, *said: str | bytes, default: bool = False) -> Done:
        lines = b"".join(text if isinstance(text, bytes) else f"{text}\n".encode() for text in said)
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines), encoding="utf-8"))
        words = shlex.split(line)
        chosen = [] if default or {"-s", "--help"} & {*words} else ["-s", "plain"]
        status = main(["chat", *chosen, *words])
        return Done(status, *capsys.readouterr())

    return call


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """Writes a script. The regex of a rule is looked for in the whole prompt: all that was said so far."""

    def write(rules: dict[str, Any] | None = None, **more: Any) -> str:
        file = tmp_path / "script.json"
        file.write_text(json.dumps({"rules": rules or {"": "a reply"}, **more}))
        return f"-m scripted/{file}"

    return write


guarded = pytest.mark.skipif(not hasattr(crisis, "CrisisGuard"), reason="the crisis guard is not there yet")

REMEMBERS = {"one(?s:.*)two(?s:.*)three": "three of them", "one(?s:.*)two": "two of them", "one": "one of them"}


def kept(thread: str, store: Path | None = None) -> list[tuple[str, str]]:
    """Return what the store holds of a thread."""

    async def read() -> list[tuple[str, str]]:
        store_ = await Store.open(store or default_store())
        try:
            point = await store_.newest(thread)
        finally:
            await store_.close()
        return [] if point is None else [(m.type, m.text) for m in point.messages]

    return asyncio.run(read())


# -- talking -----------------------------------------------------------------------------------------------------


def test_lines_are_messages_and_replies_alone_go_to_stdout(chat: Chat, script: Script) -> None:
    done = chat(f"{script(REMEMBERS)} --thread t", "one", "", "   ", "two")
    assert (done.status, done.out) == (0, "one of them\ntwo of them\n")
    assert re.match(
        r"plain on scripted/.*\nthread t: go on with it by --thread t; /help lists the commands\n$", done.err
    )


def test_a_fresh_thread_has_a_short_name_by_which_one_goes_on(chat: Chat, script: Script) -> None:
    done = chat(script(REMEMBERS), "one")
    name = re.search(r"thread (\w{4}): go on with it by --thread (\w{4})", done.err)
    assert name is not None
    assert name[1] == name[2]
    again = chat(f"{script(REMEMBERS)} --thread {name[1]}", "two")
    assert again.out == "two of them\n"
    assert "2 messages so far; /help lists the commands\nyou: one\nreply: one of them\n" in again.err


def test_going_on_shows_the_last_two_exchanges(chat: Chat, script: Script) -> None:
    chat(f"{script()} --thread t", "first", "second", "third \x1b[31m[bold]")
    shown = chat(f"{script()} --thread t").err
    assert "6 messages so far" in shown
    assert "first" not in shown
    assert shown.index("second") < shown.index("third ␛[31m[bold]")


def test_another_strategy_goes_on_with_a_thread(chat: Chat, script: Script) -> None:
    chat(f"{script(REMEMBERS)} --thread t", "one")
    assert chat(f"{script(REMEMBERS)} -s heart:1 --thread t", "two").out == "two of them\n"
    assert chat(f"{script(REMEMBERS)} -s 'ep | gsa:2' --thread t", "three").out == "three of them\n"


def test_another_store(chat: Chat, script: Script, tmp_path: Path) -> None:
    file = tmp_path / "deep" / "er" / "chats.db"
    chat(f"{script()} --thread t --store {file}", "hi")
    assert kept("t", file) == [("human", "hi"), ("ai", "a reply")]
    assert file.stat().st_mode & 0o077 == 0, "it is for its owner alone"
    assert not default_store().exists()


def test_the_background_is_a_system_message_before_all(chat: Chat, script: Script) -> None:
    line = f"{script({'^She is new here': 'I know her', '': 'who?'})} --thread t"
    assert chat(f"{line} --background ' She is new here. '", "hi").out == "I know her\n"
    assert kept("t")[0] == ("system", "She is new here.")
    assert chat(line, "go on").out == "I know her\n"
    done = chat(f"{line} --background other", "hi")
    assert (done.status, done.out) == (2, "")
    assert done.err.endswith("error: thread t has begun already: --background is for a new one\n")


def test_settings_reach_the_strategy_and_the_model(chat: Chat, script: Script) -> None:
    line = f"{script({'': ['wrong', 'right']})} -s heart:3 -p verifier=contains:right --temperature 0.5 --seed 3"
    assert chat(f"{line} --max-tokens 99 --budget calls=5", "hi").out == "right\n"


def test_a_script_goes_on_over_the_turns_and_each_reply_has_a_budget_of_its_own(chat: Chat, script: Script) -> None:
    done = chat(f"{script({'': ['a', 'b', 'c']})} --budget calls=1", "x", "y", "z")
    assert (done.status, done.out) == (0, "a\nb\nc\n")


def test_a_role_of_the_same_provider_is_asked_at_the_same_address(chat: Chat) -> None:
    with LoopbackServer(rules=[("", "hello")]) as server:
        line = f"-s coem:base -m openai/loopback --role core=openai/other --api-base {server.url}"
        done = chat(line, "one", "two")
        assert (done.status, done.out) == (0, "hello\nhello\n"), done.err
        assert [seen.body["model"] for seen in server.requests] == ["other", "other"]


def test_nothing_blocks_the_event_loop(chat: Chat, script: Script) -> None:
    line = f"{script()} -s heart:1 --thread t --background b"
    with blockbuster_ctx("emoagents"):
        done = chat(line, "hi", "there", "/undo", "/threads", "/new", "hi")
    assert (done.status, done.out) == (0, "a reply\n" * 3)


# -- what is said ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "sent"),
    [
        (["two \\", "lines"], "two \nlines"),
        (["ends\\"], "ends\n"),
        (["//etc/passwd {x} {{y}} [bold]z[/bold] \x1b[31m"], "/etc/passwd {x} {{y}} [bold]z[/bold] \x1b[31m"),
        (["///"], "//"),
        (["  kept  "], "  kept  "),
        (["\ufeffgrün \U0001f600\r"], "grün \U0001f600"),
        (["x" * MOST_CHARACTERS], "x" * MOST_CHARACTERS),
    ],
)
def test_a_message_is_sent_as_it_is(chat: Chat, script: Script, lines: list[str], sent: str) -> None:
    assert chat(f"{script()} --thread t", *lines).status == 0
    assert kept("t") == [("human", sent), ("ai", "a reply")]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"a\0b\n", "the message holds a NUL character, so it is no text; it was not sent"),
        (b"a\xffb\n", "the message is not UTF-8 text; it was not sent"),
        (b"x" * (MOST_CHARACTERS + 1) + b"\n", "the message has 100001 characters, more than 100000; it was not sent"),
    ],
)
def test_what_is_no_message_is_told_and_not_sent(chat: Chat, script: Script, line: bytes, why: str) -> None:
    done = chat(f"{script()} --thread t", line, "fine")
    assert (done.status, done.out) == (1, "a reply\n")
    assert done.err.endswith(f"error: {why}\n")
    assert kept("t") == [("human", "fine"), ("ai", "a reply")]


# -- what goes wrong ---------------------------------------------------------------------------------------------


def test_a_failed_reply_leaves_the_conversation_as_it_was(chat: Chat, script: Script) -> None:
    line = f"{script({'bad': 'never', **REMEMBERS}, faults=[None, 400])} --thread t"
    done = chat(line, "one", "bad", "two")
    assert (done.status, done.out) == (1, "one of them\ntwo of them\n")
    error, note = done.err.splitlines()[-2:]
    assert error.startswith("error: scripted/")
    assert note == "your message was not answered; the conversation is as it was before it"
    assert [text for _, text in kept("t")] == ["one", "one of them", "two", "two of them"]
    assert b"bad" not in default_store().read_bytes()


def test_a_failed_first_reply_leaves_nothing(chat: Chat, script: Script) -> None:
    assert chat(f"{script(faults=[400])} --thread t", "hi").status == 1
    assert kept("t") == []
    assert chat(f"{script(faults=[400])} --thread u --background b", "hi").status == 1
    assert kept("u") == [("system", "b")]


def test_a_budget_that_ends_before_any_answer(chat: Chat, script: Script) -> None:
    done = chat(f"{script()} --budget calls=0 --thread t", "hi")
    assert (done.status, done.out, kept("t")) == (1, "", [])
    assert "error: budget of 0 calls is used up" in done.err


def test_a_model_that_can_never_answer_ends_a_pipe_at_once(chat: Chat, script: Script) -> None:
    done = chat(f"{script(faults=[401])} --thread t", "hi", "there")
    assert (done.status, done.out, kept("t")) == (2, "", [])
    assert done.err.splitlines()[-1].endswith("refused the call (401, scripted)")


@pytest.mark.parametrize(
    ("line", "status", "why"),
    [
        ("-s hart", 2, "unknown strategy 'hart'; did you mean heart?"),
        ("-p x", 2, "--param takes NAME=VALUE"),
        ("--thread ../x", 2, "--thread takes up to 64 letters, digits and - _ . (not first), not '../x'"),
        ("--thread ''", 2, "--thread takes up to 64"),
        ("--thread " + "x" * 65, 2, "--thread takes up to 64"),
        ("--background ' '", 2, "--background is empty"),
        ("--background \udcff", 2, "--background is not UTF-8 text"),
        ("--budget euros=1", 2, "budget: no limit 'euros'"),
        ("-m scripted/none.json", 2, "script none.json: No such file"),
        ("-m embedded/other", 2, "did you mean embedded/smollm2?"),
        ("--store {tmp}", 2, "unable to open database file; give another file by --store"),
        ("--store {tmp}/text/x", 2, "/text is no folder"),
        ("--store {tmp}/text", 2, "/text: file is not a database; give another file by --store"),
    ],
)
def test_a_mistake_is_one_sentence(
    chat: Chat, script: Script, tmp_path: Path, line: str, status: int, why: str
) -> None:
    (tmp_path / "text").write_text("no database at all, but a text " * 99)
    model = "" if "-m" in line else script()
    done = chat(f"{model} {line.format(tmp=tmp_path)}", "hi")
    assert (done.status, done.out) == (status, "")
    assert why in done.err.splitlines()[-1]
    assert done.err.splitlines()[-1].startswith("error: ")


def test_without_stdin(chat: Chat, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    assert main(["chat", "-s", "plain", *shlex.split(script())]) == 2


def test_without_stderr(chat: Chat, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", None)
    assert chat(script(), "hi", "/why", "/help").out == "a reply\n"


def test_a_thread_that_is_open_elsewhere(chat: Chat, script: Script) -> None:
    chat(f"{script()} --thread t", "hi")
    with alone_with(default_store(), "t"):
        done = chat(f"{script()} --thread t", "there")
        assert (done.status, done.out) == (1, "")
        assert done.err.endswith("error: thread t is open in another chat: close it there, or take another one\n")
        assert chat(f"{script()} --thread u", "there").status == 0
    assert chat(f"{script()} --thread t", "there").status == 0


def test_what_a_killed_process_left_unanswered_is_taken_back(chat: Chat, script: Script) -> None:
    chat(f"{script()} --thread t", "hi")

    async def leave_a_turn_behind() -> None:
        store = await Store.open(default_store())
        graph = Plain().compile(checkpointer=store.saver)
        context = Context(model=ScriptedModel([""], faults=[400]))
        with pytest.raises(Exception, match="400"):
            await graph.ainvoke({"messages": [("user", "secret")]}, place_of("t"), context=context)
        await store.close()

    asyncio.run(leave_a_turn_behind())
    assert kept("t")[-1] == ("human", "secret")
    done = chat(f"{script({'secret': 'remembered', '': 'forgotten'})} --thread t", "go on")
    assert done.out == "forgotten\n"
    assert "2 messages so far" in done.err
    assert "was not answered before the program ended; it was taken back" in done.err
    assert [text for _, text in kept("t")] == ["hi", "a reply", "go on", "forgotten"]


# -- commands ----------------------------------------------------------------------------------------------------


def test_undo_goes_back_step_by_step_and_the_store_with_it(chat: Chat, script: Script) -> None:
    line = f"{script(REMEMBERS)} --thread t"
    done = chat(line, "one", "two", "three", "/undo", "/undo", "two")
    assert done.out == "one of them\ntwo of them\nthree of them\ntwo of them\n"
    assert done.err.splitlines()[-2:] == ["taken back: three", "taken back: two"]
    again = chat(line, "/undo", "/undo", "/undo", "/undo")
    assert again.err.splitlines()[-3:] == [
        "taken back: one",
        *["error: nothing was said that could be taken back"] * 2,
    ]
    assert (again.status, kept("t")) == (1, [])
    assert b"of them" not in default_store().read_bytes(), "what was taken back is gone from the file"


@pytest.mark.parametrize("strategy", ["heart:1", "ep | gsa:2"])
def test_undo_with_strategies_of_many_steps(chat: Chat, script: Script, strategy: str) -> None:
    line = f"{script(REMEMBERS)} -s '{strategy}' --thread t"
    chat(line, "one", "two")
    assert chat(line, "/undo", "three").err.count("taken back: two") == 1
    assert [text for _, text in kept("t")] == ["one", "one of them", "three", "one of them"]


def test_undo_keeps_the_background(chat: Chat, script: Script) -> None:
    line = f"{script({'^She is new': 'I know her', '': 'who?'})} --thread t"
    chat(f"{line} --background 'She is new.'", "hi", "/undo")
    assert kept("t") == [("system", "She is new.")]
    assert chat(line, "hi", "/undo", "hello").out == "I know her\n" * 2


def test_why_tells_what_happened_and_what_it_cost(chat: Chat, script: Script) -> None:
    line = f"{script({'': ['[a]', 'b']})} -s heart:1 -p verifier=contains:b --thread t"
    told = chat(line, "/why", "hi", "/why").err
    assert "error: there is no reply yet" in told
    assert re.search(r"candidate +1: \[a\]\n +verdict +not right.*\n +feedback +round 1", told)
    assert re.search(r"usage +2 calls · \d+ \+ 2 tokens · \$0 · \d+\.\d s · verified\n", told)
    later = chat(line, "/why").err
    assert "candidate" in later
    assert "not known: the reply was made in an earlier session" in later


def test_why_after_undo_is_about_the_reply_before(chat: Chat, script: Script) -> None:
    told = chat(script({"": ["a", "b b"]}), "hi", "hi", "/undo", "/why").err
    assert "1 call · 1 + 1 tokens" in told
    assert "the model was asked as it is" in told


def test_save_writes_a_dialogue_that_the_reader_of_data_reads(chat: Chat, script: Script, tmp_path: Path) -> None:
    file = tmp_path / "my talk.json"
    line = f"{script({'': 'ja, grün'})} --background 'She is new.' --thread t"
    done = chat(line, f"/save {file}", "hi\\", "you", f"/save {file}", f"/save {file}", "more", f"/save! {file}")
    errors = [row for row in done.err.splitlines() if row.startswith("error")]
    assert errors == [
        "error: nothing was said that could be saved",
        f"error: {file} exists: /save! {file} overwrites it",
    ]
    assert done.err.count(f"saved in {file}\n") == 2
    (dialogue,) = read_dialogues(file)
    assert [(t.role, t.text) for t in dialogue.turns] == [
        ("seeker", "hi\nyou"),
        ("supporter", "ja, grün"),
        ("seeker", "more"),
        ("supporter", "ja, grün"),
    ]
    assert dialogue.background.situation == "She is new."
    assert main(["data", "esconv", str(file)]) == 0
    assert list(tmp_path.glob(".my*")) == []


def test_save_where_nothing_can_be_written(chat: Chat, script: Script, tmp_path: Path) -> None:
    done = chat(script(), "hi", f"/save {tmp_path}/none/x", f"/save! {tmp_path}/none/x", f"/save! {tmp_path}")
    assert (done.status, done.err.count("can't be written: ")) == (1, 3)


def test_threads_and_new(chat: Chat, script: Script) -> None:
    chat(f"{script()} --thread early", "hi", "there")
    done = chat(f"{script()} --thread late", "hi", "/new", "/threads", "hi", "/threads")
    fresh = re.findall(r"thread (\w{4}): go on", done.err)
    rows = [row.split() for row in done.err.splitlines() if " messages · " in row]
    assert [(row[0], row[1], row[-1] == "one") for row in rows] == [
        ("late", "2", False),
        ("early", "4", False),
        (fresh[-1], "2", True),
        ("late", "2", False),
        ("early", "4", False),
    ]


def test_new_leaves_the_old_thread_to_others_and_has_the_same_background(chat: Chat, script: Script) -> None:
    done = chat(f"{script({'^She': 'I know her'})} --thread t --background She", "hi", "/new", "hi")
    assert done.out == "I know her\nI know her\n"


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("/udno", "unknown command '/udno'; did you mean /undo? (a message that begins with / is written with two"),
        ("/", "unknown command '/'; there are /why, /undo, /save"),
        ("/home/me/x is gone", "unknown command '/home/me/x'"),
        ("/undo it", "/undo takes nothing behind it"),
        ("/why did you say so", "/why takes nothing behind it"),
        ("/save", "/save takes FILE behind it"),
        ("/threads", "no conversation is kept yet"),
    ],
)
def test_a_mistaken_command(chat: Chat, script: Script, command: str, why: str) -> None:
    done = chat(script(), command)
    assert (done.status, done.out) == (1, "")
    assert f"error: {why}" in done.err


def test_help_and_quit(chat: Chat, script: Script) -> None:
    done = chat(script(), "/help", "/quit", "never sent")
    assert (done.status, done.out) == (0, "")
    for command in ("/why", "/undo", "/save FILE", "/save! FILE", "/threads", "/new", "/help", "/quit", "//..."):
        assert f"  {command} " in done.err
    helped = [row for row in done.err.splitlines() if row.startswith("  /")]
    assert all(len(row) <= 80 for row in helped)
    assert "/undo" in chat("--help").out


# -- what a reply was made with ----------------------------------------------------------------------------------

NOTE = {
    "strategy": "Question",
    "stage": "exploration",
    "emotion": "sadness",
    "intensity": 4,
    "problem": "job crisis\n\x1b[31m",
    "reason": "Little is known yet.",
    "distribution": {"Others": 0.05, "Question": 0.75, "Information": 0.2},
    "method": "calibrated",
}


def reply(note: dict[str, Any] | None = None, **more: Any) -> Reply:
    account = Account(Usage(calls=2, prompt_tokens=9, completion_tokens=3), 1.5)
    known = {"text": "Why?", "model": "m", "stopped_by": "complete", "verified": None, "trace": [], "account": account}
    return Reply(**{**known, "note": note or {}, **more})


@pytest.mark.parametrize(
    ("note", "label"),
    [
        (NOTE, "[Question · exploration · sadness 4/5]"),
        ({"strategy": "Others"}, "[Others]"),
        ({"emotion": "joy", "strategy": None}, "[joy]"),
        ({"intensity": 3}, ""),
        ({"strategy": "[x]\x1b[31m\n"}, "[[x]␛[31m]"),
        ({}, ""),
    ],
)
def test_the_label(note: dict[str, Any], label: str) -> None:
    assert label_of(reply(note)) == label


def test_a_crisis_has_no_label_and_no_strategy() -> None:
    crisis = reply({"crisis": {"category": "suicide", "pattern": "p"}}, stopped_by="crisis")
    assert label_of(crisis) == ""
    assert why_rows(crisis, Plain())[0] == ("crisis", "a sign of suicide was found; no strategy was chosen")


def test_why_shows_the_choice_and_its_chances() -> None:
    rows = [(name, str(text)) for name, text in why_rows(reply(NOTE), Plain())]
    assert rows[:5] == [
        ("strategy", "Question (calibrated)"),
        ("reason", "Little is known yet."),
        ("stage", "exploration"),
        ("problem", "job crisis ␛[31m"),
        ("emotion", "sadness 4/5"),
    ]
    bars = [(name, re.sub("[█#]", "*", text)) for name, text in rows[5:8]]
    assert bars == [
        ("chances", "Question      75%  ******************"),
        ("", "Information   20%  *****"),
        ("", "Others         5%  *"),
    ]
    assert rows[8:] == [("usage", "2 calls · 9 + 3 tokens · $0 · 1.5 s · complete"), ("model", "m")]


@pytest.mark.parametrize("odd", [None, 3, {"a": "b"}, {"a": float("nan")}, {"a": -1, "b": 7.5}, {"a": True}])
def test_odd_notes_are_no_error(odd: Any) -> None:
    note = {"strategy": odd, "intensity": odd, "emotion": odd, "distribution": odd, "reason": odd}
    assert why_rows(reply(note), Plain())
    assert isinstance(label_of(reply(note)), str)


def test_a_saved_dialogue_holds_each_replys_strategy(tmp_path: Path) -> None:
    made = {"response_metadata": {"support": {"strategy": "Question"}}}
    messages = [SystemMessage("s"), HumanMessage("a"), AIMessage("b", **made), HumanMessage("c"), AIMessage("d")]
    file = tmp_path / "x.json"
    file.write_text(json.dumps(as_esconv(messages)))
    (dialogue,) = read_dialogues(file)
    assert [turn.strategy for turn in dialogue.turns] == [None, "Question", None, None]


# -- the support strategy ----------------------------------------------------------------------------------------

SUPPORT = {
    '"intensity"': {"emotion": "sadness", "intensity": 4, "problem": "job crisis", "stage": "exploration"},
    '"strategy"': {"strategy": "Question"},
    "": "What happened?",
}


@guarded
def test_the_default_is_emotional_support_and_tells_how_it_replied(chat: Chat, script: Script, tmp_path: Path) -> None:
    file = tmp_path / "talk.json"
    done = chat(
        f"{script(SUPPORT)} -p prior=none --thread t",
        "I lost my job",
        "/why",
        "And my flat",
        f"/save {file}",
        default=True,
    )
    assert (done.status, done.out) == (0, "What happened?\nWhat happened?\n")
    head = done.err.splitlines()[:2]
    assert head[0].startswith("support on scripted/")
    assert head[1] == "not a medical device; in danger call your local emergency number"
    assert done.err.count("\n[Question · exploration · sadness 4/5]\n") == 2
    assert re.search(r"strategy +Question \(calibrated\)\n", done.err)
    assert re.search(r"problem +job crisis\n", done.err)
    assert re.search(r"chances +Question +\d+%  [█#]+\n", done.err)
    (dialogue,) = read_dialogues(file)
    assert [turn.strategy for turn in dialogue.turns] == [None, "Question"] * 2
    again = chat(f"{script(SUPPORT)} -p prior=none --thread t", "/undo", "/why", default=True)
    assert "strategy  Question (calibrated)" in again.err


@guarded
def test_in_a_crisis_no_strategy_is_shown_and_the_conversation_goes_on(chat: Chat, script: Script) -> None:
    done = chat(
        f"{script(SUPPORT)} -p prior=none --thread t", "I want to end my life", "/why", "I am safe now", default=True
    )
    assert done.status == 0
    assert done.out.endswith("\nWhat happened?\n")
    assert re.search(r"crisis +a sign of \w+ was found; no strategy was\s+chosen", done.err)
    assert re.search(r"usage +0 calls", done.err)
    assert done.err.count("[Question") == 1


# -- the screen --------------------------------------------------------------------------------------------------


class Glass(io.StringIO):
    """A terminal that shows what was written, as a person sees it."""

    encoding = "utf-8"  # type: ignore[assignment]

    def isatty(self) -> bool:
        return True

    @property
    def rows(self) -> list[str]:
        rows, column = [""], 0
        for sign in re.sub(r"\x1b\[[\d;]*m", "", self.getvalue()):
            if sign == "\n":
                rows, column = [*rows, ""], 0
            elif sign == "\r":
                column = 0
            elif sign == "\b":
                column -= 1
            else:
                rows[-1] = rows[-1][:column] + sign + rows[-1][column + 1 :]
                column += 1
        return [row.rstrip() for row in rows]


def put_on(monkeypatch: pytest.MonkeyPatch) -> Glass:
    """Look at both streams through a glass. Not a fixture: pytest changes the streams between it and the test."""
    glass = Glass()
    monkeypatch.setattr("sys.stdout", glass)
    monkeypatch.setattr("sys.stderr", glass)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return glass


def token(text: str, *, final: bool = True, node: str = "ask") -> dict[str, Any]:
    return {"event": "token", "node": node, "index": 0, "text": text, "final": final}


def test_a_reply_comes_word_by_word_with_its_label_below(monkeypatch: pytest.MonkeyPatch) -> None:
    glass = put_on(monkeypatch)
    with Screen().reply("m", "asking") as shown:
        shown.hear(token("hid", final=False))
        for piece in ("So y", "ou are sad\x1b[31m, and", " that since ", "yesterday.\r", "\n[b]Why?"):
            shown.hear(token(piece))
        assert glass.rows[0] == "So you are sad␛[31m, and that since"
        shown.finish(reply(NOTE, text="So you are sad\x1b[31m, and that since yesterday.\n[b]Why?"))
    assert glass.rows[1:] == ["yesterday.", "[b]Why?", "[Question · exploration · sadness 4/5]", "", ""]


def test_a_broken_stream_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    glass = put_on(monkeypatch)
    with Screen().reply("m", "asking") as shown:
        shown.hear(token("half a "))
        shown.hear({"event": "restart", "node": "elsewhere"})
        shown.hear({"event": "retry", "node": "ask", "error": "e", "seconds": 0.1, "attempt": 1})
        shown.hear({"event": "restart", "node": "ask"})
        shown.hear(token("the whole"))
        shown.finish(reply(text="the whole"))
    assert glass.rows == ["half a", "the connection broke; once more:", "the whole", "", ""]


def test_a_reply_that_did_not_stream_or_came_out_otherwise_is_shown_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    glass = put_on(monkeypatch)
    with Screen().reply("m", "asking") as shown:
        shown.finish(reply(text="all at once"))
    with Screen().reply("m", "asking") as shown:
        shown.hear(token("a draft"))
        shown.finish(reply(text="what it is"))
    assert glass.rows == ["all at once", "", "a draft", "in place of that:", "what it is", "", ""]


def test_a_crisis_is_set_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    glass = put_on(monkeypatch)
    with Screen().reply("m", "asking") as shown:
        shown.finish(reply(NOTE, stopped_by="crisis", text="You are not alone with this, and there is help.\n\nCall."))
    assert glass.rows == ["", "  │ You are not alone with this, and", "  │ there is help.", "  │", "  │ Call.", "", ""]


async def test_waiting_is_said_and_gone_when_words_come(monkeypatch: pytest.MonkeyPatch) -> None:
    glass = put_on(monkeypatch)
    with Screen().reply("scripted/x", "choosing how to answer") as shown:
        async with shown.waiting():
            await asyncio.sleep(0.05)
            assert glass.rows == ["⠋ choosing how to answer"]
            shown.hear({"event": "retry", "node": "ask", "error": "e", "seconds": 30.0, "attempt": 1})
            await asyncio.sleep(0.15)
            assert re.fullmatch(r"\S asking again in (30|29) s", glass.rows[0])
            shown.hear(token("Well."))
            assert glass.rows == ["Well."]
    assert "\x1b[?25l" not in glass.getvalue(), "the cursor stays"


@given(st.lists(st.text(st.sampled_from("ab \n日e\u0301\t")), max_size=30), st.integers(11, 30))
def test_flowing_text_fits_and_loses_nothing(pieces: list[str], width: int) -> None:
    glass = Glass()
    flow = Flow(glass, width)
    for piece in pieces:
        flow.write(piece)
    flow.end()
    assert "".join("".join(glass.rows).split()) == "".join("".join(pieces).split())
    assert all(cell_len(row) < width for row in glass.rows)


def test_no_word_is_broken_that_fits_in_a_line() -> None:
    text = "Losing a job hurts and extraordinarily so when it was a good one."
    for pieces in (list(text), [text]):
        glass = Glass()
        flow = Flow(glass, 20)
        for piece in pieces:
            flow.write(piece)
        assert glass.rows == ["Losing a job hurts", "and extraordinarily", "so when it was a", "good one."]
    assert "\b" not in glass.getvalue(), "what comes whole is written once"


def test_the_store_is_a_checkpointers_file(chat: Chat, script: Script) -> None:
    chat(f"{script()} -s heart:2 --thread t", "hi", "there")
    with prepared(default_store()), sqlite3.connect(default_store()) as db:
        assert db.execute("SELECT count(*) FROM checkpoints").fetchall() == [(2,)], "one for each turn"
        assert db.execute("SELECT count(*) FROM writes").fetchall() == [(0,)]
    db.close()
