"""A loopback OpenAI-compatible chat and embedding server that fails on demand, for tests and benchmarks.

    with LoopbackServer(latency_ms=20, first={"429": 1}) as server:   # a thread with its own event loop
        client = OpenAI(base_url=server.url, api_key="any")
        ...
        assert server.stats.faults == {"429": 1}

    with LoopbackProcess(rules=[("capital of France", "Paris")]) as server: ...   # a process, its own GIL
    python tests/loopback.py --port 8099 --knobs '{"latency_ms": 50}'             # until Ctrl-C

`POST /v1/chat/completions` (plain and streamed), `POST /v1/embeddings` (its prompt is the texts, a line each) and
`GET /v1/models`; all settings are in `Knobs`. Faults and jitter come from (seed, prompt, attempt at that prompt),
answers from (prompt, seed of the request, sample), nothing from the order in which different prompts arrive: the same
work brings the same at any concurrency.

A token is a word with the white space after it; a prompt has the tokens of all its messages. A text's vector counts
its words in lower case, each at places of its own: texts that share words are near each other.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import dataclasses
import datetime
import email.utils
import hashlib
import json
import math
import os
import random
import re
import struct
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias

from aiohttp import web

__all__ = ["Knobs", "LoopbackProcess", "LoopbackServer", "Seen", "Stats"]

Reply: TypeAlias = "str | Sequence[str]"
"""One text for every sample, or the text of the 1st, 2nd, ... sample of a prompt; the last one repeats."""

Replier: TypeAlias = Callable[[str, dict[str, Any], int], Reply]
"""(prompt text, request body, attempt at that prompt from 1) -> reply; a list: the choices of one request."""

Rules: TypeAlias = Sequence[tuple[str, Reply]]
"""(regex, reply) pairs; the first regex found in the prompt text answers."""

BROKEN = frozenset({"drop", "cut", "badjson", "html", "empty", "null", "length", "nousage", "ctx", "hang"})
BROKEN |= {"short", "ragged", "nan"}
WORDS = ("calm", "hope", "joy", "trust", "warm", "kind", "bold", "clear", "deep", "true", "light", "strong")
ERRORS = {
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    403: ("invalid_request_error", "forbidden", "You are not allowed to use this model."),
    404: ("invalid_request_error", "model_not_found", "The model does not exist."),
    429: ("rate_limit_error", "rate_limit_exceeded", "Rate limit reached."),
}


@dataclass(frozen=True, kw_only=True)
class Knobs:
    """How the server behaves. The keyword arguments of `LoopbackServer`, `LoopbackProcess` and `set`.

    Fault kinds: any status "400" to "599", and "ctx" (400, context_length_exceeded), "html" (502 with an HTML
    page), "drop" (closed without an answer), "cut" (closed half way through body or stream), "hang" (nothing
    for `hang_s`, then a drop), "badjson", "empty" (`choices: []`), "null" (content null), "length" (half the
    text, finish_reason length), "nousage". Of embeddings only: "short" (a vector is missing), "ragged" (one has a
    number fewer), "nan" (one holds NaN).
    """

    reply: Replier | Rules | None = None
    """What to answer; where nothing matches, a deterministic pseudo-answer of `reply_tokens` words."""
    rules: Rules = ()
    """The same as a list in `reply`; asked first."""
    rates: Mapping[str, float] = field(default_factory=dict)
    """Share of attempts that fail, by fault kind; at most 1 together."""
    first: Mapping[str, int] = field(default_factory=dict)
    """The first N attempts at each prompt fail, by kind; several kinds follow one another."""
    seed: int = 0
    """Of faults and jitter."""
    latency_ms: float = 0.0
    """Before the first byte of every answer, errors too."""
    jitter_ms: float = 0.0
    """Uniform, plus or minus, on the latency."""
    token_ms: float = 0.0
    """Between two tokens of a stream; at 0 a stream is sent in one write."""
    retry_after: float | None = None
    """Seconds, sent in the Retry-After header of 429 and 503."""
    retry_after_date: bool = False
    """Send it as an HTTP date."""
    ignore_n: bool = False
    """Return one choice whatever `n` says."""
    tool: bool | Mapping[str, Any] = False
    """Answer requests that offer tools with a call: of the first one (True), or {"name", "arguments"}."""
    refused: Sequence[str] = ()
    """Parameters that a request must not have; with one of them it gets a 400 that names it."""
    packs: bool = True
    """Send vectors as base64 where that is asked for; else as lists, whatever is asked for."""
    dimensions: int = 64
    """Numbers of a text's vector, unless the request says how many."""
    reply_tokens: int = 12
    models: Sequence[str] = ("loopback",)
    hang_s: float = 600.0
    keep: int = 100_000
    """How many requests `requests` holds, the latest ones."""

    def __post_init__(self) -> None:
        for kind in [*self.rates, *self.first]:
            if kind not in BROKEN and not re.fullmatch("[45][0-9][0-9]", kind):
                raise ValueError(f"unknown fault {kind!r}; there are {', '.join(sorted(BROKEN))} and 400 to 599")
        if min(self.rates.values(), default=0.0) < 0 or sum(self.rates.values()) > 1 + 1e-9:
            raise ValueError("rates must not be negative and not exceed 1 together")


