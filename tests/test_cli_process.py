"""The command line from outside: a process with its streams, signals, and a terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tests.loopback import LoopbackServer

Start: TypeAlias = Callable[..., "subprocess.Popen[str]"]

COMMAND = [sys.executable, "-m", "emoagents"]
SOON = 120.0
"""Seconds; only a hang lasts so long, even on a busy machine."""

ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith("EMOAGENTS_") and name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")
}


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., str]:
    def write(answers: Any = "the answer", **more: Any) -> str:
        file = tmp_path / "script.json"
        file.write_text(json.dumps({"rules": {"": answers}, **more}))
        return f"scripted/{file}"

    return write


def run(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    options = {"stdin": subprocess.DEVNULL, "env": ENVIRONMENT, **options}
    return subprocess.run([*COMMAND, *words], capture_output=True, text=True, timeout=SOON, **options)


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts processes that no failure of a test leaves behind."""
    started: list[subprocess.Popen[str]] = []

    def start(*words: str) -> subprocess.Popen[str]:
        streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(subprocess.Popen([*COMMAND, *words], text=True, env=ENVIRONMENT, **streams))
        return started[-1]

    yield start
    for process in started:
        with process:
            process.kill()


# -- streams and statuses ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["--version"], ["rum"]])
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    code = "import sys; from emoagents.cli import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, env=ENVIRONMENT)
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert not loaded & {"litellm", "langgraph", "langchain_core", "openai", "dspy"}
    assert "typer" in loaded


def test_the_list_of_strategies_loads_no_langgraph() -> None:
    code = "import sys; from emoagents.cli import main; main(['strategies']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=ENVIRONMENT)
    assert not {"litellm", "langgraph", "openai"} & set(done.stderr.split())


def test_statuses_and_streams(script: Callable[..., str]) -> None:
    good = run("run", "-", "-m", script("grün\x1b[0m"), "-s", "plain", stdin=None, input="hi\n")
    assert (good.returncode, good.stdout, good.stderr) == (0, "grün\x1b[0m\n", "")
    wrong = run("run", "hi", "-s", "hart")
    assert (wrong.returncode, wrong.stdout, wrong.stderr) == (
        2,
        "",
        "error: unknown strategy 'hart'; did you mean heart?\n",
    )


@pytest.mark.parametrize("closed", ["<&-", ">&-"])
def test_closed_streams(script: Callable[..., str], closed: str) -> None:
    prompt = "" if closed == "<&-" else "hi"
    line = f"exec {sys.executable} -m emoagents run {prompt} -s plain -m {script()} {closed}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, env=ENVIRONMENT, timeout=SOON)
    if closed == "<&-":
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert "standard input is closed" in done.stderr
    else:
        assert (done.returncode, done.stderr) == (1, "error: the answer can't be printed: standard output is closed\n")


def test_a_reader_that_goes_away_ends_it_quietly(start: Start, script: Callable[..., str]) -> None:
    process = start("run", "hi", "-s", "plain", "-m", script("word" * 100_000))
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    assert process.communicate(timeout=SOON)[1] == ""
    assert process.returncode == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_sentence(script: Callable[..., str]) -> None:
    with open("/dev/full", "w") as full:
        words = ["run", "hi", "-s", "plain", "-m", script()]
        done = subprocess.run([*COMMAND, *words], stdout=full, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    assert (done.returncode, done.stderr) == (1, "error: cannot write the output: No space left on device\n")


# -- Ctrl-C ------------------------------------------------------------------------------------------------------


def test_ctrl_c_while_waiting_ends_at_once(start: Start, script: Callable[..., str]) -> None:
    process = start("run", "hi", "-v", "-s", "plain", "-m", script(faults=[[429, 500]]))
    assert process.stderr is not None
    assert "retry" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=SOON)
    assert (process.returncode, out, err) == (130, "", "interrupted\n")


# -- a real server -----------------------------------------------------------------------------------------------


def test_a_served_model_and_ctrl_c_with_a_call_in_flight(start: Start) -> None:
    asked = threading.Event()

    def reply(prompt: str, body: dict[str, Any], attempt: int) -> str:
        asked.set()
        return "one two three"

    def served(server: LoopbackServer) -> list[str]:
        return ["-s", "plain", "-m", "openai/loopback", "--api-base", server.url]

    with LoopbackServer(reply=reply, token_ms=600_000) as slow, LoopbackServer(rules=[("", "one two")]) as quick:
        process = start("run", "hi", *served(slow))  # both at once: each takes seconds to import litellm
        done = run("run", "hi", "--json", *served(quick), env={**ENVIRONMENT, "OPENAI_API_KEY": "sk-verysecret"})
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)["answer"] == "one two"
        assert "verysecret" not in done.stdout
        assert asked.wait(SOON)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        assert process.communicate(timeout=SOON) == ("", "interrupted\n")
        assert process.returncode == 130
        assert time.monotonic() - began < 5
        urllib.request.urlopen(f"{slow.url}/models").close()  # once it answers, it has seen the other one go
        assert (slow.stats.cancelled, slow.stats.in_flight) == (1, 0)


