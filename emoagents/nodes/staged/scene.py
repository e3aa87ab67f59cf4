"""What a stage's prompt may show: the question, the conversation, the card's lists, and fields of earlier stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from emoagents.asked import Asked
from emoagents.card import Card, Value
from emoagents.card.stages import SPEAKERS, UTTERANCES, Stage
from emoagents.model.request import Message
from emoagents.state import question_of, text_of

__all__ = ["Known", "Scene"]

Known: TypeAlias = Mapping[str, Any]
"""Fields of earlier stages by name: texts, numbers, truth values, or lists of them."""

_BACKGROUND = ("system", "developer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """The card, the conversation that is answered with at most its last `turns` messages, and what is known so far.

    All of these are values: none is read as a template.
    """

    card: Card
    prompt: Sequence[Message]
    turns: int
    known: Known

    def utterances(self) -> list[str]:
        """Return the last messages, one line each, so that nobody's words can pass for another message."""
        said = [(m["role"], " ".join(text_of(m).split())) for m in self.prompt if m["role"] in SPEAKERS]
        return [self.card.render(role, text=text) for role, text in said if text][-self.turns :]

    def items(self, name: str) -> list[str]:
        """Return the texts of a list, for a stage that asks once for each."""
        if name == UTTERANCES:
            return self.utterances()
        if name in self.card.lists:
            return list(self.card.lists[name].values)
        return [_written(value) for value in self.known.get(name) or []]

    def request(self, stage: Stage, item: str | None = None, number: int = 1) -> list[Message]:
        """Return the messages that ask a stage's question; the conversation's own system messages come first."""
        values = self._values() | ({} if item is None else {"item": item, "number": number})
        system = [text_of(m) for m in self.prompt if m["role"] in _BACKGROUND]
        if stage.system is not None:
            system.append(self.card.render(stage.system, **values))
        before: list[Message] = [{"role": "system", "content": "\n\n".join(filter(None, system))}]
        return [*(before if any(system) else []), self._asked(stage.prompt, values)]

    def _asked(self, name: str, values: Mapping[str, Value]) -> Asked:
        """Return the stage's message with the pictures of the last one that it is about."""
        users = [m for m in self.prompt if m["role"] == "user"]
        return Asked.of(self.card, name, values, message=users[-1] if users else None)

    def _values(self) -> dict[str, Value]:
        lines = self.utterances() if all(name in self.card.prompts for name in SPEAKERS) else []
        return {
            "question": question_of(self.prompt),
            "conversation": "\n".join(lines),
            UTTERANCES: "\n".join(lines),
            **{name: ", ".join(labels.values) for name, labels in self.card.lists.items()},
            **{name: self._shown(value) for name, value in self.known.items()},
        }

    def _shown(self, value: Any) -> Value:
        if not isinstance(value, list):
            return value if isinstance(value, str) else _written(value)
        items = [" ".join(_written(one).split()) for one in value]
        if "listed" not in self.card.prompts:
            return "\n".join(items)
        return "\n".join(self.card.render("listed", number=n, item=item) for n, item in enumerate(items, 1))


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
