"""Output that must fit a pydantic model: ask for it, read it, and say so when it does not fit."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace

from pydantic import BaseModel, ValidationError

from emoagents.model.request import Completion, Message, Request

__all__ = ["parsed", "re_ask", "with_schema_in_prompt"]

_FENCE = re.compile(r"```(?:json)?\s*\n(.*?)```", re.DOTALL | re.IGNORECASE)


def with_schema_in_prompt(request: Request) -> Request:
    """Ask for the schema in words, for a provider that does not enforce it (wording: ours)."""
    if request.response_format is None:
        return request
    schema = json.dumps(request.response_format.model_json_schema(), ensure_ascii=False)
    ask = f"Answer with one JSON object and nothing else. It must fit this JSON schema:\n{schema}"
    return replace(request, messages=[*request.messages, {"role": "user", "content": ask}])


def re_ask(request: Request, completion: Completion) -> Request:
    """Build the one repeated question that names the validation error (wording: ours)."""
    said: Message = {"role": "assistant", "content": completion.text}
    ask = f"That does not fit the schema: {completion.parse_error}\nAnswer again with one JSON object that fits it."
    return replace(request, messages=[*request.messages, said, {"role": "user", "content": ask}])


def parsed(completion: Completion, schema: type[BaseModel]) -> Completion:
    """Return the completion with `parsed` set, or with `parse_error` saying why it does not fit."""
    first_error = "it holds no JSON object"
    for text in _objects(completion.text):
        try:
            return replace(completion, parsed=schema.model_validate_json(text), parse_error=None)
        except ValidationError as error:
            details = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(p) for p in details["loc"])
            first_error = f"{place + ': ' if place else ''}{details['msg']}"
    return replace(completion, parsed=None, parse_error=first_error)


def _objects(text: str) -> Iterator[str]:
    """Yield what may be the JSON object: the whole text, a fenced block, then from the first brace to the last."""
    stripped = text.strip()
    if stripped.startswith("{"):
        yield stripped
    yield from (block.strip() for block in _FENCE.findall(text))
    begin, end = text.find("{"), text.rfind("}")
    if 0 <= begin < end and (inner := text[begin : end + 1]) != stripped:
        yield inner
