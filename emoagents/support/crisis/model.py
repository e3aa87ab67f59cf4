"""The optional second look: a model is asked what the patterns may have missed."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel

from emoagents.errors import UsageError
from emoagents.model.request import Completion, Message
from emoagents.support.crisis.normalise import plain
from emoagents.support.crisis.patterns import Category, Patterns
from emoagents.support.crisis.sign import ModelSign, Sign

__all__ = ["Ask", "Judgement", "asked", "language_of"]

Ask: TypeAlias = Callable[[list[Message], type[BaseModel]], Awaitable[Completion]]
"""Asks a model: messages and the pydantic model that the answer must fit."""


class Judgement(BaseModel):
    """A model's word on messages."""

    category: Literal["none", "emergency", "suicide", "danger_to_others", "abuse", "self_harm"]
    reason: str = ""


_LETTERS: Mapping[str, re.Pattern[str]] = {
    "ru": re.compile("[\u0400-\u052f]"),
    "ar": re.compile("[\u0600-\u06ff]"),
    "hi": re.compile("[\u0900-\u097f]"),
    "ko": re.compile("[\uac00-\ud7a3]"),
    "ja": re.compile("[\u3040-\u30ff]"),
    "zh": re.compile("[\u3400-\u9fff]"),
}
"""Languages told by their letters; Japanese before Chinese, whose signs it shares."""


async def asked(texts: Sequence[str], ask: Ask, patterns: Patterns, fallback: str) -> ModelSign:
    """Ask a model about messages; see `CrisisGuard.model_sign`."""
    try:
        reply = await ask(_prompt(texts, patterns), Judgement)
    except UsageError:
        raise
    except Exception as error:  # whatever broke: what was not judged must be told apart from what is harmless
        return ModelSign(judged=False, reason=f"the model did not answer ({type(error).__name__}: {error})")
    if not isinstance(reply.parsed, Judgement):
        return ModelSign(judged=False, reason=f"the answer could not be read: {reply.parse_error}")
    word = reply.parsed
    if word.category == "none":
        return ModelSign(judged=True, reason=word.reason)
    language = language_of(" ".join(texts), patterns.card.languages, fallback)
    return ModelSign(True, _sign(word.category, language, word.reason), word.reason)


def _sign(category: Category, language: str, reason: str) -> Sign:
    return Sign(category, "model", language, reason, "model")


def _prompt(texts: Sequence[str], patterns: Patterns) -> list[Message]:
    # JSON keeps each message in one line; the fence holds a hash of them, so that no message can hold the fence
    data = json.dumps(list(texts), ensure_ascii=False)
    fence = f"===== messages {hashlib.sha256(data.encode('utf-8', 'surrogatepass')).hexdigest()[:16]} ====="
    return [
        {"role": "system", "content": patterns.prompt("system")},
        {"role": "user", "content": patterns.prompt("messages", fence=fence, messages=data)},
    ]


def language_of(text: str, words: Mapping[str, str], fallback: str) -> str:
    """Return the language that a text seems to be written in, by its letters, else by its small words."""
    for language, letters in _LETTERS.items():
        if letters.search(text):
            return language
    counts: Counter[Any] = Counter(plain(text).split())
    scores = {language: sum(counts[word] for word in set(small.split())) for language, small in words.items()}
    best = max(scores, key=scores.__getitem__, default=fallback)
    return best if scores.get(best) else fallback
