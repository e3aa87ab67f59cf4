"""The crisis guard on the table of messages that comes with it, and on shapes of text that people send."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoagents.card import card_names, cards_dir
from emoagents.support.crisis import CrisisGuard, load_patterns
from tests.test_cli import Cli, cli

__all__ = ["cli"]

TABLE = [json.loads(line) for line in (cards_dir() / "guard" / "messages.jsonl").read_text("utf-8").splitlines()]


def texts(message: dict[str, object]) -> list[str]:
    text = message["text"]
    return [text] if isinstance(text, str) else list(text)  # type: ignore[call-overload]


def test_the_table_is_large_and_has_every_kind() -> None:
    assert len({m["id"] for m in TABLE}) == len(TABLE) >= 150
    assert {m["kind"] for m in TABLE} == {"crisis", "near_crisis", "idiom", "quoted", "everyday"}
    assert len({m["language"] for m in TABLE}) >= 14


def test_recall_is_high_and_most_of_the_rest_passes() -> None:
    guard = CrisisGuard()
    crisis = [m for m in TABLE if m["crisis"]]
    others = [m for m in TABLE if not m["crisis"]]
    assert sum(guard.look(texts(m)) is not None for m in crisis) >= 0.97 * len(crisis)
    assert sum(guard.look(texts(m)) is not None for m in others) <= 0.15 * len(others)


def test_the_command_prints_both(cli: Cli) -> None:
    done = cli("support guard --json")
    assert done.status == 0, done.err
    found = json.loads(done.out)
    assert found["recall"]["rate"] >= 0.97
    assert found["false_alarms"]["rate"] <= 0.15


def test_own_messages_are_measured_and_bad_ones_named(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text('{"id": "1", "text": "I want to die", "crisis": true, "kind": "crisis", "language": "en"}\n')
    done = cli(f"support guard --messages {path} --json")
    assert json.loads(done.out)["recall"]["rate"] == 1
    path.write_text('{"id": "1"}\n')
    done = cli(f"support guard --messages {path}")
    assert (done.status, "line 1" in done.err) == (2, True)


def test_the_guards_files_are_no_strategies() -> None:
    assert not {"patterns", "indirect", "helplines", "messages"} & set(card_names())


@pytest.mark.parametrize(
    "text",
    [
        "k i l l  m y s e l f",
        "I want to k1ll mys3lf",
        "kms tonight",
        "i want to d*e",
        "I WANT TO DIE!!!",
        "want to d​ie",
    ],
)
def test_disguises_are_read(text: str) -> None:
    assert CrisisGuard().look([f"hey {text} ok"]) is not None


@pytest.mark.parametrize(
    "text", ["this exam is killing me", "I could kill for a pizza", "dying to see you", "dead tired"]
)
def test_idioms_pass_and_do_not_hide_what_stands_beside_them(text: str) -> None:
    guard = CrisisGuard()
    assert guard.look([text]) is None
    assert guard.look([f"{text}, and I want to kill myself"]) is not None


@given(st.text(max_size=300))
def test_any_text_can_be_looked_at(text: str) -> None:
    sign = CrisisGuard().look([text])
    assert sign is None or sign.category


def test_a_very_long_message_takes_no_long_time() -> None:
    began = time.perf_counter()
    for piece in ("i want to ", "the voices tell me to ", "a", "how many pills "):
        CrisisGuard().look([piece * (100_000 // len(piece))])
    assert time.perf_counter() - began < 20


def test_every_pattern_finds_its_examples() -> None:
    guard = CrisisGuard()
    for compiled in load_patterns().ordered:
        for example in compiled.pattern.examples:
            assert guard.look([example]) is not None, compiled.pattern.id


def test_every_category_and_locale_has_a_reply_with_help_lines() -> None:
    for locale, number in (("US", "988"), ("GB", "116 123"), ("DE", "112"), ("auto", "findahelpline.com")):
        guard = CrisisGuard(locale=locale)
        for said in ("I want to kill myself", "my husband beats me", "I am going to kill my boss"):
            sign = guard.look([said])
            assert sign is not None
            reply = guard.reply(sign)
            assert number in reply or "findahelpline.com" in reply
            assert "{{" not in reply
            assert guard.is_reply(reply)
    assert not guard.is_reply("Thank you for telling me this.")