# -- a terminal --------------------------------------------------------------------------------------------------


class Terminal:
    """A terminal of so many columns with a process in it."""

    def __init__(self, *words: str, columns: int = 60, lines: int = 24, **environment: str) -> None:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.columns = columns
        self.raw = ""
        self._end = ours
        env = {**ENVIRONMENT, "TERM": "xterm-256color", **environment}
        streams: dict[str, Any] = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
        self.process = subprocess.Popen([*COMMAND, *words], env=env, start_new_session=True, **streams)
        os.close(theirs)

    def read_until(self, text: str = "") -> None:
        """Read until a text comes; without one, to the end."""
        while not (text and text in self.raw):
            try:
                data = os.read(self._end, 65536)
            except OSError:  # Linux's way to say that the other side is closed
                break
            if not data:
                break
            self.raw += data.decode(errors="replace")

    def finish(self) -> int:
        self.read_until()
        os.close(self._end)
        return self.process.wait(SOON)

    def screen(self) -> list[str]:
        """Return the lines as a person sees them in the end."""
        rows, row, column = [""], 0, 0
        for code, number, kind, sign in re.findall(r"(\x1b\[\??([\d;]*)([A-Za-z]))|(.)", self.raw, re.DOTALL):
            if code and kind == "A":
                row -= int(number or 1)
            elif code and kind == "K":
                rows[row] = ""
            elif sign == "\r":
                column = 0
            elif sign == "\n":
                row += 1
                rows += [""] * (row + 1 - len(rows))
            elif sign:
                rows[row] = rows[row][:column].ljust(column) + sign + rows[row][column + 1 :]
                column += 1
        return "\n".join(line.rstrip() for line in rows).rstrip("\n").split("\n")


def test_a_terminal_sees_progress_then_the_answer_then_usage(script: Callable[..., str]) -> None:
    answers = ["390?", "It is \x1b[31m[bold]391[/bold]. " + "And so on and on. " * 3]
    words = ["run", "What is 17 * 23?", "-s", "heart:3", "-p", "verifier=contains:391"]
    terminal = Terminal(*words, "-m", script(answers, faults=[[429, 0.2]]))
    assert terminal.finish() == 0
    assert "starting" in terminal.raw
    assert "asking again in" in terminal.raw
    assert terminal.raw.endswith("\n")
    assert "\x1b[?25h" in terminal.raw[terminal.raw.rindex("\x1b[?25l") :], "the cursor is back"
    screen = terminal.screen()
    assert all(len(line) <= 60 for line in screen)
    assert re.fullmatch(r"2 calls · 1 failed · \d+ \+ \d+ tokens · \$0 · \d+\.\d s · verified", screen[-1])
    text = "\n".join(screen)
    labels = [line.partition(" ")[0] for line in screen if line]
    assert [label for label in labels if label in ("again", "candidate", "verdict", "feedback")] == [
        "again",
        "candidate",
        "verdict",
        "feedback",
        "candidate",
        "verdict",
    ]
    assert "\n\nIt is ␛[31m[bold]391[/bold]. And so on and on. And so on and\non. And so on and on.\n\n" in text
    assert "starting" not in text
    assert "asking" not in text


def test_a_terminal_without_colour_and_an_answer_without_a_verifier(script: Callable[..., str]) -> None:
    terminal = Terminal("run", "hi", "-s", "ep | heart:1", "-m", script(), columns=120, NO_COLOR="1")
    assert terminal.finish() == 0
    assert not re.search(r"\x1b\[[\d;]*3\d[;m]", terminal.raw), "no colour"
    screen = terminal.screen()
    assert "stimulus    EP02: This is very important to my career." in screen
    assert "the answer" in screen
    assert "unverified: no verifier was given" in screen[-1]


def test_ctrl_c_on_a_terminal_leaves_it_tidy(script: Callable[..., str]) -> None:
    terminal = Terminal("run", "hi", "-s", "plain", "-m", script(faults=[[429, 500]]))
    terminal.read_until("asking again in")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.finish() == 130
    assert terminal.raw.rindex("\x1b[?25h") > terminal.raw.rindex("\x1b[?25l")
    assert terminal.screen()[-1] == "interrupted"
    assert not any("asking" in line for line in terminal.screen())


def test_without_a_prompt_a_terminal_is_told_how(script: Callable[..., str]) -> None:
    terminal = Terminal("run", columns=100)
    assert terminal.finish() == 2
    assert terminal.screen()[0] == "error: no prompt: emoagents run 'your question', or pipe it in"
