"""An agent that judges its own answer and tries again after HEART-style feedback."""

from emoagents import Heart

graph = Heart(verifier="judge", rounds=2).graph
