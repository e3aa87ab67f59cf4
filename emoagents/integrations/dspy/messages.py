"""Between DSPy's canonical requests and responses and ours."""

from __future__ import annotations

import json
from typing import Any

from dspy import lm15

from emoagents.errors import ParameterError
from emoagents.model.request import Completion, Message

__all__ = ["as_openai", "as_response"]


def as_openai(request: lm15.Request) -> list[Message]:
    """Return a request's messages in OpenAI's format.

    Raises:
        ParameterError: one has a part that is neither text, picture nor a tool's call or result.
    """
    system = request.system
    before: list[Message] = []
    if system is not None:
        parts = (lm15.TextPart(system),) if isinstance(system, str) else tuple(system)
        before.append({"role": "system", "content": _content(parts)})
    return [*before, *(one for message in request.messages for one in _as_openai(message))]


def _as_openai(message: lm15.Message) -> list[Message]:
    if message.role == "tool":
        return [{"role": "tool", "tool_call_id": p.id, "content": _content(p.content)} for p in message.parts]
    calls = [p for p in message.parts if isinstance(p, lm15.ToolCallPart)]
    others = tuple(p for p in message.parts if not isinstance(p, lm15.ToolCallPart))
    whole: Message = {"role": message.role, "content": _content(others) if others else ""}
    if calls:
        whole["tool_calls"] = [_tool_call(call) for call in calls]
    return [whole]


def _content(parts: tuple[Any, ...]) -> str | list[dict[str, Any]]:
    if len(parts) == 1 and isinstance(parts[0], lm15.TextPart):
        return str(parts[0].text)
    return [_part(part) for part in parts]


def _part(part: Any) -> dict[str, Any]:
    if isinstance(part, lm15.TextPart):
        return {"type": "text", "text": part.text}
    if isinstance(part, lm15.ImagePart):
        url = part.url or (f"data:{part.media_type};base64,{part.data}" if isinstance(part.data, str) else None)
        if url is not None:
            detail = {} if part.detail is None else {"detail": part.detail}
            return {"type": "image_url", "image_url": {"url": url, **detail}}
    raise ParameterError(f"a message has a part of the kind {part.type!r}, which emoagents' models can't be sent")


def _tool_call(part: Any) -> dict[str, Any]:
    function = {"name": part.name, "arguments": json.dumps(part.input, ensure_ascii=False)}
    return {"id": part.id, "type": "function", "function": function}


def as_response(completion: Completion, model: str) -> lm15.Response:
    """Return a sample as DSPy's response; one from the cache used nothing."""
    share, used = completion.share, lm15.Usage()
    if share is not None and not completion.cached:
        used = lm15.Usage(input_tokens=share.prompt_tokens, output_tokens=share.completion_tokens)
    reasons = {"length": "length", "content_filter": "content_filter", "tool_calls": "tool_call"}
    return lm15.Response(
        id=None,
        model=model,
        message=lm15.Message.assistant(completion.text.encode("utf-8", "replace").decode()),
        finish_reason=reasons.get(completion.finish_reason, "stop"),
        usage=used,
    )
