"""Output that must fit a pydantic model: ask for it, read it, and say so when it does not fit."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace

from pydantic import BaseModel, ValidationError

from emoagents.model.request import Completion, Message, Request

__all__ = ["parsed", "re_ask", "schema_in_words", "with_schema_in_prompt", "without_thoughts"]

_FENCE = re.compile(r"```(?:json)?\s*\n(.*?)```", re.DOTALL | re.IGNORECASE)
_BRACES_TRIED = 200
"""Opening braces of a text that are tried as the begin of an object: what is longer is no answer but noise."""
_ERRORS_NAMED = 3


def without_thoughts(text: str) -> str:
    """Return a reply without the reasoning that some models write before it, up to the last `</think>`."""
    return text.rpartition("</think>")[2].strip()


def schema_in_words(schema: type[BaseModel]) -> str:
    """Return what asks for JSON of a schema (wording: ours)."""
    written = json.dumps(schema.model_json_schema(), ensure_ascii=False)
    return f"Answer with one JSON object and nothing else. It must fit this JSON schema:\n{written}"


def with_schema_in_prompt(request: Request) -> Request:
    """Ask for the schema in words, for a provider that does not enforce it (wording: ours)."""
    if request.response_format is None:
        return request
    ask = schema_in_words(request.response_format)
    *before, last = request.messages
    if last.get("role") == "user" and isinstance(last.get("content"), str):  # some models insist that roles alternate
        return replace(request, messages=[*before, {**last, "content": f"{last['content']}\n\n{ask}"}])
    return replace(request, messages=[*request.messages, {"role": "user", "content": ask}])


def re_ask(request: Request, completion: Completion) -> Request:
    """Build the one repeated question that names the validation error (wording: ours)."""
    said: Message = {"role": "assistant", "content": completion.text or "(nothing)"}
    ask = f"That does not fit the schema: {completion.parse_error}\nAnswer again with one JSON object that fits it."
    return replace(request, messages=[*request.messages, said, {"role": "user", "content": ask}])


def parsed(completion: Completion, schema: type[BaseModel]) -> Completion:
    """Return the completion with `parsed` set, or with `parse_error` saying why it does not fit."""
    errors: list[ValidationError] = []
    for text in _objects(completion.text):
        try:
            return replace(completion, parsed=schema.model_validate_json(text), parse_error=None)
        except ValidationError as error:
            errors.append(error)
    return replace(completion, parsed=None, parse_error=_reason(errors))


def _reason(errors: list[ValidationError]) -> str:
    """Say what is wrong with the first text that is JSON at all, else with the first."""
    found = [e.errors(include_url=False, include_input=False, include_context=False) for e in errors]
    if not found:
        return "it holds no JSON object"
    details = next((d for d in found if d[0]["type"] != "json_invalid"), found[0])
    places = (".".join(map(str, d["loc"])) for d in details[:_ERRORS_NAMED])
    return "; ".join(f"{p}: {d['msg']}" if p else d["msg"] for p, d in zip(places, details, strict=False))


def _objects(text: str) -> Iterator[str]:
    """Yield what may be the JSON: the whole text, each fenced block, then each object wherever it stands."""
    if text.lstrip().startswith(("{", "[")):
        yield text.strip()
    yield from (block.strip() for block in _FENCE.findall(text))
    decoder, begin = json.JSONDecoder(), text.find("{")
    for _ in range(_BRACES_TRIED):
        if begin < 0:
            return
        try:
            end = decoder.raw_decode(text, begin)[1]
            yield text[begin:end]
        except (ValueError, RecursionError):
            end = begin + 1
        begin = text.find("{", end)
