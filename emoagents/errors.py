"""Every error that emoagents raises, under two roots.

    EmoagentsError
    ├── UsageError                the caller's mistake: change the call (exit status 2 in the terminal)
    │   ├── ParameterError        a parameter's name or value is wrong
    │   ├── UnknownNameError      no such strategy, stimulus, emotion, placement ...
    │   ├── CardError             a card does not load or validate; names file, key and reason
    │   ├── DataError             a data file does not load; names file, line and reason
    │   ├── CompositionError      strategies put together in a way that can't work
    │   ├── ModelConfigError      unknown model, missing or refused key, unknown price
    │   └── MissingExtraError     an optional part is not installed
    └── RunError                  the run's failure: the call was right (exit status 1)
        ├── ModelCallError        the model did not answer; `retryable` says whether asking again can help
        ├── BudgetExceeded        the budget ended before there was any answer
        ├── NoAnswerError         every candidate failed; `causes` has each reason
        ├── UnparsedError         the model's output does not fit what was asked for
        ├── VerifierError         the verifier itself failed on every candidate
        └── MetricError           a metric of one's own failed, or gave no number from 0 to 1

Messages are one clear sentence that says what to do; the fields are for machines.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emoagents.model.ledger import Usage

__all__ = [
    "BudgetExceeded",
    "CardError",
    "CompositionError",
    "DataError",
    "EmoagentsError",
    "MetricError",
    "MissingExtraError",
    "ModelCallError",
    "ModelConfigError",
    "NoAnswerError",
    "ParameterError",
    "RunError",
    "UnknownNameError",
    "UnparsedError",
    "UsageError",
    "VerifierError",
]


class EmoagentsError(Exception):
    """Root of all errors of this library.

    Attributes:
        model: name of the model the error is about, as the caller gave it, or None.
        status: HTTP status of the provider's answer, or None.
        retry_after: seconds the provider asked to wait, or None.
        usage: what the run had used when it failed, where `Strategy.run` or `arun` raised it.
    """

    usage: Usage | None = None

    def __init__(
        self,
        message: str,
        *,
        model: str | None = None,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.model = model
        self.status = status
        self.retry_after = retry_after


class UsageError(EmoagentsError):
    """The caller's mistake: the same call can never work."""


class ParameterError(UsageError, ValueError):
    """A parameter's name or value is wrong."""


class UnknownNameError(UsageError, KeyError):
    """A name that nothing has. Says what was probably meant."""

    def __init__(self, kind: str, name: str, choices: Iterable[str]) -> None:
        self.kind, self.name, self.choices = kind, name, sorted(choices)
        super().__init__(f"unknown {kind} {name!r}{did_you_mean(name, self.choices)}")

    __str__ = Exception.__str__  # KeyError would print the repr


class CardError(UsageError, ValueError):
    """A card does not load or validate.

    Attributes:
        path: the card's file. key: dotted place inside it, or "". reason: what is wrong there.
    """

    def __init__(self, path: str, key: str, reason: str) -> None:
        self.path, self.key, self.reason = path, key, reason
        super().__init__(f"card {path}: {key + ': ' if key else ''}{reason}")


class DataError(UsageError, ValueError):
    """A file of data does not load.

    Attributes:
        path: the file. line: number of the line, from 1; 0 where it is about the whole file. reason: what is wrong.
    """

    def __init__(self, path: str, line: int, reason: str) -> None:
        self.path, self.line, self.reason = path, line, reason
        super().__init__(f"{path}{f', line {line}' if line else ''}: {reason}")


class CompositionError(UsageError, TypeError):
    """Strategies put together in a way that can't work."""


class ModelConfigError(UsageError):
    """The model's name, key or price makes the call impossible."""


class MissingExtraError(UsageError, ImportError):
    """An optional part of emoagents is not installed."""

    def __init__(self, extra: str, needed_for: str) -> None:
        self.extra = extra
        super().__init__(f"{needed_for} needs the extra {extra!r}: pip install 'emoagents[{extra}]'")


class RunError(EmoagentsError):
    """The run's failure: the call was right, the world was not."""


class ModelCallError(RunError):
    """The model did not answer.

    Attributes:
        retryable: asking again can help (408, 409, 429, 5xx, a broken connection, a malformed reply).
        billed: the provider may have done, and so billed, the work.
    """

    def __init__(
        self,
        message: str,
        *,
        model: str | None = None,
        status: int | None = None,
        retry_after: float | None = None,
        retryable: bool = False,
        billed: bool = False,
    ) -> None:
        super().__init__(message, model=model, status=status, retry_after=retry_after)
        self.retryable = retryable
        self.billed = billed


class BudgetExceeded(RunError):
    """The next call would overrun the budget.

    Attributes:
        limit: which one ("calls", "tokens", "usd" or "seconds"). value: its size. used: how much was spent.
    """

    def __init__(self, limit: str, value: float, used: float) -> None:
        self.limit, self.value, self.used = limit, value, used
        super().__init__(f"budget of {value:g} {limit} is used up ({used:g} spent)")


class NoAnswerError(RunError):
    """Every candidate failed.

    Attributes:
        causes: the error of each candidate.
    """

    def __init__(self, message: str, causes: Sequence[EmoagentsError] = ()) -> None:
        self.causes = tuple(causes)
        super().__init__(message)
        if causes:
            self.model, self.status, self.retry_after = causes[-1].model, causes[-1].status, causes[-1].retry_after


class UnparsedError(RunError):
    """The model's output does not fit what was asked for."""


class VerifierError(RunError):
    """The verifier itself failed on every candidate."""


class MetricError(RunError):
    """A metric of one's own failed on an answer, or gave what is no number from 0 to 1."""


def did_you_mean(name: str, choices: Sequence[str]) -> str:
    """Return the tail of an error sentence: the nearest choices, else all of them."""
    near = difflib.get_close_matches(name.lower(), [c.lower() for c in choices], n=2, cutoff=0.55)
    shown = [c for c in choices if c.lower() in near]
    if shown:
        return f"; did you mean {' or '.join(shown)}?"
    return f"; there are {', '.join(choices)}" if choices else ""
