"""Counting the prompt's tokens: exactly, with the vocabulary inside the weight file, or by a quick estimate.

The engine has no call that only counts, and asking it for one token would process the whole prompt. So its
vocabulary is read from the GGUF file into the `tokenizers` library, and its chat template is repeated here.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from emoagents.model.request import Message

__all__ = ["TokenCounter", "estimate_tokens", "render", "text_of"]

_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
_ORDINARY_TOKEN = 1
_TURN_TOKENS = 5
_PIECE = re.compile(r"[A-Za-z]{1,3}|[ \t]{4}|[^A-Za-z \t]")


@dataclass(frozen=True, slots=True)
class TokenCounter:
    """Counts as the engine does."""

    encoder: Any

    @classmethod
    def load(cls, gguf: Path) -> TokenCounter | None:
        """Read the vocabulary, 0.2 s; None for a file of another family, or where `tokenizers` is missing."""
        try:
            from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
        except ImportError:
            return None
        try:
            facts = read_gguf_facts(gguf)
        except (KeyError, ValueError, struct.error):  # no GGUF, or a newer kind; the engine will say so
            return None
        if (facts.get("tokenizer.ggml.model"), facts.get("tokenizer.ggml.pre")) != ("gpt2", "smollm"):
            return None
        tokens = facts["tokenizer.ggml.tokens"]
        merges = [tuple(merge.split(" ", 1)) for merge in facts["tokenizer.ggml.merges"]]
        kinds = zip(tokens, facts["tokenizer.ggml.token_type"], strict=True)
        marks = [AddedToken(token, special=True) for token, kind in kinds if kind != _ORDINARY_TOKEN]
        encoder = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges))
        digits = pre_tokenizers.Digits(individual_digits=True)
        words = pre_tokenizers.ByteLevel(add_prefix_space=False)
        encoder.pre_tokenizer = pre_tokenizers.Sequence([digits, words])
        encoder.add_special_tokens(marks)
        return cls(encoder)

    def count(self, messages: Sequence[Message]) -> int:
        """Return the tokens of the prompt that the engine would make of these messages."""
        return len(self.encoder.encode(render(messages), add_special_tokens=False).ids)


def estimate_tokens(messages: Sequence[Message]) -> int:
    """Return a count on the high side: one token for three letters, one for any other sign.

    What lies outside ASCII counts by its bytes, the most that it can need.
    """
    pieces = [piece for message in messages for piece in _PIECE.findall(text_of(message))]
    return _TURN_TOKENS * (len(messages) + 1) + sum(1 if piece.isascii() else len(piece.encode()) for piece in pieces)


def render(messages: Sequence[Message]) -> str:
    """Return the prompt as SmolLM2's chat template writes it, ready for the answer."""
    turns = [f"<|im_start|>{message['role']}\n{text_of(message)}" for message in messages]
    ending = "<|im_end|>\n"
    if messages and messages[-1]["role"] == "assistant":  # the engine goes on with an answer that was begun
        return ending.join(turns)
    return ending.join([*turns, "<|im_start|>assistant\n"])


def text_of(message: Message) -> str:
    """Return a message's text, its parts joined where the content is a list."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content if isinstance(part, Mapping))


def read_gguf_facts(path: Path) -> dict[str, Any]:
    """Return the key-value facts at the head of a GGUF file.

    Raises:
        ValueError, KeyError, struct.error: it is none.
    """
    with path.open("rb") as file:
        magic, _version, _tensors, count = struct.unpack("<4sIQQ", file.read(24))
        if magic != b"GGUF":
            raise ValueError(f"{path} is no GGUF file")
        return {_value(file, _STRING): _value(file, _value(file, 4)) for _ in range(count)}


def _value(file: IO[bytes], kind: int) -> Any:
    if kind == _STRING:
        return file.read(_value(file, 10)).decode("utf-8", "replace")
    if kind == _ARRAY:
        member, count = struct.unpack("<IQ", file.read(12))
        return [_value(file, member) for _ in range(count)]
    form = "<" + _NUMBERS[kind]
    return struct.unpack(form, file.read(struct.calcsize(form)))[0]
