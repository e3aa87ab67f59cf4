"""Core's request: the material, the passages with what Sage said of them, and the question."""

from __future__ import annotations

import re
from collections.abc import Sequence

from emoagents.asked import ASK, Asked, ask_in
from emoagents.card import Card
from emoagents.model.request import Message
from emoagents.nodes.coem.material import Material
from emoagents.nodes.coem.passages import Passage, of_query
from emoagents.state import text_of

__all__ = ["CoreRequest", "fenced"]

_FENCES = re.compile(r"<(/?)(?=(?:passage|segment|question|recent)\b)", re.IGNORECASE)


def fenced(text: str) -> str:
    """Return a text that can't end the element it is put into: a blank parts what would be one of the card's tags."""
    return _FENCES.sub(r"< \1", text)


class CoreRequest:
    """The request as a function of its longest parts, which may have to be trimmed.

    Args:
        material: what was brought. passages: what was found, in order.
        reading: what Sage said of all passages together.
        card: the prompts.
    """

    def __init__(self, material: Material, passages: Sequence[Passage], reading: str | None, card: Card) -> None:
        self._material, self._passages, self._card = material, passages, card
        notes = [p["insight"] or "" for p in passages]
        self.given = list(material.given)
        self.found = [*(p["text"] for p in passages), *notes, reading or ""]

    def build(self, given: Sequence[str], found: Sequence[str]) -> list[Message]:
        """Return the messages with these texts in place of `given` (the material) and `found` (passages, notes, and
        what was said of all)."""
        count = len(self._passages)
        texts, notes, reading = found[:count], found[count : 2 * count], found[-1]
        shown = [
            Passage(**{**p, "text": text, "insight": note or None})
            for p, text, note in zip(self._passages, texts, notes, strict=True)
        ]
        if self._material.preset.source == "document":
            return self._of_document(given, shown)
        return self._of_conversation(shown, reading)

    def _of_document(self, given: Sequence[str], passages: Sequence[Passage]) -> list[Message]:
        m = self._material
        name, values = ASK, {"material": "\n\n".join(given), "question": m.question}
        if passages:
            name = m.preset.core if given or m.texts else "core_found"
            values |= {"passages": self._blocks(passages), "about": self._about(passages)}
        elif given:
            name = "base"
        asked = Asked.of(self._card, name, values, message=m.prompt[m.asked_at], stripped=bool(passages))
        return [*m.prompt[: m.asked_at], asked, *m.prompt[m.asked_at + 1 :]]

    def _of_conversation(self, passages: Sequence[Passage], reading: str) -> list[Message]:
        m = self._material
        if not passages:
            return ask_in(m.prompt, self._card)
        blocks, about = self._blocks(passages), self._about(passages)
        if reading:
            blocks = f"{blocks}\n\n{self._card.render('colleague', reading=fenced(reading))}"
        values = {"passages": blocks, "about": about}
        first, *rest = m.prompt
        if first["role"] != "system":
            return [Asked.of(self._card, m.preset.core, values, message={"role": "system", "content": ""}), *m.prompt]
        head = f"{text_of(first)}\n\n"  # strict chat templates take one system message
        return [Asked.of(self._card, m.preset.core, values, message=first, head=head), *rest]

    def _about(self, passages: Sequence[Passage]) -> str:
        return self._card.render("about_notes" if any(p["insight"] for p in passages) else "about_passages")

    def _blocks(self, passages: Sequence[Passage]) -> str:
        names = list(dict.fromkeys(p["query"] for p in passages))
        if len(names) < 2:
            return self._block(passages)
        groups = ((name, of_query(passages, name)) for name in names)
        return "\n\n".join(self._card.render("group", query=name, passages=self._block(g)) for name, g in groups)

    def _block(self, passages: Sequence[Passage]) -> str:
        return "\n\n".join(
            self._card.render("pack", number=number, text=fenced(p["text"]), insight=fenced(p["insight"]))
            if p["insight"]
            else self._card.render("passage", number=number, text=fenced(p["text"]))
            for number, p in enumerate(passages, 1)
        )
