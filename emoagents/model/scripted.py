"""A fake model that answers from a script: for tests of agents, without key or network."""

from __future__ import annotations

import asyncio
import copy
import hashlib
import inspect
import json
import re
import threading
import uuid
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from pydantic import BaseModel

from emoagents.errors import EmoagentsError, ModelCallError, ModelConfigError, ParameterError, did_you_mean
from emoagents.model.request import Choice, Message, OnToken, Reply, Request
from emoagents.model.retry import is_retryable_status

__all__ = ["Answer", "Call", "Fault", "ScriptedModel"]

Answer: TypeAlias = str | Choice | BaseModel | Mapping[str, Any] | Exception
"""What the model says: a text, a whole choice (tool calls, logprobs), an object to be dumped as JSON, or an
exception to be raised."""

Answerer: TypeAlias = Callable[..., Answer | Awaitable[Answer]]
"""`(messages)` or `(messages, index)` to an answer, sync or async. The index counts the samples of one prompt
from 0; it is passed where the second parameter has no default."""

Answers: TypeAlias = Sequence[Answer] | Answerer | Mapping[str, Answer | Answerer | Sequence[Answer]]

Fault: TypeAlias = int | str | tuple[int, float] | None
"""None for no fault, an HTTP status, (status, seconds of Retry-After), or a word of `FAULT_WORDS`."""

FAULT_WORDS = {
    "drop": "the connection broke",
    "timeout": "no answer in time",
    "malformed": "the reply makes no sense",
    "empty": "the reply has no choices",
}
_CONFIG_STATUS = frozenset({401, 403, 404})
_FILE_KEYS = ("answers", "rules", "faults")


@dataclass(slots=True, kw_only=True)
class Call:
    """One physical request that the model got.

    Attributes:
        request: with a copy of the messages as they were then. n: choices asked for.
        answers: the choices returned, empty while the call runs and where it failed.
        error: what was raised, None where nothing was.
    """

    request: Request
    n: int
    answers: list[Choice] = field(default_factory=list)
    error: BaseException | None = None

    @property
    def prompt(self) -> str:
        """The text of all messages, one after the other."""
        return _text(self.request.messages)


