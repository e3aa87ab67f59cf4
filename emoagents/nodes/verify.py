"""Verify: judge a candidate answer, by a function, an exact, numeric or regex check, a schema, or a judge model."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

from pydantic import BaseModel, ValidationError

from emoagents.asked import Asked
from emoagents.card import Card
from emoagents.errors import BudgetExceeded, ParameterError, RunError, UsageError, did_you_mean
from emoagents.nodes.extract import last_number, normalized
from emoagents.step import Run

__all__ = [
    "Contains",
    "Exact",
    "Function",
    "Judge",
    "Numeric",
    "Regex",
    "Schema",
    "Verdict",
    "Verifier",
    "VerifierSource",
    "make_verifier",
]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A verifier's word on one answer.

    Attributes:
        ok: right, wrong, or None where it could not be judged.
        score: how good, 0 to 1; decides between answers that are not right.
        reason: what is wrong, one sentence; it becomes part of the feedback.
        error: the verifier itself failed.
    """

    ok: bool | None
    score: float | None = None
    reason: str = ""
    error: bool = False


@runtime_checkable
class Verifier(Protocol):
    """Judges an answer."""

    async def verify(self, run: Run, card: Card, question: str, answer: str) -> Verdict:
        """Return the verdict."""


VerifierSource: TypeAlias = Verifier | Callable[..., Any] | type[BaseModel] | str | None
"""A verifier; a function of the answer (or of answer and question) that returns True or False, a score from 0 to 1,
a reason why it is wrong, or a Verdict; a pydantic model; "judge"; or "exact:", "contains:", "numeric:", "regex:" with
what is expected."""


@dataclass(frozen=True, slots=True)
class Exact:
    """The answer is this text, apart from case, spaces and outer punctuation."""

    expected: str

    async def verify(self, run: Run, card: Card, question: str, answer: str) -> Verdict:
        return _checked(normalized(answer) == normalized(self.expected))


@dataclass(frozen=True, slots=True)
class Contains:
    """The answer has this text in it, apart from case and spaces."""

    expected: str

    async def verify(self, run: Run, card: Card, question: str, answer: str) -> Verdict:
        return _checked(normalized(self.expected) in normalized(answer))


@dataclass(frozen=True, slots=True)
class Numeric:
    """The last number of the answer is this number, within an absolute tolerance."""

    expected: float
    tolerance: float = 1e-9

    async def verify(self, run: Run, card: Card, question: str, answer: str) -> Verdict:
        found = last_number(answer)
        if found is None:
            return Verdict(False, 0.0, "The answer has no number in it.")
        return _checked(abs(float(found) - self.expected) <= self.tolerance)


@dataclass(frozen=True, slots=True)
class Regex:
    """The answer has a place that matches this pattern (Python's `re`, multi-line)."""

    pattern: str

    def __post_init__(self) -> None:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ParameterError(f"verifier regex {self.pattern!r} is not a regular expression: {error}") from None

    async def verify(self, run: Run, card: Card, question: str, answer: str) -> Verdict:
        return _checked(re.search(self.pattern, answer, re.MULTILINE) is not None)


@dataclass(frozen=True, slots=True)
class Schema:
    """The answer is JSON, bare or in a code fence, that fits this pydantic model."""

    model: type[BaseModel]

    async def verify(self, run: Run, card: Card, question: str, answer: str) -> Verdict:
        fenced = re.fullmatch(r"\s*```(?:json)?\s*\n(.*?)```\s*", answer, re.DOTALL | re.IGNORECASE)
        try:
            self.model.model_validate_json(fenced.group(1) if fenced else answer)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            return Verdict(False, 0.0, f"{place + ': ' if place else ''}{first['msg']}.")
        return Verdict(True, 1.0)


@dataclass(frozen=True, slots=True)
class Function:
    """Your function. An exception in it counts as "not right" and is recorded; see `VerifierError`."""

    function: Callable[..., Any]

    async def verify(self, run: Run, card: Card, question: str, answer: str) -> Verdict:
        arguments = (answer, question)[: _positional(self.function)]
        try:
            found = await _called(self.function, arguments)
        except (asyncio.CancelledError, UsageError):
            raise
        except Exception as error:  # a checker that does int(answer) says "not a number" in this way
            return Verdict(False, 0.0, f"The checker could not read the answer ({type(error).__name__}).", error=True)
        return _as_verdict(found)


