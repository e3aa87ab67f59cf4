"""From a request of this library to the body that the engine reads: OpenAI's, with a few extensions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from emoagents.model.embedded.server import SLOTS
from emoagents.model.request import Message, Request

__all__ = ["DEFAULT_MAX_TOKENS", "SYSTEM_PROMPT", "body_of", "with_system_prompt"]

SYSTEM_PROMPT = "You are a helpful assistant."
"""Sent where the conversation begins with none: under the model's own, which names it, it answers worse."""

DEFAULT_MAX_TOKENS = 512

_LONGEST_TEXT = 400
"""Characters of a text inside of JSON."""

_SEEDS = 2**32 - 1 - SLOTS
"""The engine keeps 32 bits of a seed and takes the highest for "none"; choice i gets the seed plus i."""

_FIXED: dict[str, Any] = {
    "stream": True,  # only a stream counts the tokens of every choice, and can be stopped
    "stream_options": {"include_usage": True},
    "return_progress": True,  # signs of life while a long prompt is read
}


def body_of(request: Request, n: int) -> dict[str, Any]:
    """Return the engine's body for n choices. What `request.extra` holds overrides the request."""
    values = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "max_tokens": DEFAULT_MAX_TOKENS if request.max_tokens is None else request.max_tokens,
        "stop": list(request.stop) or None,
        "seed": None if request.seed is None else request.seed % _SEEDS,
        "response_format": _schema(request.response_format),
        "tools": [dict(tool) for tool in request.tools] or None,
        "tool_choice": request.tool_choice,
        "logprobs": request.logprobs or None,
        "top_logprobs": request.top_logprobs if request.logprobs else None,
    }
    given = {key: value for key, value in values.items() if value is not None}
    return {**given, **request.extra, **_FIXED, "n": n, "messages": with_system_prompt(request.messages)}


def with_system_prompt(messages: Sequence[Message]) -> list[Message]:
    """Return the messages in the roles that the chat template knows, beginning with a system message."""
    known = [{**m, "role": "system"} if m.get("role") == "developer" else dict(m) for m in messages]
    if known and known[0].get("role") == "system":
        return known
    return [{"role": "system", "content": SYSTEM_PROMPT}, *known]


def _schema(model: type[BaseModel] | None) -> dict[str, Any] | None:
    if model is None:
        return None
    schema = {"name": model.__name__, "strict": True, "schema": _bounded(model.model_json_schema())}
    return {"type": "json_schema", "json_schema": schema}


def _inside(key: str, value: Any) -> Any:
    """Bound what stands behind a key of a schema: values that are no schemas stay, names of fields are no keys."""
    if key in ("enum", "const", "default", "examples"):
        return value
    if key in ("properties", "$defs") and isinstance(value, dict):
        return {name: _bounded(part) for name, part in value.items()}
    return _bounded(value)


def _bounded(part: Any) -> Any:
    """Return a schema whose free texts have an end: a model this small may not find it before its tokens run out."""
    if isinstance(part, list):
        return [_bounded(one) for one in part]
    if not isinstance(part, dict):
        return part
    inside = {key: _inside(key, value) for key, value in part.items()}
    free = part.get("type") == "string" and not part.keys() & {"enum", "const", "format", "pattern", "maxLength"}
    return {**inside, "maxLength": max(_LONGEST_TEXT, part.get("minLength", 0))} if free else inside
