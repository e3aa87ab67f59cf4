"""A card's prompt on its way to a model: the message that it makes, where it comes from, and its demonstrations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from emoagents.card import Card, Demo, Prompt, Value
from emoagents.card.template import fill, places
from emoagents.errors import CardError
from emoagents.model.request import Message
from emoagents.state import question_index, text_of, with_text

__all__ = ["ASK", "AS_IT_IS", "Asked", "ask_in", "asked_in", "sent", "turns_of", "variables_of"]

ASK = "ask"
"""The prompt by which a question is put to the model."""

AS_IT_IS = Prompt(text="{{question}}", variables=["question"], source="ours")
"""What a card without an `ask` asks by."""

_BACKGROUND = ("system", "developer")


class Asked(Message):
    """A message made by a card's prompt. To a model it is a message like any other.

    It lives between the step that makes it and `Run.ask`; no state holds it.

    Attributes:
        values_given: what its places were filled with.
        head, tail: texts around it in the message.
        stripped: blanks at its beginning were left out.

    Args:
        prompt, name: the prompt, and its name in the card.
        values: for its places; those that it has not are left out.
        message: whose text it becomes, beside pictures and the like; None: a message of the user.

    Raises:
        CardError: a place has no value.
    """

    def __init__(
        self,
        prompt: Prompt,
        name: str,
        values: Mapping[str, Value],
        *,
        message: Message | None = None,
        head: str = "",
        tail: str = "",
        stripped: bool = False,
    ) -> None:
        self.prompt, self.name, self.head, self.tail, self.stripped = prompt, name, head, tail, stripped
        self.values_given = {key: values[key] for key in variables_of(prompt) if key in values}
        whole = message or {"role": "user", "content": ""}
        text = self._written()
        super().__init__(whole if text_of(whole) == text else with_text(whole, text))

    @classmethod
    def of(cls, card: Card, name: str, values: Mapping[str, Value], **options: Any) -> Asked:
        """Return the message of a card's prompt. A card without an `ask` asks the question as it is."""
        return cls(AS_IT_IS if name == ASK and name not in card.prompts else card.prompt(name), name, values, **options)

    def _written(self) -> str:
        try:
            text = fill(self.prompt.text, self.values_given)
        except KeyError as error:
            raise CardError("", f"prompts.{self.name}", f"no value for {{{{{error.args[0]}}}}}") from None
        return f"{self.head}{text.lstrip() if self.stripped else text}{self.tail}"

    def turns(self) -> list[Message]:
        """Return the prompt's demonstrations as turns of the conversation: what was asked, and what was answered."""
        if self["role"] != "user":
            return []  # a demonstration can't be shown within what the system says
        return [turn for demo in self.prompt.demos for turn in turns_of(demo, self.prompt.text)]


def variables_of(prompt: Prompt) -> list[str]:
    """Return the names of a prompt's values: those that it declares, else its places (cards with stages)."""
    return prompt.variables or places(prompt.text)


def turns_of(demo: Demo, template: str) -> list[Message]:
    """Return a demonstration as turns of a conversation."""
    text = f"{demo.head}{fill(template, demo.values)}{demo.tail}"
    around = [[m for m in messages if m.get("role") not in _BACKGROUND] for messages in (demo.before, demo.after)]
    return [*around[0], {"role": "user", "content": text}, *around[1], {"role": "assistant", "content": demo.answer}]


def ask_in(prompt: Sequence[Message], card: Card, name: str = ASK, **values: Value) -> list[Message]:
    """Return a copy of the conversation in which a card's prompt takes the place of the last question.

    Args:
        values: for the prompt's places; `question` is the text that stood there, unless it is given.
    """
    at = question_index(prompt)
    known = {"question": text_of(prompt[at]), **values}
    return [*prompt[:at], Asked.of(card, name, known, message=prompt[at]), *prompt[at + 1 :]]


def asked_in(messages: Sequence[Message]) -> int | None:
    """Return the place of the message that a card's prompt made: the last such one."""
    return next((i for i in reversed(range(len(messages))) if isinstance(messages[i], Asked)), None)


def sent(messages: Sequence[Message]) -> list[Message]:
    """Return what goes to the model: plain messages, the demonstrations after what the system says."""
    at = asked_in(messages)
    plain: list[Message] = [dict(m) if isinstance(m, Asked) else m for m in messages]
    if at is None:
        return plain
    asked: Any = messages[at]
    first = next((i for i, m in enumerate(messages) if m.get("role") not in _BACKGROUND), len(messages))
    return [*plain[:first], *asked.turns(), *plain[first:]]
