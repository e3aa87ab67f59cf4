"""The embedded default model: SmolLM2-135M, run inside this process. Importing this loads no model."""

from emoagents.model.embedded.backend import EmbeddedBackend, embedded_backend
from emoagents.model.embedded.weights import SMOLLM2, Weights, ensure_weights, find_weights

__all__ = ["SMOLLM2", "EmbeddedBackend", "Weights", "embedded_backend", "ensure_weights", "find_weights"]
