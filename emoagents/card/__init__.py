"""A strategy's text as data: load, validate, render and override a card.

A card is a TOML file. It holds every sentence that a strategy says to a model, the default parameters, and where
each sentence comes from: a key of its `[sources]`, "ours" (written for emoagents) or "user" (written by you).

    card = load_card("heart")
    card.render("feedback", phrase=card.stimulus("anger-1").text, reason="")
    mine = override_card(card, "my_heart.toml")

Prompts are templates with places such as `{{question}}`. A template can name its places and nothing else: no code,
no attributes, no conditions. A value is inserted once, as it is, and never read again as a template.
"""

from __future__ import annotations

from emoagents.card.load import card_names, cards_dir, load_card, read_toml
from emoagents.card.models import Card, Demo, Placement, Prompt, Source, Stimulus, Tone, Variation
from emoagents.card.override import override_card
from emoagents.card.own import is_file, open_card
from emoagents.card.template import Value
from emoagents.card.words import place_in

__all__ = [
    "Card",
    "Demo",
    "Placement",
    "Prompt",
    "Source",
    "Stimulus",
    "Tone",
    "Value",
    "Variation",
    "card_names",
    "cards_dir",
    "is_file",
    "load_card",
    "open_card",
    "override_card",
    "place_in",
    "read_toml",
]