class Judgement(BaseModel):
    """A judge model's word."""

    correct: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Judge:
    """The context's model as the judge, by the card's prompt `judge`. An opinion, not an oracle."""

    async def verify(self, run: Run, card: Card, question: str, answer: str) -> Verdict:
        prompt = Asked.of(card, "judge", {"question": question, "answer": answer})
        reply = await run.ask_one([prompt], temperature=0.0, response_format=Judgement)
        if isinstance(reply.parsed, Judgement):
            return Verdict(reply.parsed.correct, float(reply.parsed.correct), reply.parsed.reason)
        return Verdict(None, None, f"unparsed: {reply.parse_error}")


_KINDS: dict[str, Callable[[str], Verifier]] = {
    "exact": Exact,
    "contains": Contains,
    "regex": Regex,
    "numeric": lambda text: Numeric(_number(text)),
}


def make_verifier(source: VerifierSource) -> Verifier | None:
    """Return the verifier that a source stands for.

    Raises:
        ParameterError: it stands for none.
    """
    if source is None or isinstance(source, Verifier):
        return source
    if isinstance(source, type) and issubclass(source, BaseModel):
        return Schema(source)
    if isinstance(source, str):
        return _from_text(source)
    if callable(source):
        return Function(source)
    raise ParameterError(f"verifier must be a function, a pydantic model, a text or None, not {source!r:.80}")


def _from_text(text: str) -> Verifier | None:
    kind, colon, expected = text.partition(":")
    kind = kind.strip().lower()
    if not colon and kind in ("judge", "none", ""):
        return Judge() if kind == "judge" else None
    if kind not in _KINDS or not colon:
        known = [*(f"{k}:..." for k in _KINDS), "judge", "none"]
        raise ParameterError(f"unknown verifier {text!r}{did_you_mean(text, known)}")
    return _KINDS[kind](expected.strip() if kind != "regex" else expected)


def _number(text: str) -> float:
    try:
        return float(text.replace(",", ""))
    except ValueError:
        raise ParameterError(f"verifier numeric: {text!r} is not a number") from None


def _checked(ok: bool) -> Verdict:
    return Verdict(ok, float(ok))


def _positional(function: Callable[..., Any]) -> int:
    """Return how many of (answer, question) the function takes."""
    try:
        kinds = [p.kind for p in inspect.signature(function).parameters.values() if p.default is p.empty]
    except (TypeError, ValueError):  # a built-in without a signature
        return 1
    return 2 if sum(k in (0, 1) for k in kinds) >= 2 else 1


async def _called(function: Callable[..., Any], arguments: tuple[str, ...]) -> Any:
    if inspect.iscoroutinefunction(function):
        return await function(*arguments)
    found = await asyncio.to_thread(function, *arguments)  # it may be slow, or call a strategy itself
    return await found if isinstance(found, Awaitable) else found


def _as_verdict(found: Any) -> Verdict:
    if isinstance(found, Verdict):
        return found
    if found is None:
        return Verdict(None)
    if isinstance(found, str):
        return Verdict(not found, float(not found), found)
    if isinstance(found, bool) or not isinstance(found, int | float):
        return _checked(bool(found))
    return Verdict(found >= 1, float(found))


async def judged(run: Run, card: Card, verifier: Verifier | None, question: str, answer: str) -> Verdict:
    """Return the verdict on an answer. A judge model that fails leaves it unjudged: the answer is not lost."""
    if verifier is None:
        return Verdict(None)
    try:
        return await verifier.verify(run, card, question, answer)
    except RunError as error:
        out_of_budget = {"budget": True} if isinstance(error, BudgetExceeded) else {}
        run.emit("failure", error=str(error), **out_of_budget)
        return Verdict(None, None, "not judged: the judge did not answer")
