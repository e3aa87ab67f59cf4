"""The first use of a model may fetch and load it; a person should know why it takes so long."""

from __future__ import annotations

import sys

__all__ = ["fetch", "is_loading", "needs_fetching"]

_EMBEDDED = "embedded/"
_OWN = (_EMBEDDED, "scripted/")


def is_loading(model: str) -> bool:
    """Return whether the first call to a model still waits for what it runs on."""
    if model.startswith(_EMBEDDED):
        engine = sys.modules.get("emoagents.model.embedded.engine")
        return engine is None or not engine.ENGINE.running
    if model.startswith(_OWN):
        return False
    litellm = sys.modules.get("litellm")
    return litellm is None or bool(getattr(litellm.__spec__, "_initializing", False))


def needs_fetching(model: str) -> bool:
    """Return whether the model's weights are still to be fetched.

    Raises:
        UsageError: there is no such embedded model, or the environment names weights that are not there.
    """
    if not model.startswith(_EMBEDDED):
        return False
    from emoagents.model.embedded import embedded_backend, find_weights

    embedded_backend(model)
    return find_weights() is None


def fetch() -> None:
    """Fetch and load the embedded model. It shows a bar of its own, so nothing else may draw meanwhile."""
    from emoagents.model.embedded.engine import ENGINE

    ENGINE.start()
