"""A model that embeds, for tests: vectors by rule, and a count of what it was asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from emoagents.errors import ModelCallError
from emoagents.model.embedding import as_choices
from emoagents.model.request import Message, OnToken, Reply, Request


class Embedder:
    """A Backend; `vector` makes a text's vector, and it fails after so many texts."""

    endpoint = "tests"
    max_n = 16
    context_window = None
    native_schema = False

    def __init__(self, vector: Callable[[str], Sequence[float]], name: str = "tests/one") -> None:
        self.name = name
        self.texts: list[str] = []
        self.fails_after: float = float("inf")
        self._vector = vector

    async def call(self, request: Request, n: int, on_token: OnToken | None = None) -> Reply:
        texts = [str(message["content"]) for message in request.messages]
        if len(self.texts) + len(texts) > self.fails_after:
            raise ModelCallError("the line is down", model=self.name)
        self.texts += texts
        return Reply(choices=as_choices([self._vector(text) for text in texts], len(texts), self.name))

    def count_tokens(self, messages: Sequence[Message]) -> int:
        return len(messages)

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float | None:
        return 0.0


def letters(text: str) -> list[float]:
    """How often each letter comes."""
    return [text.lower().count(letter) + 0.01 for letter in "abcdefghijklmnopqrstuvwxyz"]