class ScriptedModel:
    """A `Backend` that answers from a script and fails on demand. Pass it wherever a model's name goes.

        model = ScriptedModel(["42", "Paris"], faults=[429])
        Heart().run("What is 6 * 7?", model=model)
        assert model.calls[0].prompt.startswith("What is")

    Answers are served as they are written: no sampling setting changes them. A token is a word (text between
    white space), every call costs 0.0 US dollars. Faults and answers are dealt in the order in which calls
    arrive; a call that meets a fault uses up no answer. May be used from several threads and event loops.

    Args:
        answers: a list, served in order, n answers to a request for n choices; or a callable; or a mapping
            from regex to one answer, a list served in order, or a callable: the first regex found in the
            prompt's whole text answers, so `{"": "yes"}` always says yes. An exception is raised by a call of
            its own: a request for more choices gets those before it.
        faults: one for each physical call, until they are used up.
        name: the model's name in results and messages.
        latency: seconds before each answer or error.
        max_n: most choices one request brings; requests for more get that many.
        context_window: in tokens; only told, not enforced.
        native_schema: whether the door is told that schemas are enforced. They are not.
        endpoint: what limits and cached answers belong to; models of the same endpoint and name share them.
            Default: this object alone.

    Attributes:
        calls: every physical request in order of arrival, those that failed too.
        in_flight, max_in_flight: calls that run now, and the most that ran side by side.
        cancelled: calls cancelled while they ran.

    Raises:
        ParameterError: an answer, regex or fault can't be used.
    """

    def __init__(
        self,
        answers: Answers,
        *,
        faults: Iterable[Fault] = (),
        name: str = "scripted/model",
        latency: float = 0.0,
        max_n: int = 8,
        context_window: int | None = None,
        native_schema: bool = False,
        endpoint: str | None = None,
    ) -> None:
        if isinstance(answers, str):
            raise ParameterError("answers is one text: write [text] to say it once, {'': text} to say it always")
        if max_n < 1 or latency < 0:
            raise ParameterError("max_n must be at least 1 and latency not negative")
        self.name = name
        self.endpoint = endpoint or f"scripted {uuid.uuid4().hex}"
        self.latency = latency
        self.max_n = max_n
        self.context_window = context_window
        self.native_schema = native_schema
        self.calls: list[Call] = []
        self.in_flight = self.max_in_flight = self.cancelled = 0
        self._source = _Rules(answers) if isinstance(answers, Mapping) else _source(answers)
        self._faults = deque(_checked_fault(fault) for fault in faults)
        self._lock = threading.Lock()

    @classmethod
    def from_file(cls, path: str | PathLike[str]) -> ScriptedModel:
        """Load a script from a JSON file: `{"answers": [...]}` or `{"rules": {regex: answer or list}}`.

        Answers are texts or objects (said as JSON); `"faults"` may stand beside, `[429, 1.5]` being a 429
        with a Retry-After of 1.5 s. Two models of the same path and content share cached answers.

        Raises:
            ParameterError: the file can't be read or used; names the file and the reason.
        """
        try:
            data = Path(path).read_bytes()
            script = _checked_script(json.loads(data))
            endpoint = f"scripted {hashlib.sha256(data).hexdigest()[:16]}"
            return cls(**script, name=f"scripted/{path}", endpoint=endpoint)
        except OSError as error:
            reason = error.strerror or str(error)
        except (ValueError, ParameterError) as error:  # json's and Unicode's errors are ValueErrors
            reason = str(error)
        raise ParameterError(f"script {path}: {reason}") from None

    async def call(self, request: Request, n: int, on_token: OnToken | None = None) -> Reply:
        """Answer from the script. With `on_token`, report the first choice word by word.

        Raises:
            ModelCallError: the call's fault, or the script has no answer for it (not retryable).
            ModelConfigError: the call's fault is 401, 403 or 404.
            Exception: the one that the script gives.
        """
        call, outcome = self._begin(request, n)
        try:
            await asyncio.sleep(self.latency)
            if isinstance(outcome, Exception):
                raise outcome
            choices = [await _asked(step, request.messages) for step in outcome]
            if on_token is not None:
                await _stream(choices[0].text, on_token)
            call.answers = choices
            return self._reply(request, choices)
        except BaseException as error:
            call.error = error
            raise
        finally:
            self._end(call)

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Return how many words the messages have."""
        return sum(_words(_content(message)) for message in messages)

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float | None:
        """Return 0.0."""
        return 0.0

    def _begin(self, request: Request, n: int) -> tuple[Call, list[_Step] | Exception]:
        """Book the call and deal it its answers or its error, so that both follow the order of arrival."""
        call = Call(request=replace(request, messages=copy.deepcopy(list(request.messages))), n=n)
        with self._lock:
            self.calls.append(call)
            self.in_flight += 1
            self.max_in_flight = max(self.max_in_flight, self.in_flight)
            fault = self._faults.popleft() if self._faults else None
            if fault is not None:
                return call, _fault_error(fault, self.name)
            try:
                return call, self._source.take(call.prompt, min(n, self.max_n))
            except _ScriptEnd as end:
                text = f"{self.name}, call {len(self.calls)}: {end}"
                return call, ModelCallError(text, model=self.name)

    def _end(self, call: Call) -> None:
        with self._lock:
            self.in_flight -= 1
            self.cancelled += isinstance(call.error, asyncio.CancelledError)

    def _reply(self, request: Request, choices: list[Choice]) -> Reply:
        return Reply(
            choices=choices,
            prompt_tokens=self.count_tokens(request.messages),
            completion_tokens=sum(_words(c.text) + _words(_arguments(c)) for c in choices),
            cost_usd=0.0,
        )


# -- the script ----------------------------------------------------------------------------------------------


class _ScriptEnd(Exception):
    """The script has no answer for the call."""


@dataclass(frozen=True, slots=True)
class _Ask:
    """An answer still to be made by a callable."""

    function: Answerer
    index: int


_Step: TypeAlias = Choice | Exception | _Ask


class _Source(Protocol):
    def take(self, prompt: str, n: int) -> list[_Step]:
        """Return at most n next steps, at least one, or raise `_ScriptEnd`."""


class _InOrder:
    def __init__(self, answers: Sequence[object]) -> None:
        self._steps = [_checked_answer(answer) for answer in answers]
        self._next = 0

    def take(self, prompt: str, n: int) -> list[_Step]:
        steps: list[_Step] = list(self._steps[self._next : self._next + n])
        if len(steps) < n and not any(isinstance(step, Exception) for step in steps):
            raise _ScriptEnd(self._shortage(n))
        until = next((i for i, step in enumerate(steps) if isinstance(step, Exception)), n)
        steps = steps[: max(until, 1)]
        self._next += len(steps)
        return steps

    def _shortage(self, n: int) -> str:
        left = len(self._steps) - self._next
        given = f"{len(self._steps)} answer{'s' * (len(self._steps) != 1)} given"
        return f"it asks for {n} of the {given}, and {left} of them {'is' if left == 1 else 'are'} left"


class _Always:
    def __init__(self, answer: object) -> None:
        self._step = _checked_answer(answer)

    def take(self, prompt: str, n: int) -> list[_Step]:
        return [self._step] * n


class _Made:
    def __init__(self, function: Answerer) -> None:
        self._function = function
        self._served: Counter[str] = Counter()

    def take(self, prompt: str, n: int) -> list[_Step]:
        first = self._served[prompt]
        self._served[prompt] += n
        return [_Ask(self._function, first + i) for i in range(n)]


class _Rules:
    def __init__(self, rules: Mapping[str, object]) -> None:
        self._rules = [(_pattern(pattern), _source(answer)) for pattern, answer in rules.items()]

    def take(self, prompt: str, n: int) -> list[_Step]:
        for pattern, source in self._rules:
            if pattern.search(prompt):
                return self._from(pattern.pattern, source, prompt, n)
        raise _ScriptEnd(f"none of the {len(self._rules)} rules matches the prompt that begins {prompt[:200]!r}")

    def _from(self, pattern: str, source: _Source, prompt: str, n: int) -> list[_Step]:
        try:
            return source.take(prompt, n)
        except _ScriptEnd as end:
            raise _ScriptEnd(f"rule {pattern!r}: {end}") from None


def _source(answers: object) -> _Source:
    if isinstance(answers, list | tuple):
        return _InOrder(answers)
    if callable(answers) and not isinstance(answers, BaseModel):
        return _Made(answers)
    return _Always(answers)


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except (re.error, TypeError) as error:
        raise ParameterError(f"rule {text!r} is no regular expression: {error}") from None


def _checked_answer(answer: object) -> Choice | Exception:
    match answer:
        case Choice() | Exception():
            return answer
        case str():
            return Choice(text=answer)
        case BaseModel():
            return Choice(text=answer.model_dump_json())
        case Mapping():
            return Choice(text=_dumped(answer))
    raise ParameterError(
        f"an answer must be a str, a Choice, a BaseModel, a dict or an exception, not {type(answer).__name__}"
    )


def _dumped(answer: Mapping[str, Any]) -> str:
    try:
        return json.dumps(dict(answer), ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"an answer can't be written as JSON: {error}") from None


async def _asked(step: _Step, messages: Sequence[Message]) -> Choice:
    if isinstance(step, _Ask):
        step = await _made(step, messages)
    if isinstance(step, Exception):
        raise step
    return step


async def _made(ask: _Ask, messages: Sequence[Message]) -> Choice | Exception:
    arguments = (messages, ask.index) if _wants_index(ask.function) else (messages,)
    answer = ask.function(*arguments)
    return _checked_answer(await answer if inspect.isawaitable(answer) else answer)


def _wants_index(function: Answerer) -> bool:
    """A default counts as taken: `lambda messages, word=word: ...` is how a loop variable is bound."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # some builtins have no signature
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(p.kind in positional and p.default is p.empty for p in parameters) >= 2


