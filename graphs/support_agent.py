"""An agent for emotional support: guards, assesses, chooses a support strategy, replies. Not a medical device."""

from emoagents import SupportDialogue

graph = SupportDialogue().graph