@dataclass(kw_only=True)
class Stats:
    """What the server saw since it started or was reset.

    Attributes:
        answered: answers with status 200 that were sent whole, malformed ones too.
        cancelled: requests whose client went away before it had the whole answer.
        faults: faults by kind.
        prompt_tokens, completion_tokens: what a provider would bill: every 200, cut, empty and null ones too.
    """

    requests: int = 0
    answered: int = 0
    choices: int = 0
    cancelled: int = 0
    connections: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    faults: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One request: its parsed body ({} if it was no JSON object) and its headers, names in lower case."""

    body: dict[str, Any]
    headers: dict[str, str]


@dataclass(kw_only=True)
class _Turn:
    """One attempt at one prompt. `served` is how many samples of it went out before."""

    body: dict[str, Any]
    prompt: str
    attempt: int
    served: int
    n: int
    fault: str | None
    latency: float


@dataclass(kw_only=True)
class _Choice:
    tokens: list[str]
    finish: str = "stop"
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    null: bool = False

    @property
    def content(self) -> str | None:
        return None if self.null or self.tool_calls else "".join(self.tokens)

    @property
    def billed(self) -> int:
        calls = sum(1 + len(_tokens(call["function"]["arguments"])) for call in self.tool_calls)
        return 0 if self.null else len(self.tokens) + calls


class _App:
    """The request handler with all its state; lives on one event loop."""

    def __init__(self, knobs: Knobs) -> None:
        self.knobs = knobs
        self.reset()

    def reset(self) -> None:
        self.stats = Stats()
        self.seen: deque[Seen] = deque(maxlen=self.knobs.keep)
        self.attempts: Counter[str] = Counter()
        self.served: Counter[str] = Counter()

    def set(self, changes: Mapping[str, Any]) -> None:
        self.knobs = dataclasses.replace(self.knobs, **changes)

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        match request.method, request.path:
            case "POST", "/v1/chat/completions":
                return await self.chat(request, _problem)
            case "POST", "/v1/embeddings":
                return await self.chat(request, _embedding_problem)
            case "GET", "/v1/models":
                return _json({"object": "list", "data": [_model(name) for name in self.knobs.models]})
            case "GET", "/loopback/stats":
                return _json(dataclasses.asdict(self.stats))
            case "GET", "/loopback/requests":
                return _json([dataclasses.asdict(seen) for seen in self.seen])
            case "POST", "/loopback/reset":
                self.reset()
                return _json({})
            case "POST", "/loopback/set":
                self.set(json.loads(await request.content.read()))
                return _json({})
        return _error(404, f"no {request.method} {request.path} here")

    async def chat(
        self, request: web.BaseRequest, problem_of: Callable[[dict[str, Any]], str | None]
    ) -> web.StreamResponse:
        stats = self.stats  # a reset during the call must not make the new numbers wrong
        body = _object(await request.content.read())
        stats.requests += 1
        self.seen.append(Seen(body=body, headers={k.lower(): v for k, v in request.headers.items()}))
        unknown = (f"unknown parameter: {name}" for name in self.knobs.refused if name in body)
        if problem := problem_of(body) or next(unknown, None):
            await asyncio.sleep(self.knobs.latency_ms / 1000)
            return _error(400, problem)
        turn = self.begin(body)
        stats.in_flight += 1
        stats.max_in_flight = max(stats.max_in_flight, stats.in_flight)
        try:
            return await self.answer(request, turn, stats)
        except (asyncio.CancelledError, ConnectionError) as gone:
            stats.cancelled += 1
            if isinstance(gone, asyncio.CancelledError):
                raise
            return web.Response()
        finally:
            stats.in_flight -= 1

    def begin(self, body: dict[str, Any]) -> _Turn:
        """Number the attempt and draw its fate, without an await, so that no number is taken twice."""
        knobs, prompt = self.knobs, _prompt(body)
        n = 1 if knobs.ignore_n else body.get("n") or 1
        attempt = self.attempts[prompt] = self.attempts[prompt] + 1
        fault = _fault(knobs, prompt, attempt)
        served = self.served[prompt]
        if fault in (None, "nousage", "length"):
            self.served[prompt] += n
        body = body if knobs.packs else {k: v for k, v in body.items() if k != "encoding_format"}
        return _Turn(
            body=body,
            prompt=prompt,
            attempt=attempt,
            served=served,
            n=n,
            fault=fault,
            latency=_latency(knobs, prompt, attempt),
        )

    async def answer(self, request: web.BaseRequest, turn: _Turn, stats: Stats) -> web.StreamResponse:
        if turn.fault:
            stats.faults[turn.fault] = stats.faults.get(turn.fault, 0) + 1
        if turn.latency:
            await asyncio.sleep(turn.latency)
        if turn.fault == "hang":
            await asyncio.sleep(self.knobs.hang_s)
        if turn.fault in ("drop", "hang"):
            return _abort(request)
        if turn.fault and (refusal := _refusal(turn.fault, self.knobs)):
            return refusal
        if "input" in turn.body:
            return await self.embed(request, turn, stats)
        choices = [] if turn.fault == "empty" else [self.choice(turn, index) for index in range(turn.n)]
        usage = _usage(turn.prompt, choices)
        stats.prompt_tokens += usage["prompt_tokens"]
        stats.completion_tokens += usage["completion_tokens"]
        sender = self.stream if turn.body.get("stream") else self.plain
        response = await sender(request, turn, choices, usage)
        if turn.fault != "cut":
            stats.answered += 1
            stats.choices += len(choices)
        return response

    def choice(self, turn: _Turn, index: int) -> _Choice:
        if turn.fault == "null":
            return _Choice(tokens=[], null=True)
        if call := _tool_call(turn, index, self.knobs.tool):
            return _Choice(tokens=[], finish="tool_calls", tool_calls=[call])
        tokens = _tokens(_stopped(self.text(turn, index), turn.body.get("stop")))
        limit = turn.body.get("max_completion_tokens") or turn.body.get("max_tokens") or math.inf
        if turn.fault == "length":
            limit = max(1, len(tokens) // 2)
        if len(tokens) <= limit and turn.fault != "length":
            return _Choice(tokens=tokens)
        return _Choice(tokens=tokens[: int(limit)], finish="length")

    def text(self, turn: _Turn, index: int) -> str:
        reply = self.knobs.reply
        if callable(reply):
            found = reply(turn.prompt, turn.body, turn.attempt)
            return found if isinstance(found, str) else found[index % len(found)]
        for pattern, rule in [*self.knobs.rules, *(reply or ())]:
            if re.search(pattern, turn.prompt):
                return rule if isinstance(rule, str) else rule[min(turn.served + index, len(rule) - 1)]
        return _schema_text(turn.body) or self.pseudo(turn, index)

    def pseudo(self, turn: _Turn, index: int) -> str:
        """Without a seed the samples of a prompt are numbered over all its requests: each is a new one."""
        seed = turn.body.get("seed")
        sample = turn.served + index if seed is None else index
        rng = random.Random(_digest(turn.prompt, seed, sample))
        return " ".join(rng.choices(WORDS, k=self.knobs.reply_tokens)).capitalize() + "."

    async def embed(self, request: web.BaseRequest, turn: _Turn, stats: Stats) -> web.StreamResponse:
        usage = _usage(turn.prompt, [])
        del usage["completion_tokens"]
        stats.prompt_tokens += usage["prompt_tokens"]
        texts = _inputs(turn.body)
        vectors = [_vector(text, turn.body.get("dimensions") or self.knobs.dimensions) for text in texts]
        answer = {"object": "list", "model": turn.body["model"], "data": _embeddings(turn, _spoiled(turn, vectors))}
        if turn.fault != "nousage":
            answer["usage"] = usage
        response = await self.send_json(request, turn, answer)
        if turn.fault != "cut":
            stats.answered += 1
            stats.choices += len(texts)
        return response

    async def plain(
        self, request: web.BaseRequest, turn: _Turn, choices: list[_Choice], usage: dict[str, int]
    ) -> web.StreamResponse:
        answer = _head(turn, "chat.completion")
        answer["choices"] = [_whole(turn, i, choice) for i, choice in enumerate(choices)]
        if turn.fault != "nousage":
            answer["usage"] = usage
        return await self.send_json(request, turn, answer)

    async def send_json(self, request: web.BaseRequest, turn: _Turn, answer: dict[str, Any]) -> web.StreamResponse:
        data = json.dumps(answer).encode()
        if turn.fault == "badjson":
            data = data[: len(data) // 2]
        if turn.fault != "cut":
            return web.Response(body=data, content_type="application/json")
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.content_length = len(data)
        await response.prepare(request)
        await response.write(data[: len(data) // 2])
        return _abort(request)

    async def stream(
        self, request: web.BaseRequest, turn: _Turn, choices: list[_Choice], usage: dict[str, int]
    ) -> web.StreamResponse:
        events = [_event(turn, part) for i, choice in enumerate(choices) for part in _parts(turn, i, choice)]
        wants_usage = (turn.body.get("stream_options") or {}).get("include_usage")
        if wants_usage and turn.fault != "nousage":
            events.append(_event(turn, None, usage=usage))
        events.append(b"data: [DONE]\n\n")
        if turn.fault == "badjson":
            events[0] = events[0][: len(events[0]) // 2] + b"\n\n"
        if turn.fault == "cut":
            events = events[: len(events) // 2]
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await self.send(response, events)
        return _abort(request) if turn.fault == "cut" else response

    async def send(self, response: web.StreamResponse, events: list[bytes]) -> None:
        if not self.knobs.token_ms:
            return await response.write(b"".join(events))
        for event in events:
            await response.write(event)
            await asyncio.sleep(self.knobs.token_ms / 1000)
        return None


# ---- faults ------------------------------------------------------------------------------------------------


def _digest(*parts: object) -> int:
    data = "\0".join(map(str, parts)).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest())


def _draw(*parts: object) -> float:
    """A number in [0, 1) that depends on nothing but the parts."""
    return _digest(*parts) / 2**64


def _fault(knobs: Knobs, prompt: str, attempt: int) -> str | None:
    left = attempt
    for kind, count in knobs.first.items():
        if left <= count:
            return kind
        left -= count
    if not knobs.rates:
        return None
    draw = _draw(knobs.seed, "fault", prompt, attempt)
    for kind, rate in knobs.rates.items():
        if draw < rate:
            return kind
        draw -= rate
    return None


def _latency(knobs: Knobs, prompt: str, attempt: int) -> float:
    """Seconds before the answer."""
    if not knobs.jitter_ms:
        return knobs.latency_ms / 1000
    swing = 2 * _draw(knobs.seed, "jitter", prompt, attempt) - 1
    return max(0.0, knobs.latency_ms + swing * knobs.jitter_ms) / 1000


def _refusal(fault: str, knobs: Knobs) -> web.Response | None:
    """The answer of a fault that is not status 200, else None."""
    if fault == "html":
        return web.Response(status=502, text="<html><h1>502 Bad Gateway</h1></html>", content_type="text/html")
    if fault == "ctx":
        return _error(400, "Maximum context length is 4096 tokens.", code="context_length_exceeded")
    if not fault.isdigit():
        return None
    headers = _retry_after(knobs) if fault in ("429", "503") else {}
    return _error(int(fault), headers=headers)


def _retry_after(knobs: Knobs) -> dict[str, str]:
    if knobs.retry_after is None:
        return {}
    if not knobs.retry_after_date:
        return {"Retry-After": f"{knobs.retry_after:g}"}
    # A date has whole seconds: round up, so that no client comes back too early.
    when = datetime.datetime.fromtimestamp(math.ceil(time.time() + knobs.retry_after), datetime.UTC)
    return {"Retry-After": email.utils.format_datetime(when, usegmt=True)}


def _abort(request: web.BaseRequest) -> web.Response:
    """Break the connection. aiohttp wants a response all the same, and drops it without a word."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _error(
    status: int, message: str = "", *, code: str | None = None, headers: Mapping[str, str] | None = None
) -> web.Response:
    fallback = ("server_error", None, "The server had an error.") if status >= 500 else None
    kind, usual, text = fallback or ERRORS.get(status) or ("invalid_request_error", None, "The request is wrong.")
    error = {"message": message or text, "type": kind, "param": None, "code": code or usual}
    return _json({"error": error}, status=status, headers=headers)