def _checked_script(script: object) -> dict[str, Any]:
    """Return the arguments for `ScriptedModel` that a script file holds."""
    if not isinstance(script, dict) or ("answers" in script) == ("rules" in script):
        raise ParameterError('it must be an object with either "answers" (a list) or "rules" (an object)')
    for key in script.keys() - set(_FILE_KEYS):
        raise ParameterError(f"unknown key {key!r}{did_you_mean(key, _FILE_KEYS)}")
    answers, faults = script.get("answers", script.get("rules")), script.get("faults", [])
    if not isinstance(answers, list if "answers" in script else dict):
        raise ParameterError('"answers" must be a list, "rules" an object')
    if not isinstance(faults, list):
        raise ParameterError('"faults" must be a list')
    return {"answers": answers, "faults": [tuple(f) if isinstance(f, list) else f for f in faults]}


# -- faults --------------------------------------------------------------------------------------------------


def _checked_fault(fault: object) -> Fault:
    match fault:
        case None:
            return fault
        case str() if fault in FAULT_WORDS:
            return fault
        case int() if 400 <= fault <= 599:
            return fault
        case (int(status), int() | float() as seconds) if 400 <= status <= 599 and seconds >= 0:
            return status, float(seconds)
    words = ", ".join(FAULT_WORDS)
    raise ParameterError(f"fault {fault!r} must be None, a status from 400 to 599, (status, seconds) or one of {words}")


def _fault_error(fault: int | str | tuple[int, float], name: str) -> EmoagentsError:
    """Classify a fault as the door's real backend does."""
    if isinstance(fault, str):
        status = 408 if fault == "timeout" else None  # 408 is also what the door's own deadline says
        text = f"{name}: {FAULT_WORDS[fault]} (scripted)"
        # All four are billed: a broken connection does not tell whether the work was done, so it counts.
        return ModelCallError(text, model=name, status=status, retryable=True, billed=True)
    status, retry_after = fault if isinstance(fault, tuple) else (fault, None)
    if status in _CONFIG_STATUS:
        return ModelConfigError(f"{name} refused the call ({status}, scripted)", model=name, status=status)
    return ModelCallError(
        f"{name} did not answer ({status}, scripted)",
        model=name,
        status=status,
        retry_after=retry_after,
        retryable=is_retryable_status(status),
    )


# -- text ----------------------------------------------------------------------------------------------------


def _content(message: Message) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    return content if isinstance(content, str) else ""


def _text(messages: Sequence[Message]) -> str:
    return "\n".join(_content(message) for message in messages)


def _words(text: str) -> int:
    return len(text.split())


def _arguments(choice: Choice) -> str:
    return " ".join(str(call.get("function", {}).get("arguments", "")) for call in choice.tool_calls)


async def _stream(text: str, on_token: OnToken) -> None:
    for piece in re.findall(r"\S+\s*|\s+", text):
        on_token(piece)
        await asyncio.sleep(0)  # lets whoever listens hear each word, and cancel between two
