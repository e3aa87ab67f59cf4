"""Between a card's prompt and a DSPy signature: fields, instructions, demonstrations."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import dspy
from pydantic import ValidationError

from emoagents.asked import Asked, variables_of
from emoagents.card import Demo, Prompt
from emoagents.card.template import places
from emoagents.model.request import Message
from emoagents.program import PromptCall
from emoagents.state import text_of
from emoagents.tuning.prompts import as_template

__all__ = ["Fields", "around_of"]

_KEYWORDS = frozenset({"config", "demos", "lm", "new_signature", "prediction", "self", "signature"})
"""What a predictor's call takes beside its fields."""

Around = dict[str, Any]
"""What stands around a prompt in the request, as plain data; only what is there: `before` and `after` (messages),
`message` (the prompt's own, where it has pictures and the like), `head`, `tail` and `stripped` (see `Asked`)."""


@dataclass(frozen=True, slots=True)
class Fields:
    """A prompt's fields: its variables, the answer, and what stands around it.

    Attributes:
        prompt: as the card has it. place: its name in the program, as "solver.ask".
        variables: from the prompt's variables to the names of the input fields that fill them; all texts. They differ
            where a variable has a name that DSPy needs.
        answer: the output field's name: "answer", unless a variable has it. around: the name of the input field for
            what stands around the prompt; None there where nothing does.
        default: what DSPy says where it has no instructions.
    """

    prompt: Prompt
    place: str
    variables: Mapping[str, str]
    answer: str
    around: str
    default: str = ""

    @classmethod
    def of(cls, prompt: Prompt, place: str) -> Fields:
        """Return the fields of a prompt."""
        names: dict[str, str] = {}
        for variable in variables_of(prompt):
            names[variable] = _free(variable, names.values())
        made = cls(prompt, place, names, _free("answer", names.values()), _free("around", names.values()))
        return replace(made, default=dspy.Signature(made._signature()).instructions)

    def predictor(self) -> dspy.Predict:
        """Return a predictor with the prompt's text as its instructions, and its demonstrations."""
        predictor = dspy.Predict(dspy.Signature(self._signature(), self.prompt.text))
        predictor.demos = [self.example(demo) for demo in self.prompt.demos]
        return predictor

    def _signature(self) -> dict[str, Any]:
        inputs = {name: (str, dspy.InputField()) for name in self.variables.values()}
        around = {self.around: (Around | None, dspy.InputField(desc="what stands around the prompt", default=None))}
        # GEPA finds a predictor's calls by its signature: the place makes those of equal prompts differ
        output = {self.answer: (str, dspy.OutputField(desc=f"the reply to `{self.place}`"))}
        return {**inputs, **around, **output}

    def inputs(self, call: PromptCall) -> dict[str, Any]:
        """Return what a predictor is called with."""
        asked = call.asked
        assert asked is not None
        return {**{self.variables[k]: str(v) for k, v in asked.values_given.items()}, self.around: around_of(call)}

    # -- what an optimiser made of it ----------------------------------------------------------------------------

    def tuned(self, instructions: str, demos: Sequence[Any]) -> Prompt:
        """Return the prompt with these instructions and demonstrations.

        A signature's instructions lose blanks at their margins: those that are the card's text but for that are it.
        Demonstrations without a value for each place, or without an answer, are left out: labelled examples that DSPy
        gives to all predictors of a program alike. No instructions at all, which DSPy fills with words of its own, are
        the card's.
        """
        text = self.prompt.text
        if instructions not in ("", inspect.cleandoc(text), self.default):
            text = as_template(instructions, self.prompt)
        made = [self._demo(dict(demo), places(text)) for demo in demos or ()]
        return self.prompt.model_copy(update={"text": text, "demos": [d for d in made if d is not None]})

    def _demo(self, given: Mapping[str, Any], shown: Collection[str]) -> Demo | None:
        answer = given.get(self.answer)
        values = {name: str(given[field]) for name, field in self.variables.items() if given.get(field) is not None}
        if answer is None or any(name not in values for name in shown):
            return None
        around = given.get(self.around)
        kept = {k: v for k, v in _mapping(around).items() if k in ("before", "after", "head", "tail")}
        try:
            return Demo(values=values, answer=str(answer), **kept)
        except ValidationError:  # an optimiser made texts of what stood around it: half of a demonstration
            return None

    def example(self, demo: Demo) -> dspy.Example:
        """Return a card's demonstration as DSPy has it."""
        around = demo.model_dump(include={"before", "after", "head", "tail"}, exclude_defaults=True) or None
        values = {self.variables[name]: str(value) for name, value in demo.values.items()}
        return dspy.Example({**values, self.around: around, self.answer: demo.answer})

    def messages(self, instructions: str, demos: Sequence[Any], inputs: Mapping[str, Any]) -> list[Message]:
        """Return the request with the prompt in it, which `emoagents.asked.sent` makes the model's messages of."""
        around = _mapping(inputs.get(self.around))
        before, after = around.pop("before", []), around.pop("after", [])
        values = {name: inputs[field] for name, field in self.variables.items() if inputs.get(field) is not None}
        asked = Asked(self.tuned(instructions, demos), self.place, values, **around)
        return [*before, asked, *after]


def around_of(call: PromptCall) -> Around | None:
    """Return what stands around a call's prompt; None where nothing does."""
    asked, at = call.asked, call.at
    assert asked is not None
    assert at is not None
    plain = [dict(message) for message in call.messages]
    around: Around = {"before": plain[:at], "after": plain[at + 1 :], "head": asked.head, "tail": asked.tail}
    if plain[at] != {"role": "user", "content": text_of(asked)}:
        around["message"] = plain[at]
    if asked.stripped:
        around["stripped"] = True
    return {name: value for name, value in around.items() if value} or None


def _mapping(around: Any) -> Around:
    return dict(around) if isinstance(around, Mapping) else {}


def _free(name: str, taken: Collection[str]) -> str:
    """Return a name for a field that neither another one has nor DSPy needs itself."""
    while name in taken or name in _KEYWORDS or name.startswith("_") or hasattr(dspy.Signature, name):
        name = f"{name}_" if not name.startswith("_") else f"field{name}"
    return name