def _json(data: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(body=json.dumps(data).encode(), status=status, headers=headers, content_type="application/json")


# ---- the OpenAI format -------------------------------------------------------------------------------------


def _object(data: bytes) -> dict[str, Any]:
    try:
        body = json.loads(data)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _problem(body: dict[str, Any]) -> str | None:
    messages = body.get("messages")
    if not isinstance(body.get("model"), str):
        return "you must provide a model parameter"
    if not isinstance(messages, list) or not messages or not all(isinstance(m, dict) for m in messages):
        return "messages must be a list of objects, not empty"
    if body.get("n") is not None and (not isinstance(body["n"], int) or body["n"] < 1):
        return "n must be a positive integer"
    return None


def _embedding_problem(body: dict[str, Any]) -> str | None:
    texts = _inputs(body)
    if not isinstance(body.get("model"), str):
        return "you must provide a model parameter"
    if not texts or not all(isinstance(text, str) and text for text in texts):
        return "'$.input' is invalid: it must be a text or a list of texts, none of them empty"
    return None


def _inputs(body: dict[str, Any]) -> list[Any]:
    texts = body.get("input")
    return texts if isinstance(texts, list) else [texts]


def _vector(text: str, dimensions: int) -> list[float]:
    vector = [0.0] * dimensions
    for word in re.findall(r"\w+", text.lower()) or [text]:
        for place, sign in _places(word):
            vector[place % dimensions] += sign
    length = math.sqrt(sum(x * x for x in vector)) or 1.0
    return [x / length for x in vector]


@lru_cache(maxsize=10_000)
def _places(word: str) -> list[tuple[int, int]]:
    return [(_digest("place", word, i), 1 if _draw("sign", word, i) < 0.5 else -1) for i in range(4)]


def _spoiled(turn: _Turn, vectors: list[list[float]]) -> list[list[float]]:
    match turn.fault:
        case "empty":
            return []
        case "short":
            return vectors[:-1]
        case "ragged":
            return [*vectors[:-1], vectors[-1][:-1]]
        case "nan":
            return [*vectors[:-1], [math.nan, *vectors[-1][1:]]]
    return vectors


def _embeddings(turn: _Turn, vectors: list[list[float]]) -> list[dict[str, Any]]:
    packed = turn.body.get("encoding_format") == "base64"
    return [
        {"object": "embedding", "index": index, "embedding": _packed(vector) if packed else vector}
        for index, vector in enumerate(vectors)
    ]


def _packed(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _prompt(body: dict[str, Any]) -> str:
    if "messages" not in body:
        return "\n".join(_inputs(body))
    return "\n".join(_content(message.get("content")) for message in body["messages"])


def _content(content: object) -> str:
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _tokens(text: str) -> list[str]:
    return re.findall(r"\S+\s*|\s+", text)


def _stopped(text: str, stop: str | list[str] | None) -> str:
    for mark in [stop] if isinstance(stop, str) else stop or []:
        text = text.split(mark, 1)[0]
    return text


def _usage(prompt: str, choices: list[_Choice]) -> dict[str, int]:
    asked, answered = len(_tokens(prompt)), sum(choice.billed for choice in choices)
    return {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "loopback"}


def _head(turn: _Turn, kind: str) -> dict[str, Any]:
    name = f"chatcmpl-{_digest(turn.prompt, turn.attempt):016x}"
    return {"id": name, "object": kind, "created": int(time.time()), "model": turn.body["model"]}


def _whole(turn: _Turn, index: int, choice: _Choice) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": choice.content}
    if choice.tool_calls:
        message["tool_calls"] = choice.tool_calls
    logprobs = _logprobs(turn.body, choice.tokens)
    return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": choice.finish}


def _parts(turn: _Turn, index: int, choice: _Choice) -> list[dict[str, Any]]:
    """The choice as the pieces of a stream: role, tokens or tool calls, finish."""

    def part(delta: dict[str, Any], *tokens: str, finish: str | None = None) -> dict[str, Any]:
        logprobs = _logprobs(turn.body, list(tokens)) if tokens else None
        return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}

    start = part({"role": "assistant", "content": None if choice.content is None else ""})
    tokens = [part({"content": token}, token) for token in choice.tokens]
    calls = [
        part({"tool_calls": [{"index": i, **piece}]})
        for i, call in enumerate(choice.tool_calls)
        for piece in _call_pieces(call)
    ]
    return [start, *tokens, *calls, part({}, finish=choice.finish)]


def _call_pieces(call: dict[str, Any]) -> list[dict[str, Any]]:
    function = call["function"]
    return [
        {**call, "function": {"name": function["name"], "arguments": ""}},
        {"function": {"arguments": function["arguments"]}},
    ]


def _event(turn: _Turn, part: dict[str, Any] | None, usage: dict[str, int] | None = None) -> bytes:
    chunk = _head(turn, "chat.completion.chunk") | {"choices": [part] if part else []}
    if (turn.body.get("stream_options") or {}).get("include_usage"):
        chunk["usage"] = usage
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def _logprobs(body: dict[str, Any], tokens: list[str]) -> dict[str, Any] | None:
    if not body.get("logprobs"):
        return None
    top = body.get("top_logprobs") or 0
    return {"content": [_token_logprobs(token, top) for token in tokens], "refusal": None}


def _token_logprobs(token: str, top: int) -> dict[str, Any]:
    def entry(text: str, logprob: float) -> dict[str, Any]:
        return {"token": text, "logprob": logprob, "bytes": list(text.encode("utf-8", "replace"))}

    best = round(-_draw("logprob", token), 6)
    others = [entry(f"{token}~{rank}" if rank else token, best - 2 * rank) for rank in range(top)]
    return entry(token, best) | {"top_logprobs": others}


def _tool_call(turn: _Turn, index: int, knob: bool | Mapping[str, Any]) -> dict[str, Any] | None:
    """A tool call where knob or `tool_choice` asks for one. After a tool's result comes text: agents end."""
    tools, wish = turn.body.get("tools") or [], turn.body.get("tool_choice")
    forced = wish == "required" or isinstance(wish, dict)
    answered = turn.body["messages"][-1].get("role") == "tool"
    if not tools or wish == "none" or not (forced or (knob and not answered)):
        return None
    if isinstance(knob, Mapping) and not isinstance(wish, dict):
        name, arguments = knob["name"], knob.get("arguments", {})
    else:
        name, arguments = _first_tool(tools, wish)
    key = f"call_{_digest(turn.prompt, turn.served, index):016x}"
    return {
        "id": key,
        "type": "function",
        "function": {"name": name, "arguments": json.dumps(arguments)},
    }


def _first_tool(tools: list[dict[str, Any]], wish: Any) -> tuple[str, Any]:
    wanted = wish["function"]["name"] if isinstance(wish, dict) else None
    functions: list[dict[str, Any]] = [tool["function"] for tool in tools]
    function = next((f for f in functions if f["name"] == wanted), functions[0])
    return function["name"], minimal(function.get("parameters") or {"type": "object"})


def _schema_text(body: dict[str, Any]) -> str | None:
    wish = body.get("response_format") or {}
    if wish.get("type") == "json_object":
        return "{}"
    if wish.get("type") != "json_schema":
        return None
    return json.dumps(minimal(wish["json_schema"]["schema"]))


def minimal(schema: Any, root: Any = None) -> Any:
    """Return the smallest instance of a JSON schema (of what pydantic writes; no patterns, no formats)."""
    root = schema if root is None else root
    if not isinstance(schema, dict):
        return {}
    if "$ref" in schema:
        return minimal(_pointed(schema["$ref"], root), root)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    for union in ("anyOf", "oneOf", "allOf"):
        if schema.get(union):
            return minimal(schema[union][0], root)
    kind = schema.get("type", "object")
    return _of_type(kind[0] if isinstance(kind, list) else kind, schema, root)


def _pointed(reference: str, root: Any) -> Any:
    for step in reference.removeprefix("#").strip("/").split("/"):
        root = root[step] if step else root
    return root


def _of_type(kind: str, schema: dict[str, Any], root: Any) -> Any:
    match kind:
        case "object":
            properties = schema.get("properties", {})
            return {key: minimal(properties.get(key, {}), root) for key in schema.get("required", ())}
        case "array":
            return [minimal(schema.get("items", {}), root)] * schema.get("minItems", 0)
        case "string":
            return "text".ljust(schema.get("minLength", 0), "x")[: schema.get("maxLength")]
        case "integer" | "number":
            return _number(schema)
        case "boolean":
            return False
    return None


def _number(schema: dict[str, Any]) -> Any:
    if "exclusiveMinimum" in schema:
        return schema["exclusiveMinimum"] + 1
    return schema.get("minimum", min(0, schema.get("maximum", 0), schema.get("exclusiveMaximum", 1) - 1))


# ---- running it --------------------------------------------------------------------------------------------


class _CountingServer(web.Server):
    """Counts connections; aiohttp itself counts requests only."""

    def connection_made(self, handler: Any, transport: asyncio.Transport) -> None:
        app = self.request_handler
        assert isinstance(app, _App)
        app.stats.connections += 1
        super().connection_made(handler, transport)


@asynccontextmanager
async def _serving(app: _App, port: int = 0) -> AsyncIterator[int]:
    """Serve on 127.0.0.1 and yield the port; on leaving, break what is still open."""
    server = _CountingServer(app, handler_cancellation=True, access_log=None)
    runner = web.ServerRunner(server, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
        yield runner.addresses[0][1]
    finally:
        for connection in server.connections:
            if connection.transport is not None:
                connection.transport.abort()
        await asyncio.sleep(0)  # lets each broken connection cancel its handler, so that cleanup need not wait
        await runner.cleanup()


class LoopbackServer:
    """The server in a background thread with its own event loop, on a free port of 127.0.0.1.

    Args:
        knobs: the fields of `Knobs`.

    Attributes:
        url: base URL, ends in /v1. knobs: the present settings.
    """

    def __init__(self, **knobs: Any) -> None:
        self._app = _App(Knobs(**knobs))
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="loopback", daemon=True)
        self._failure: BaseException | None = None
        self.url = ""

    def __enter__(self) -> LoopbackServer:
        self._thread.start()
        self._ready.wait()
        if self._failure:
            raise RuntimeError("the loopback server did not start") from self._failure
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:
            self._failure = error
        finally:
            self._ready.set()

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with _serving(self._app) as port:
            self.url = f"http://127.0.0.1:{port}/v1"
            self._ready.set()
            await self._stop.wait()

    @property
    def knobs(self) -> Knobs:
        return self._app.knobs

    @property
    def stats(self) -> Stats:
        """A copy of the numbers as they are now."""
        return dataclasses.replace(self._app.stats, faults=dict(self._app.stats.faults))

    @property
    def requests(self) -> list[Seen]:
        """Every request since the start or the last reset, in order of arrival."""
        return list(self._app.seen)

    def set(self, **knobs: Any) -> None:
        """Change some knobs from the next request on."""
        self._app.set(knobs)

    def reset(self) -> None:
        """Forget numbers, requests, and how often each prompt was tried."""
        self._app.reset()


class LoopbackProcess:
    """The server in a process of its own, so that it takes no time from the client's GIL.

    `stats`, `requests`, `set` and `reset` are blocking HTTP calls: in async code use `asyncio.to_thread`.

    Args:
        knobs: the fields of `Knobs`, all of them JSON: rules, no callable.
    """

    def __init__(self, **knobs: Any) -> None:
        if callable(knobs.get("reply")):
            raise TypeError("a callable cannot go to another process; give rules=[(regex, reply), ...]")
        self._knobs = dataclasses.asdict(Knobs(**knobs))
        self.url = ""

    def __enter__(self) -> LoopbackProcess:
        # -P: or else tests/ would stand first in the child's sys.path and its folders shadow real packages.
        command = [sys.executable, "-P", os.path.abspath(__file__), "--until-eof"]
        self._process = subprocess.Popen(
            [*command, "--knobs", json.dumps(self._knobs)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C in the terminal is for the test run, which then closes us
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith("READY "):
            self.__exit__()
            raise RuntimeError("the loopback server did not start; its standard error says why")
        self.url = f"http://127.0.0.1:{int(line.split()[1])}/v1"
        return self

    def __exit__(self, *exc_info: object) -> None:
        try:
            self._process.communicate(timeout=5)  # closes its standard input, which ends it
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def _ask(self, path: str, data: object = None) -> Any:
        body = None if data is None else json.dumps(data).encode()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(self.url.removesuffix("/v1") + f"/loopback/{path}", body, timeout=30) as answer:
            return json.load(answer)

    @property
    def stats(self) -> Stats:
        """The numbers as they are now."""
        return Stats(**self._ask("stats"))

    @property
    def requests(self) -> list[Seen]:
        """Every request since the start or the last reset, in order of arrival."""
        return [Seen(**seen) for seen in self._ask("requests")]

    def set(self, **knobs: Any) -> None:
        """Change some knobs from the next request on."""
        self._ask("set", knobs)

    def reset(self) -> None:
        """Forget numbers, requests, and how often each prompt was tried."""
        self._ask("reset", {})


async def _serve(knobs: Knobs, port: int, ended: Callable[[], Awaitable[object]]) -> None:
    async with _serving(_App(knobs), port) as bound:
        print(f"READY {bound}", flush=True)
        await ended()


async def _end_of_input() -> None:
    reader, loop = asyncio.StreamReader(), asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()
    transport.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="A loopback OpenAI-compatible chat and embedding server with faults.")
    parser.add_argument("--port", type=int, default=0, help="default: a free one, printed as READY <port>")
    parser.add_argument("--knobs", default="{}", help="JSON object with fields of Knobs")
    parser.add_argument("--until-eof", action="store_true", help="end with the standard input")
    args = parser.parse_args()
    ended = _end_of_input if args.until_eof else asyncio.Event().wait
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(Knobs(**json.loads(args.knobs)), args.port, ended))


if __name__ == "__main__":
    main()
