"""The raw adapter: a card's prompt goes to the model as it is written, and the reply is the answer as it comes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dspy

from emoagents.asked import sent
from emoagents.card import Prompt
from emoagents.integrations.dspy.fields import Fields
from emoagents.integrations.dspy.pending import PENDING
from emoagents.model.request import Message
from emoagents.state import text_of

__all__ = ["RawAdapter"]


class RawAdapter(dspy.Adapter):  # type: ignore[misc]  # DSPy's types are not told to type checkers
    """Sends a signature's instructions literally: `{{name}}` in them is the place of the input field of that name.

    Nothing is added: no field headers, no system message of DSPy's, no word on the format. Input fields that have no
    place are added at the end (see `emoagents.tuning.prompts.as_template`); demonstrations are earlier turns of the
    conversation. The first output field is the whole reply. Lest a paper's prompt be optimised as something else.

        program = dspy.Predict(dspy.Signature("review -> label", "Review: {{review}}\\nSentiment:"))
        with dspy.context(adapter=RawAdapter()):
            program(review="Lovely.")

    Args:
        fields: of a card's prompt; None: as the signature has them.
    """

    def __init__(self, fields: Fields | None = None) -> None:
        super().__init__()
        self.fields = fields

    def format(self, signature: Any, demos: Sequence[Any], inputs: Mapping[str, Any]) -> list[Message]:
        """Return the messages, in OpenAI's format."""
        fields = self.fields or _fields_of(signature)
        messages = sent(fields.messages(signature.instructions, demos, inputs))
        pending = PENDING.get()
        if pending is None:
            return messages
        pending.messages = messages
        return [_text_of(message) for message in messages] if pending.plain else messages

    def parse(self, signature: Any, completion: str) -> dict[str, Any]:
        """Return the reply as the output field; further output fields are None."""
        first, *rest = signature.output_fields
        return {first: completion, **dict.fromkeys(rest)}

    def _call_postprocess(
        self, processed_signature: Any, original_signature: Any, outputs: Sequence[Any], lm: Any, lm_kwargs: Any
    ) -> list[dict[str, Any]]:
        # DSPy calls an empty reply a parse error; beside a tool's call it is none
        texts = [output.get("text") if isinstance(output, Mapping) else output for output in outputs]
        return [self.parse(original_signature, text or "") for text in texts]


def _text_of(message: Message) -> Message:
    """Return what DSPy's own request can hold of a message."""
    text = text_of(message).encode("utf-8", "replace").decode()
    return {"role": message["role"] if message["role"] in ("system", "assistant") else "user", "content": text}


def _fields_of(signature: Any) -> Fields:
    names = list(signature.input_fields)
    shown = "\n".join(f"{{{{{name}}}}}" for name in names)
    prompt = Prompt(text=shown, variables=names, source="user")
    return Fields(prompt, "predictor", dict(zip(names, names, strict=True)), next(iter(signature.output_fields)), "")
