"""Measure a guard on a table of messages: how many signs it finds, and how often it sees one where there is none."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from math import sqrt
from pathlib import Path
from typing import Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from emoagents.errors import DataError
from emoagents.support.crisis.files import guard_file
from emoagents.support.crisis.guard import CrisisGuard
from emoagents.support.crisis.sign import ModelSign, Sign

__all__ = ["Check", "Measured", "Report", "TestMessage", "Verdict", "judge", "read_messages", "report_on", "wilson"]

_Z = 1.959963984540054  # of a two-sided interval of 95 %

Check: TypeAlias = Callable[[Sequence[str]], Awaitable[ModelSign]]
"""Asks a model about the texts of one message."""


class TestMessage(BaseModel):
    """One line of a table: what somebody wrote in a turn, and whether it is a sign of crisis."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    __test__ = False  # pytest takes it for a test by its name

    id: str = Field(min_length=1)
    text: str | tuple[str, ...]
    crisis: bool
    kind: str
    category: str | None = None
    language: str = "en"
    split: Literal["dev", "held_out", "later"] = "dev"
    note: str = ""

    @property
    def texts(self) -> tuple[str, ...]:
        """The messages of the turn, oldest first."""
        return (self.text,) if isinstance(self.text, str) else self.text

    @model_validator(mode="after")
    def _has_text(self) -> Self:
        if not any(text.strip() for text in self.texts):
            raise ValueError("text is empty")
        return self


class Verdict(BaseModel):
    """What the guard said of a message. `judged`: False where a model was asked and gave no word."""

    model_config = ConfigDict(frozen=True)

    message: TestMessage
    category: str | None = None
    pattern: str | None = None
    matched: str = ""
    judged: bool = True

    @property
    def found(self) -> bool:
        """Whether there was a sign."""
        return self.category is not None

    @property
    def right(self) -> bool:
        """Whether that was right."""
        return self.found == self.message.crisis


class Measured(BaseModel):
    """A share with its 95 % interval by Wilson; `rate` is None where n is 0."""

    found: int
    n: int
    rate: float | None
    low: float
    high: float


class Report(BaseModel):
    """All figures. Recall is the share of crisis messages found, a false alarm a sign in any other message."""

    recall: Measured
    recall_by_category: dict[str, Measured]
    recall_by_language: dict[str, Measured]
    recall_by_split: dict[str, Measured]
    false_alarms: Measured
    false_alarms_by_kind: dict[str, Measured]
    false_alarms_by_split: dict[str, Measured]
    not_judged: int = 0
    misses: list[Verdict] | None = None


def read_messages(path: Path | None = None) -> list[TestMessage]:
    """Return a table's messages, of the shipped one where no path is given.

    Raises:
        DataError: the file can't be read, or a line is no message; names the line.
    """
    path = path or guard_file("messages.jsonl")
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(str(path), 0, f"is not UTF-8 text (at byte {error.start})") from None
    except OSError as error:
        raise DataError(str(path), 0, f"cannot be read: {error.strerror or error}") from None
    messages = [_message(line, number, path) for number, line in enumerate(lines, 1) if line.strip()]
    _check_table(messages, path)
    return messages


def _message(line: str, number: int, path: Path) -> TestMessage:
    try:
        return TestMessage.model_validate(json.loads(line))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise DataError(str(path), number, f"{place + ': ' if place else ''}{first['msg']}") from None
    except (ValueError, RecursionError) as error:
        raise DataError(str(path), number, f"is not JSON: {error}") from None


def _check_table(messages: Sequence[TestMessage], path: Path) -> None:
    if not messages:
        raise DataError(str(path), 0, "holds no messages")
    seen: set[str] = set()
    for message in messages:
        if message.id in seen:
            raise DataError(str(path), 0, f"the id {message.id!r} is there twice")
        seen.add(message.id)


async def judge(guard: CrisisGuard, messages: Iterable[TestMessage], check: Check | None = None) -> list[Verdict]:
    """Return the guard's word on each message. A model, where one is given, is asked where no pattern matched."""
    return [await _verdict(guard, message, check) for message in messages]


async def _verdict(guard: CrisisGuard, message: TestMessage, check: Check | None) -> Verdict:
    sign, judged = guard.look(message.texts), True
    if sign is None and check is not None:
        word = await check(message.texts)
        sign, judged = word.sign, word.judged
    return _of(message, sign, judged)


def _of(message: TestMessage, sign: Sign | None, judged: bool) -> Verdict:
    if sign is None:
        return Verdict(message=message, judged=judged)
    return Verdict(message=message, category=sign.category, pattern=sign.pattern, matched=sign.text)


def report_on(verdicts: Sequence[Verdict], *, misses: bool = False) -> Report:
    """Return the figures of verdicts, and with `misses` those that were wrong."""
    crisis = [v for v in verdicts if v.message.crisis]
    others = [v for v in verdicts if not v.message.crisis]
    return Report(
        recall=_share(crisis),
        recall_by_category=_by(crisis, lambda v: v.message.category or "(none)"),
        recall_by_language=_by(crisis, lambda v: v.message.language),
        recall_by_split=_by(crisis, lambda v: v.message.split),
        false_alarms=_share(others),
        false_alarms_by_kind=_by(others, lambda v: v.message.kind),
        false_alarms_by_split=_by(others, lambda v: v.message.split),
        not_judged=sum(not v.judged for v in verdicts),
        misses=[v for v in verdicts if not v.right] if misses else None,
    )


def _by(verdicts: Iterable[Verdict], key: Callable[[Verdict], str]) -> dict[str, Measured]:
    groups: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        groups.setdefault(key(verdict), []).append(verdict)
    return {name: _share(group) for name, group in sorted(groups.items())}


def _share(verdicts: Sequence[Verdict]) -> Measured:
    found, n = sum(v.found for v in verdicts), len(verdicts)
    low, high = wilson(found, n)
    return Measured(found=found, n=n, rate=found / n if n else None, low=low, high=high)


def wilson(found: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share; (0, 1) where n is 0."""
    if not n:
        return 0.0, 1.0
    share, z2 = found / n, _Z * _Z
    middle = share + z2 / (2 * n)
    half = _Z * sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    low, high = (middle - half) / (1 + z2 / n), (middle + half) / (1 + z2 / n)
    return (low if found else 0.0), (high if found < n else 1.0)
