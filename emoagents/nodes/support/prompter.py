"""What every way of choosing has at hand: the card, the conversation, and how requests are put together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emoagents.asked import Asked
from emoagents.card import Card, Value
from emoagents.model.request import Message
from emoagents.support.conversation import Conversation
from emoagents.support.debias import LETTERS
from emoagents.support.dialogue import Instance, Turn
from emoagents.support.labels import STRATEGIES

__all__ = ["Prompter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompter:
    """The card, the conversation with at most its last `turns`, and whether a reply is wanted or the choice only."""

    card: Card
    conversation: Conversation
    turns: int
    reply: bool = True
    examples: Sequence[Instance] = ()
    assessment: Mapping[str, Any] | None = None

    def prompt(self, ask: str, *known: str, lettered: bool = False, **values: Value) -> list[Message]:
        """Return a request in the paper's order: task, strategies, examples, background, context, what is asked.

        Args:
            ask: the card's prompt that asks, at the end. values: for its places.
            known: what stands between the context and it.
            lettered: the strategies have letters, for an answer of one token.
        """
        before = "\n\n".join([*self._examples(), *self._background(), self._context(), *known, ""])
        return [
            {"role": "system", "content": self._task(lettered)},
            Asked.of(self.card, ask, values, head=before),
        ]

    def wanted(self, name: str) -> str:
        """Return the name of the prompt by which a method asks: for the reply, or only for the choice."""
        return name if self.reply else f"{name}_choice"

    @property
    def last_utterance(self) -> str:
        """What the seeker said last; "" where nothing was said."""
        said = [turn.text for turn in self.conversation.turns if turn.role == "seeker"]
        return _line(said[-1]) if said else ""

    def _task(self, lettered: bool) -> str:
        marks = [f"{letter}." for letter in LETTERS] if lettered else ["-"] * len(STRATEGIES)
        lines = [
            self.card.render("strategy", mark=mark, name=name, meaning=self.card.render(name))
            for mark, name in zip(marks, STRATEGIES, strict=True)
        ]
        return self.card.render("task", strategies="\n".join(lines))

    def _examples(self) -> Iterable[str]:
        for number, one in enumerate(self.examples, 1):
            yield self.card.render(
                "example",
                number=number,
                context=_lines(one.context),
                strategy=one.label,
                response=_line(one.response.text),
            )

    def _background(self) -> Iterable[str]:
        if self.conversation.background:
            yield self.card.render("background", background=self.conversation.background)

    def _context(self) -> str:
        return self.card.render("context", context=_lines(self.conversation.turns[-self.turns :]))


def _lines(turns: Sequence[Turn]) -> str:
    return "\n".join(f"{turn.role}: {_line(turn.text)}" for turn in turns)


def _line(text: str) -> str:
    """Return a text on one line, so that nobody's utterance can pass for another turn."""
    return " ".join(text.split())
