"""`emoagents chat` from outside: a terminal, signals, and processes that share a store."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tests.loopback import LoopbackProcess
from tests.test_cli_chat import kept
from tests.test_cli_process import COMMAND, ENVIRONMENT, SOON, Terminal

Open: TypeAlias = Callable[..., "ChatTerminal"]

SLOW = "Take your time. " * 200
RULES = [
    ("slow", SLOW),
    ("other", "A reply."),
    ("(?s)hello.*again", "Hello again."),
    ("hello", "Hello there, nice to meet you."),
]
GREETING = [("human", "hello"), ("ai", "Hello there, nice to meet you.")]


class ChatTerminal(Terminal):
    """A terminal in which somebody chats."""

    def type(self, text: str) -> None:
        """Type a line, as soon as it is asked for."""
        self.wait_for("> ")
        os.write(self._end, f"{text}\r".encode())

    def wait_for(self, text: str) -> None:
        """Read until a text comes that was not yet waited for, and forget all before."""
        self.read_until(text)
        assert text in self.raw, self.raw
        self.raw = self.raw.partition(text)[2]

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def wait_for_prompt(self) -> None:
        """Read until a line is asked for and waited for: Python hears no signal between these two before a key."""
        self.wait_for("> ")
        stat = Path(f"/proc/{self.process.pid}/stat")
        for _ in range(3):
            time.sleep(0.2)
            while stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "S":
                time.sleep(0.05)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "chat.sqlite"


@pytest.fixture
def script(tmp_path: Path) -> str:
    file = tmp_path / "script.json"
    file.write_text(json.dumps({"rules": dict(RULES) | {"": "A reply."}}))
    return f"scripted/{file}"


@pytest.fixture(scope="module")
def server() -> Iterator[LoopbackProcess]:
    with LoopbackProcess(rules=RULES, token_ms=20) as server:
        yield server


@pytest.fixture
def terminal(store: Path) -> Iterator[Open]:
    opened: list[ChatTerminal] = []

    def open_(*words: str, **more: Any) -> ChatTerminal:
        line = ["chat", "-s", "plain", "--store", str(store), "--thread", "t", *words]
        opened.append(ChatTerminal(*line, OPENAI_API_KEY="sk-none", **more))
        return opened[-1]

    yield open_
    for one in opened:
        one.process.kill()
        one.process.wait(SOON)


def at(server: LoopbackProcess) -> list[str]:
    return ["-m", "openai/loopback", "--api-base", server.url]


def piped(store: Path, model: str, *said: str, thread: str = "t") -> subprocess.CompletedProcess[str]:
    words = ["chat", "-s", "plain", "-m", model, "--store", str(store), "--thread", thread]
    given = "".join(f"{text}\n" for text in said)
    return subprocess.run(
        [*COMMAND, *words], input=given, capture_output=True, text=True, env=ENVIRONMENT, timeout=SOON
    )


# -- a terminal --------------------------------------------------------------------------------------------------


def test_words_come_one_by_one_and_ctrl_c_takes_the_message_back(
    terminal: Open, server: LoopbackProcess, store: Path, script: str
) -> None:
    server.reset()
    chat = terminal(*at(server), columns=100)
    chat.wait_for("plain on openai/loopback")
    chat.wait_for("thread t: go on with it by --thread t")
    chat.type("hello")
    for words in ("Hello there,", "nice", "to meet you."):
        chat.wait_for(words)
    chat.type("be slow")
    chat.wait_for("Take your time.")
    chat.interrupt()
    chat.wait_for("cancelled; the conversation is as it was before your message")
    chat.type("\x1b[A")  # the key "up" brings it back
    chat.wait_for("Take your time.")
    chat.interrupt()
    chat.wait_for("cancelled")
    chat.wait_for_prompt()
    chat.interrupt()
    chat.wait_for("to leave: /quit, Ctrl-D, or Ctrl-C again")
    chat.type("hello again")
    chat.wait_for("Hello again.")
    chat.type("/quit")
    assert chat.finish() == 0
    assert "Traceback" not in chat.raw
    seen = [[m["content"] for m in one.body["messages"]] for one in server.requests]
    assert seen == [
        ["hello"],
        *[["hello", "Hello there, nice to meet you.", "be slow"]] * 2,
        ["hello", "Hello there, nice to meet you.", "hello again"],
    ]
    assert server.stats.in_flight == 0
    assert kept("t", store)[-1] == ("ai", "Hello again.")


def test_a_stream_that_breaks_begins_again(terminal: Open, store: Path, script: str) -> None:
    with LoopbackProcess(rules=RULES, first={"cut": 1}, token_ms=5) as server:
        chat = terminal(*at(server), columns=100)
        chat.type("hello")
        chat.wait_for("Hello")
        chat.wait_for("once more:")
        chat.wait_for("Hello there, nice to meet you.")
        chat.type("\x04")  # Ctrl-D
        assert chat.finish() == 0
    assert kept("t", store) == GREETING


def test_undo_and_resume(terminal: Open, store: Path, script: str) -> None:
    chat = terminal("-m", script)
    for said, told in (("hello", "nice to meet you."), ("other", "A reply."), ("/undo", "taken back: other")):
        chat.type(said)
        chat.wait_for(told)
    chat.type("/quit")
    assert chat.finish() == 0
    assert kept("t", store) == GREETING


def test_pasted_lines_are_one_message(terminal: Open, store: Path, script: str) -> None:
    pytest.importorskip("readline")
    chat = terminal("-m", script)
    chat.type("\x1b[200~{one}\n[bold]two \x1b[31m\x1b[201~")
    chat.wait_for("A reply.")
    chat.type("/save " + str(store.with_suffix(".json")))
    chat.wait_for("saved in")
    chat.type("/quit")
    assert chat.finish() == 0
    (saved,) = json.loads(store.with_suffix(".json").read_text())
    assert saved["dialog"][0]["content"] == "{one}\n[bold]two \x1b[31m"


def test_two_interrupts_in_a_row_leave(terminal: Open, script: str) -> None:
    chat = terminal("-m", script)
    chat.wait_for_prompt()
    chat.interrupt()
    chat.wait_for("Ctrl-C again")
    chat.wait_for_prompt()
    chat.interrupt()
    assert chat.finish() == 130
    assert chat.screen()[-1] == "interrupted"


def test_without_a_line_editor(terminal: Open, tmp_path: Path, store: Path, script: str) -> None:
    (tmp_path / "readline.py").write_text("raise ImportError")
    chat = terminal("-m", script, PYTHONPATH=str(tmp_path))
    chat.type("hello")
    chat.wait_for("nice to meet you.")
    chat.type("/quit")
    assert chat.finish() == 0
    assert kept("t", store)[0] == ("human", "hello")


# -- ends --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_kill_costs_the_turn_in_flight_at_most(
    terminal: Open, server: LoopbackProcess, store: Path, script: str, number: signal.Signals
) -> None:
    chat = terminal(*at(server))
    chat.type("hello")
    chat.wait_for("nice to meet you.")
    chat.type("be slow")
    chat.wait_for("Take your time.")
    chat.process.send_signal(number)
    assert chat.finish() == (143 if number == signal.SIGTERM else -9)
    assert kept("t", store) == GREETING
    assert piped(store, script, "hello again").stdout == "Hello again.\n"


def test_sigterm_at_the_prompt(terminal: Open, script: str) -> None:
    chat = terminal("-m", script)
    chat.wait_for_prompt()
    chat.process.send_signal(signal.SIGTERM)
    assert chat.finish() == 143
    assert "Traceback" not in chat.raw


def test_ctrl_c_ends_a_pipe(server: LoopbackProcess, store: Path) -> None:
    words = ["chat", "-s", "plain", *at(server), "--store", str(store), "--thread", "t"]
    streams: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    environment = {**ENVIRONMENT, "OPENAI_API_KEY": "sk-none"}
    before = server.stats.requests
    with subprocess.Popen([*COMMAND, *words], text=True, env=environment, **streams) as process:
        assert process.stdin is not None
        process.stdin.write("slow\nslow\n")
        process.stdin.flush()
        while server.stats.requests == before:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=SOON)
    assert (process.returncode, out, err.splitlines()[-1]) == (130, "", "interrupted")
    assert server.stats.requests == before + 1


# -- several -----------------------------------------------------------------------------------------------------


def test_two_chats_side_by_side_and_one_thread_for_one_only(terminal: Open, store: Path, script: str) -> None:
    chat = terminal("-m", script)
    chat.type("hello")
    chat.wait_for("nice to meet you.")
    other = piped(store, script, "hello", "again", "/threads", thread="u")
    assert (other.returncode, other.stdout) == (0, "Hello there, nice to meet you.\nHello again.\n")
    assert re.search(r"  u  4 messages .*this one\n  t  2 messages", other.stderr)
    same = piped(store, script, "hello")
    assert (same.returncode, same.stdout) == (1, "")
    assert same.stderr.endswith("error: thread t is open in another chat: close it there, or take another one\n")
    chat.type("again")
    chat.wait_for("Hello again.")
    chat.wait_for("> ")
    chat.process.kill()
    chat.finish()
    assert len(kept("t", store)) == 4


def test_many_that_begin_at_once_share_a_new_store(store: Path, script: str) -> None:
    words = ["chat", "-s", "plain", "-m", script, "--store", str(store)]
    streams: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    begun = [subprocess.Popen([*COMMAND, *words], text=True, env=ENVIRONMENT, **streams) for _ in range(4)]
    for process in begun:
        out, err = process.communicate("hello\nother\n" * 3, timeout=SOON)
        assert (process.returncode, len(out.splitlines())) == (0, 6), err
    listed = piped(store, script, "/threads").stderr
    assert listed.count(" 12 messages ") == 4
